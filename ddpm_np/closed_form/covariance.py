"""Signals through their covariance: averages, kernels, spectra, shaped noise (E21 to E23, E33).

The notes look at a signal before they diffuse it: as the mean that is left when noise is averaged
away (E33), as a matrix of likenesses whose spectrum should tell structure from noise (E21, E22),
and as noise that was given the signal's covariance (E23). Here these views are functions, together
with the controls that the notes lack. The last section is what the forward chain does to a
covariance: sums of independent variables, two steps at once, eigenvalues and the limit (E3 to E5).
Before it: :mod:`ddpm_np.forward` and :mod:`ddpm_np.closed_form.distributions`.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import (
    Array,
    Steps,
    check_array,
    check_count,
    check_instance,
    check_positive,
    check_real,
    check_square,
    check_step,
    check_steps,
    per_row,
)
from ddpm_np.closed_form.arguments import eigen, float_array, norm
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.closed_form.distributions.distances import excess
from ddpm_np.schedule import Schedule

# ---- a mean of many observations (E33) -----------------------------------------------------------


def variance_of_mean(variance: float, n: int, *, correlation: float = 0.0) -> float:
    """Variance of the mean of n observations of equal variance and pairwise correlation (E33).

    Var(x_bar) = variance (1 + (n - 1) correlation) / n

    This is variance / n for independent observations. For others it tends to correlation *
    variance, not to 0.

    Source: N0 and N2 "信号是方差为零的随机变量", where independence is not mentioned, and the sum
    lacks its index. correlation: in [-1/(n-1), 1], below which no such observations exist; else
    ValueError.

    >>> variance_of_mean(1.0, 10), variance_of_mean(1.0, 10, correlation=0.5)
    (0.1, 0.55)
    """
    variance, n = check_positive("variance", variance, zero=True), check_count("n", n)
    correlation = check_real("correlation", correlation)
    low = -1.0 if n < 2 else -1 / (n - 1)
    if not low <= correlation <= 1:
        raise ValueError(f"correlation must be in [{low:.6g}, 1] for n = {n}, got {correlation}")
    return variance * ((1 + (n - 1) * correlation) / n)


def error_of_mean(variance: float, n: int, *, correlation: float = 0.0, bias: float = 0.0) -> float:
    """Mean squared error of the mean of n observations of equal bias: Var(x_bar) + bias^2 (E33).

    From: :func:`variance_of_mean`. Source: as there; the notes have averaging remove systematic
    errors (N2:143), which are the part that it cannot remove.
    """
    of_mean = variance_of_mean(variance, n, correlation=correlation)
    return of_mean + check_real("bias", bias, most=1e150) ** 2


def chi_mean(dim: int) -> float:
    """The mean distance of a noisy curve from its mean, for noise z ~ N(0, I).

    E|z| = sqrt(2) Gamma((dim + 1)/2) / Gamma(dim/2)

    From 300 dimensions on, by the series in 1/dim, whose next term is below 1e-16.
    Source: the colour bar of N2 "信号是方差为零的随机变量" is this distance times the noise's
    standard deviation.
    """
    n = check_count("dim", dim)
    if n < 300:
        return float(np.sqrt(2)) * math.gamma((n + 1) / 2) / math.gamma(n / 2)
    series = 1 / 4 - (1 / 32 + (5 / 128 - (21 / 2048 + 399 / 8192 / n) / n) / n) / n
    return math.sqrt(n) * (1 - series / n)


# ---- matrices of likeness, and their spectra (E21, E22) ------------------------------------------


def kernel_covariance(v: ArrayLike) -> NDArray[np.float64]:
    """The notes' covariance of one signal (E21).

    C_{ij} = exp(-|v_i - v_j|^2)

    It compares the values of one curve with each other, so it is a Gaussian kernel matrix and not
    E[(x_i - mu_i)(x_j - mu_j)]: its diagonal is 1 at every scale, and reordering the samples leaves
    its spectrum as it is. It is positive definite for distinct values.
    Source: N2 "从协方差矩阵看简单与复杂".
    v: (n,), or (n, d) for samples that are vectors themselves. Returns (n, n).

    >>> kernel_covariance([0.0, 1.0]).round(3).tolist()
    [[1.0, 0.368], [0.368, 1.0]]
    """
    v = check_array("v", v).astype(np.float64)
    if v.ndim > 2:
        raise ValueError(
            f"v must have one axis, or two for samples that are vectors, got shape {v.shape}"
        )
    v = v.reshape(len(v), -1)
    with np.errstate(over="ignore"):  # exp(-inf) is 0
        return np.asarray(np.exp(-np.sum((v[:, None] - v[None]) ** 2, axis=-1)))


def spectrum(C: ArrayLike) -> NDArray[np.float64]:
    """Eigenvalues of a covariance, largest first (E22).

    The notes read them off an SVD; singular values are eigenvalues only where no eigenvalue is
    negative, and this raises where one is.
    Source: N2 "从协方差矩阵看简单与复杂".
    C: (n, n), symmetric and positive semidefinite, else ValueError. Eigenvalues within rounding of
    0 are returned as computed.
    """
    return _eigen("C", C)[0]


def effective_rank(C: ArrayLike) -> float:
    """The participation ratio of a covariance (E22).

    r = sum_k(lambda_k)^2 / sum_k(lambda_k^2)

    Between 1, when one direction holds everything, and n, when all hold the same. It equals
    tr(C)^2 / tr(C^2).

    Source: N2 "从协方差矩阵看简单与复杂" ("更低秩"). C: as for :func:`spectrum`; the zero matrix
    has none and raises ValueError.

    >>> effective_rank([[2.0, 0.0], [0.0, 2.0]])
    2.0
    """
    values = spectrum(C)
    if values[0] <= 0:
        raise ValueError("C must not be the zero matrix, whose effective rank is 0 / 0")
    values = values / values[0]  # so that squares neither overflow nor vanish
    return float(values.sum() ** 2 / (values**2).sum())


def random_frequency_covariance(dim: int, band: float) -> NDArray[np.float64]:
    """Covariance of multi-sine signals, each with frequencies of its own (E20, E22).

    The frequencies are uniform in [0, band) Hz.

    C_ij = E cos(2 pi f (tau_i - tau_j)) = sinc(2 band (tau_i - tau_j)),  tau = linspace(0, 1, dim)

    With frequencies that stay fixed the rank is at most 2 K; here it is full, but about 2 band + 1
    eigenvalues hold nearly everything (Slepian's count). Source: N2 "信号生成及扩散参数"; Slepian
    and Pollak 1961.
    """
    tau = np.linspace(0, 1, check_count("dim", dim))
    return np.sinc(2 * check_positive("band", band, most=1e300) * (tau[:, None] - tau[None]))


def sample_covariance(X: ArrayLike) -> NDArray[np.float64]:
    """The covariance of m signals in rows (E23).

    C = (X - x_bar)^T (X - x_bar) / m

    The notes leave out the 1/m, and later the centring.

    Its rank is at most m - 1. For white noise and n <= m it deviates from I by O(sqrt(n/m)) in the
    spectral norm, beyond by O(n/m).

    Source: N2 "附录：协方差矩阵及其变换" (N2:220). X: (m, n). Returns (n, n).
    """
    centred = _centred("X", X)
    with np.errstate(over="ignore", invalid="ignore"):  # refused in the next lines
        cov = centred.T @ centred / len(centred)
    if not np.isfinite(cov).all():
        raise ValueError("X must be small enough for its covariance to fit into float64")
    return cov


# ---- noise with a given covariance (E23) ---------------------------------------------------------


def reshape_noise(X: ArrayLike, C1: ArrayLike) -> NDArray[np.float64]:
    """m rows of noise, turned and stretched until their covariance is C1 (E23).

    Y = (X - x_bar) V Psi V_1^T,    C = (X - x_bar)^T (X - x_bar) / m = V Lambda V^T,
    C_1 = V_1 Lambda_1 V_1^T,    Psi = sqrt(Lambda_1 / Lambda)

    As printed, Cov(X) lacks the 1/m (white noise would have about m I, not I) and X in the last
    line the centring (a mean mu would leave mu mu^T in the result). With both, mean(Y) = 0 and
    Y^T Y / m = C_1, exactly.

    From: U = V for positive semidefinite matrices, so that Psi V^T X^T X V Psi = Lambda_1.
    Source: N2 "附录：协方差矩阵及其变换" (N2:276).

    X: (m, n), any rows; C1: (n, n). m centred rows reach no rank above m - 1. Both spectra are
    sorted from the largest, so where that is below the rank of C1, Psi is 0 on the missing
    directions and Y has the best covariance of its rank: see :func:`reshaping_error`. The form used
    is sqrt(m) W sqrt(Lambda_1) V_1^T with X - mean = W S V^T, which is the same product without the
    division by Lambda.
    """
    centred = _centred("X", X)
    values, V1 = _eigen("C1", C1)
    if len(values) != centred.shape[1]:
        raise ValueError(
            f"C1 must be {centred.shape[1]} by {centred.shape[1]} for rows of X that long, "
            f"got shape {np.shape(C1)}"
        )
    W, size, _ = np.linalg.svd(centred, full_matrices=False)
    rank = int(np.count_nonzero(size > size[0] * max(centred.shape) * np.finfo(float).eps))
    roots = np.sqrt(np.maximum(values[:rank], 0.0))  # eigenvalues that rounding left below 0 are 0
    return np.asarray(np.sqrt(len(centred)) * (W[:, :rank] * roots) @ V1[:, :rank].T)


def reshaping_error(C1: ArrayLike, rank: int) -> float:
    """|Y^T Y / m - C_1|, the Frobenius norm, for :func:`reshape_noise` of a given rank (E23).

    The energy of the tail, sqrt(sum of lambda_i^2 over i > rank), which by Eckart and Young no
    covariance of that rank can undercut; 0 from rank n on. Source: N2:262, where Psi =
    sqrt(Lambda_1 / Lambda) needs Lambda > 0.

    >>> import numpy as np
    >>> round(reshaping_error(np.eye(100), 50), 2)
    7.07
    """
    values = np.maximum(_eigen("C1", C1)[0], 0.0)  # rounding may leave one just below 0
    return float(norm(values[check_count("rank", rank, low=0) :]))


def transport_map(C: ArrayLike, C1: ArrayLike) -> NDArray[np.float64]:
    """The optimal transport from N(0, C) to N(0, C_1), a symmetric matrix (E23).

    A C A = C_1,
    A = C^(-1/2) (C^(1/2) C_1 C^(1/2))^(1/2) C^(-1/2)

    The notes' map V Psi V_1^T gives the same covariance; this one moves x the least on average,
    E|A x - x|^2 = W2^2, though not each x.

    Source: beyond the notes; Olkin and Pukelsheim 1982. C: (n, n), invertible, else ValueError;
    C1: (n, n).
    """
    values, V = _eigen("C", C)
    if values[-1] <= values[0] * (len(values) * np.finfo(float).eps):  # values[0] may be huge
        raise ValueError(
            f"C must be invertible, got eigenvalues from {values[-1]:.3g} to {values[0]:.3g}"
        )
    target, U = _eigen("C1", C1)
    if len(target) != len(values):
        raise ValueError(f"C and C1 must have the same size, got {len(values)} and {len(target)}")
    root = (V * np.sqrt(values)) @ V.T
    inverse = (V / np.sqrt(values)) @ V.T
    roots = np.sqrt(np.maximum(target, 0.0))  # rounding may leave one just below 0
    half = (U * roots) @ U.T @ root
    # (C^{1/2} C_1 C^{1/2})^{1/2} = (half^T half)^{1/2}, taken from the SVD of half: its small
    # singular values are not squared away.
    if not np.isfinite(half).all():
        raise ValueError("C and C1 must be small enough for their product to fit into float64")
    _, size, W = np.linalg.svd(half)
    return np.asarray(inverse @ ((W.T * size) @ W) @ inverse)


# ---- what the chain does to a covariance (E3, E5) ------------------------------------------------


def covariance_of_sum(
    a: float, C_x: ArrayLike, b: float, C_y: ArrayLike, C_xy: ArrayLike | None = None
) -> Array:
    """The covariance of a X + b Y, C_xy = E[(X - EX)(Y - EY)^T], None where they are independent.

    Cov(a X + b Y) = a^2 C_x + b^2 C_y + a b (C_xy + C_xy^T)

    With a = sqrt(1 - beta_t), b = sqrt(beta_t) and white Y this is E3. The notes print
    2 a b Cov(X, Y), which is the same only where C_xy is symmetric.
    Source: N2 "从方差的角度理解扩散递归" (N2:330-343).
    All matrices: (n, n), or stacks of such. Returns the same shape.

    >>> covariance_of_sum(2.0, [[1.0]], 3.0, [[1.0]], [[0.5]])
    array([[19.]])
    """
    matrices = {"C_x": C_x, "C_y": C_y} if C_xy is None else {"C_x": C_x, "C_y": C_y, "C_xy": C_xy}
    checked = [check_square(name, C).astype(np.float64) for name, C in matrices.items()]
    if len({C.shape for C in checked}) > 1:
        shapes = ", ".join(str(C.shape) for C in checked)
        raise ValueError(f"{', '.join(matrices)} must have the same shape, got {shapes}")
    a, b = check_real("a", a, most=1e150), check_real("b", b, most=1e150)
    total = _times(a, a, checked[0]) + _times(b, b, checked[1])
    if C_xy is not None:
        total = total + _times(a, b, checked[2] + np.swapaxes(checked[2], -1, -2))
    return total


def _times(a: float, b: float, C: Array) -> Array:
    """a b C, where a b may not be a float although the product is."""
    (a, i), (b, j) = math.frexp(a), math.frexp(b)
    return np.asarray(np.ldexp(a * b * C, i + j))


def covariance_two_steps(schedule: Schedule, Sigma: ArrayLike, t: int) -> Array:
    """Sigma_t from Sigma_{t-2}: the recursion of the covariance put into itself once (E3).

    Sigma_t = a Sigma_{t-2} + b I,    a = (1 - beta_t)(1 - beta_{t-1}),  b = 1 - a

    Repeated, this gives alpha_bar_t = product of (1 - beta_s) and E5.

    From: E3 twice; b = beta_t + (1 - beta_t) beta_{t-1}, a sum without cancellation. Source: N2
    "通过链式推导实现状态跨越" (N2:371-376). Sigma: (n, n), the covariance of x_{t-2}; 2 <= t <= T,
    a single integer.
    """
    Sigma, t = check_square("Sigma", Sigma).astype(np.float64), check_step("t", t, 2, of=schedule)
    a, b = schedule.between(t - 2, t)
    return np.asarray(a * Sigma + b * np.eye(Sigma.shape[-1]))


def kl_to_noise(distribution: Gaussian, schedule: Schedule) -> NDArray[np.float64]:
    """KL(q(x_t) || N(0, I)) for every t: how far the chain is from its limit (E5, E30).

    lim q(x_t) = N(0, I)  exactly if  lim alpha_bar_t = 0,  which is  sum of all beta_t = infinity,
    unless the data are N(0, I) themselves, which every schedule leaves as they are

    The notes ask for beta_1 < beta_2 < ... < C < 1. That is enough, because then
    alpha_bar_t <= (1 - beta_1)^t, but not needed: equal betas do as well, and betas that fall as
    1/t still do. With beta_t = 1/(t + 1)^2 half of the variance is the signal's for ever.
    Source: N2 "扩散模型的扩散过程" (N2:304-306).
    Returns (T + 1,), index t; entry 0 is inf for a singular distribution.

    >>> from ddpm_np.closed_form.distributions import PointMass
    >>> kl_to_noise(PointMass([1.0]), Schedule.from_beta([0.5, 0.6, 0.7])).round(4).tolist()
    [inf, 0.3466, 0.1116, 0.0309]
    """
    if not isinstance(distribution, Gaussian):
        raise TypeError(f"distribution must be a Gaussian, got {type(distribution).__name__}")
    check_instance("schedule", schedule, Schedule)
    kept, rest = schedule.alpha_bar[:, None], schedule.one_minus_alpha_bar[:, None]
    levels = distribution.levels
    with np.errstate(divide="ignore", over="ignore"):
        spreads = excess(kept * (levels - 1), np.log(kept * levels + rest))
        means = np.square(norm(np.sqrt(kept) * distribution.mean))
    return np.asarray(means + spreads @ distribution.counts) / 2


def spectrum_at(schedule: Schedule, values: ArrayLike, t: Steps) -> NDArray[np.float64]:
    """Eigenvalues of Sigma_t from those of Sigma_0; the eigenvectors are unchanged (E5).

    lambda_t = 1 + alpha_bar_t (values - 1)

    From: E5 in the basis of Sigma_0, where I stays I. Source: N2 "扩散模型的扩散过程" ("蚂蚁搬家",
    N2:284) and N2:400. values: (n,); t: int or (k,), 0 <= t <= T. Returns (n,) or (k, n).
    """
    values, t = check_array("values", values, ndim=1), check_steps("t", t, 0, of=schedule)
    dtype = np.result_type(values.dtype, np.float64)
    kept, noise = schedule.alpha_bar[t], schedule.one_minus_alpha_bar[t]
    return np.asarray(per_row(kept, dtype) * values + per_row(noise, dtype))


def end_noise_correlation(schedule: Schedule, t: Steps) -> Any:
    """Correlation of the eps inside x_t with the eps inside the end of the chain x_T (E6).

    sqrt(alpha_bar_T / alpha_bar_t) sqrt(1 - alpha_bar_t) / sqrt(1 - alpha_bar_T)

    The network is trained on the first. The notes call it the second, the limit of the chain
    (N2:439), which x_t hardly knows.
    From: E4 from t to T, whose fresh noise is independent of x_t.
    Source: N2 "扩散模型的训练过程".
    t: 1..T, int or integer array. It is 1 at t = T. The ratio of the two alpha_bar comes from
    :meth:`ddpm_np.schedule.Schedule.between`, so that it is right where they underflow.
    """
    t, T = check_steps("t", t, 1, of=schedule), schedule.T
    # no step leads from T to T, where the ratio is 1
    kept = np.where(np.equal(t, T), 1.0, schedule.between(np.minimum(t, T - 1), T)[0])
    return np.sqrt(kept) * np.sqrt(
        schedule.one_minus_alpha_bar[t] / schedule.one_minus_alpha_bar[T]
    )


def end_noise_loss(schedule: Schedule, floor: ArrayLike) -> NDArray[np.float64]:
    """The least loss, per t, of a network that is to predict the noise inside x_T (E6, E25).

    1 - rho_t^2 (1 - floor_t) = beta_{T|t} / (1 - alpha_bar_T) + rho_t^2 floor_t

    with rho_t of :func:`end_noise_correlation` and floor_t of
    :func:`ddpm_np.closed_form.ideal.optimal_loss`. The second form is in use: nothing cancels.

    From: the end's noise is rho_t eps + sqrt(1 - rho_t^2) fresh noise, so that its mean given x_t
    is rho_t eps_star, of mean square rho_t^2 (1 - floor_t). Source: N2:439.
    floor: (T + 1,). Returns (T + 1,), entry 0 NaN.
    """
    T = check_instance("schedule", schedule, Schedule).T
    floor = check_array("floor", floor, ndim=1, dim=T + 1, finite=False)
    t = np.arange(1, T + 1)
    fresh = np.append(schedule.between(t[:-1], T)[1] if T > 1 else [], 0.0)
    fresh = fresh / schedule.one_minus_alpha_bar[T]
    return np.append(np.nan, fresh + end_noise_correlation(schedule, t) ** 2 * floor[1:])


def _centred(name: str, X: ArrayLike) -> NDArray[np.float64]:
    rows = check_array(name, X, ndim=2).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # refused in the next lines
        centred = rows - rows.mean(axis=0)
        # A mean is right to one ulp of |X|, much for rows that hardly differ; a second one helps.
        centred = centred - centred.mean(axis=0)
    if not np.isfinite(centred).all():
        raise ValueError(f"{name} must be small enough for a finite mean")
    return np.asarray(centred)


def _eigen(name: str, C: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues from the largest, and their vectors, of a covariance (to rounding)."""
    given = check_square(name, C)
    if given.ndim != 2:
        raise ValueError(f"{name} must be a single matrix, got shape {given.shape}")
    matrix = float_array(name, given)
    values, vectors, _ = eigen(name, matrix, np.finfo(given.dtype).eps)
    return values, vectors
