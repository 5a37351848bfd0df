"""One table of public functions with good arguments, and what each must refuse in their place.

The name of an argument says its kind: array, step, count, generator and so on. A call of the table
says only where it departs from that. tests/test_refusals.py tries every refusal that follows, and
tests/hostile_calls.py what is stranger.
"""

import inspect
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ddpm_np import MLP, MultiSine, Schedule, forward, posterior, sampling, signals, training
from ddpm_np import _checks as checks
from ddpm_np.closed_form import (
    covariance,
    guidance,
    ideal,
    latent,
    likelihood,
    patches,
    probability_flow,
    reverse,
)
from ddpm_np.closed_form.distributions import (
    Empirical,
    Gaussian,
    GaussianMixture,
    PointMass,
    Rings,
    kl_divergence,
    rings,
    wasserstein2,
)
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.learning import fast, layers, optimizer, random_numbers, unet
from ddpm_np.learning.state import TrainingState
from ddpm_np.proof.exact import Exact

HUGE = 10**400  # no float64, and no length of an array
NAN, INF = np.nan, np.inf
DIM, T = 3, 4
SCHEDULE = Schedule.from_beta([0.1, 0.2, 0.3, 0.4])
X, Y = np.array([[0.5, -1.0, 2.0], [0.1, 0.2, -0.3]]), np.array([[1.0, 0.0, -0.5], [2.0, 0.3, 0.4]])
SIGMA = np.diag([1.0, 0.5, 0.25])
GAUSSIAN, OTHER = Gaussian(X[0], SIGMA), Gaussian(Y[0], np.eye(DIM))
MIXTURE = GaussianMixture([0.4, 0.6], X, np.stack([SIGMA, np.eye(DIM)]))
RINGS = Rings(4, radius=1.0, spread=0.2)
IDEAL = IdealDenoiser(GAUSSIAN, SCHEDULE)
FIT = MLP(DIM, T, hidden=(4,), rng=np.random.default_rng(0))
FAINT = Schedule.from_beta([1e-100])
UNFIT = MLP(DIM, T + 1, hidden=(4,), rng=np.random.default_rng(0))
DECODER = latent.LinearDecoder(np.array([[1.0], [0.5]]), np.array([0.1, 0.2]), 0.3)


def rng():
    return np.random.default_rng(0)


def network(**options):
    return MLP(DIM, T, hidden=(4,), rng=rng(), dtype=np.float64, **options)


# ---- kinds --------------------------------------------------------------------------------------


class Odd:
    """An object of a kind that no function expects."""

    T = "x"

    def __repr__(self):
        raise RuntimeError("no repr")


class Good(NamedTuple):
    """A good argument, and what is a TypeError, a ValueError and just good in its place."""

    value: Any
    types: list[Any] = []
    values: list[Any] = []
    edges: list[Any] = []

    def and_not(self, *values, types=()):
        return Good(self.value, [*self.types, *types], [*self.values, *values], self.edges)

    def but(self, *allowed):
        """The same where these are allowed."""
        kept = [
            [
                v
                for v in wrong
                if not any(v is a or type(v) is type(a) is float and v == a for a in allowed)
            ]
            for wrong in (self.types, self.values)
        ]
        return Good(self.value, *kept, self.edges)


MASKED = np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False])
NO_NUMBER = [None, "1", 1j, {1.0}, True, np.ma.masked, np.ones(2), Odd()]
NO_OBJECT = [None, 3, [0.1], "f", Odd()]


def array(value, *, dim=True, finite=True):
    """Finite numbers of that shape; with ``dim`` no other length of the last axis."""
    shape = np.shape(value)
    types = [None, "abc", {1.0}, MASKED, [MASKED], [10**30, None]]
    types += [np.full(shape, v) for v in ("1", 1j, None, Fraction(1), True)]
    one = np.array(value, dtype=float)
    one.flat[-1] = NAN
    values = [one, np.where(np.isnan(one), INF, one), np.full(shape, -INF, "f4")] * finite
    values += [[], np.zeros((*shape[:-1], 0)), np.zeros((0, *shape[1:])), 1.0, [[1.0], [1.0, 2.0]]]
    values += [np.full(shape, HUGE), np.ones((*shape[:-1], shape[-1] + 1))][: 1 + dim]
    return Good(value, types, values)


def batch(value, *, finite=True):
    """Rows that must fit another batch of two."""
    return array(value, finite=finite).and_not(np.ones((3, np.shape(value)[-1])))


def square(value, *, dim=True):
    return array(value).and_not(np.ones(len(value)), *[np.ones((2, 2)), np.ones((4, 4))][: 2 * dim])


def covariance_matrix(value, *, dim=True):
    skew = np.array(value, dtype=float)
    skew[0, -1] += 0.1
    return square(value, dim=dim).and_not(skew, -np.eye(len(value)))


def step(value, low=1, high=T):
    wrong = [float(value), "1", 1j, None, True, [value], np.array([1, 2]), MASKED]
    return Good(value, wrong, [low - 1, high + 1, HUGE, -HUGE], [low, high])


def steps(value, low=1, high=T, *, fits=True):
    """A step, or an array of steps that must fit a batch of two."""
    types = [1.0, "1", None, True, 1j, [1.0, 2.0], [True, False], [1, "2"], [1, None], MASKED]
    values = [low - 1, high + 1, 10**20, HUGE, [low, high + 1], np.array([2, low - 1]), [1, HUGE]]
    values += [np.array([], int), [[1], [1, 2]], np.array([2, 2, 2]), [[2], [2]]][: 2 + 2 * fits]
    return Good(value, types, values, [low, high])


def route(value):
    """How many steps, or which."""
    types = [2.0, "3", True, [1.0, 4.0], ["1", "4"], [True], []]
    values = [0, -1, T + 1, [1, 2], [4, 4], [2, 1, 4], [0, 4], [1, 5], [[1, 4]]]
    return Good(value, types, [*values, np.array([], int), HUGE], [1, T, [T], [1, T]])


def count(value, low=1):
    wrong = [float(value), "1", 1j, None, True, np.True_, [value], np.array([1, 2])]
    return Good(value, wrong, [low - 1, -1, HUGE, -HUGE], [low])


def real(value):
    return Good(value, NO_NUMBER, [NAN, INF, -INF, HUGE, -HUGE, Fraction(HUGE)])


def positive(value):
    return real(value).and_not(0, 0.0, -0.1)


def not_negative(value):
    return real(value).and_not(-0.1, -5e-324)._replace(edges=[0, 0.0])


def fraction(value):
    return real(value).and_not(-0.1, 1.1)._replace(edges=[0, 1.0])


def below_one(value):
    return fraction(value).and_not(1.0)._replace(edges=[0.0])


def flag(value):
    return Good(value, [0, 1, "yes", None, [], np.array([True])])


def dtype(value):
    return Good(value, [int, "float16", np.longdouble, complex, "nonsense", 3, object])


def choice(value):
    return Good(value, [], ["none of them", None, [], 3, np.ones(2)])


def instance(value):
    """An object of its class, or with its methods."""
    return Good(value, [*NO_OBJECT, type(value)])


GENERATOR = Good(rng(), [None, 0, np.random, np.random.RandomState(0), np.random.PCG64(0)])
SHAPES = [lambda x, t: x[0], lambda x, t: x.T, lambda x, t: 0.0, lambda x, t: x * NAN]
DENOISER = Good(IDEAL, [*NO_OBJECT, MLP, lambda x, t: x * 1j], SHAPES)
VARIANCE = Good(np.full(T + 1, 0.1), [None, ["a"] * 5, [1j] * 5]).and_not(
    "small", np.ones(4), np.ones((5, 1)), [0.0, 1.0, -1e-9, 1.0, 1.0], [0.1] * 4 + [NAN], [], 0.5
)

# The kind of an argument, by its name.
BY_NAME = {
    "schedule": instance(SCHEDULE),
    "rng": GENERATOR,
    "denoiser": DENOISER,
    "distribution": instance(GAUSSIAN),
    "prior": instance(GAUSSIAN),
    "p": instance(GAUSSIAN),
    "q": instance(OTHER),
    "terminal": instance(OTHER),
    "network": instance(network()),
    "variance": VARIANCE,
    "dtype": dtype(np.float64),
    "t": steps(2),
    "s": step(1, 0, 1),
    "n": count(2),
    "dim": count(DIM),
    "T": count(T),
    "eta": fraction(0.5),
    "kept": not_negative(0.5),
    "noise": not_negative(0.3),
    "beta_1": below_one(0.9),
    "beta_2": below_one(0.99),
    "eps": batch(Y),
    "eps_star": batch(Y),
    "x": array(X),
    "trajectory": flag(True),
    "steps": route(2),
    **{name: batch(X) for name in ("x_prev", "x_s", "x_0", "x_t", "eps_hat", "score", "v")},
    "Sigma": square(SIGMA, dim=False),
    **{name: covariance_matrix(SIGMA, dim=False) for name in ("C", "C1")},
}


# ---- the table ----------------------------------------------------------------------------------


class Case(NamedTuple):
    """A call, its good arguments, and what a message names in place of an argument."""

    call: Callable[..., Any]
    arguments: dict[str, Good]
    also_named: frozenset[str]

    @property
    def values(self):
        return {name: good.value for name, good in self.arguments.items()}


CASES = {}


def case(call, *also_named, name="", **given):
    """Enters a call: all its arguments, of the kind given here or the one of their name."""
    arguments = {}
    for key, parameter in inspect.signature(call).parameters.items():
        good = given.pop(key, None) or BY_NAME[key]
        arguments[key] = good.but(None) if parameter.default is None else good
    assert not given, f"{call} takes no {', '.join(given)}"
    CASES[name or call.__qualname__] = Case(call, arguments, frozenset(also_named))


END = {"beta_min": fraction(0.1), "beta_max": below_one(0.2)}
case(
    Schedule.from_beta,
    beta=array([0.1, 0.2], dim=False).and_not([0.1, 0.0], [1.0, 0.1], [2, 0.1], [-0.1]),
)
case(Schedule.linear, "beta", **END)
case(Schedule.sigmoid, "beta", **END, span=positive(6.0))
case(Schedule.cosine, "beta", s=not_negative(0.01), beta_max=below_one(0.9))
case(SCHEDULE.between, s=steps(1, 0, 2, fits=False), t=steps(3, 2, fits=False))
case(forward.q_step)
case(forward.q_skip, s=steps(1, 0, 2), t=steps(3, 2))
case(forward.q_sample, t=steps(2, 0))
case(forward.q_mean_variance, x_0=array(X, dim=False), t=steps(2, 0))
STACK = square(np.stack([SIGMA, SIGMA]), dim=False)
case(forward.covariance_step, Sigma_prev=STACK)
case(forward.covariance_at, Sigma_0=STACK, t=steps(2, 0))
case(posterior.psi_1, t=steps(2, 2))
case(posterior.psi_2, t=steps(2, 2, fits=False))
case(posterior.posterior_mean_variance)
case(posterior.posterior_mean_from_eps)
case(posterior.predict_x0)
case(posterior.predict_eps)
ROUTE = {"t": step(3, 2), "s": step(1, 0, 2)}
ROUTES = {"t": steps(3, 2, fits=False), "s": steps(1, 0, 2, fits=False)}
case(sampling.ancestral_step, "s", **ROUTES)
case(sampling.ddim_step, "s", **ROUTES)
case(sampling.ancestral_steps, steps=route(2).but(None), last=step(4, 0))
case(sampling.ddim_steps, steps=route(2).but(None), last=step(4, 0))
case(sampling.step_sequence, last=step(4, 0))
START = Good((X, 4), [X, (X,), "ab", 3], [(X[:1], 4), (X[:, :2], 4), (X, 5), (X * NAN, 4)])
case(sampling.ancestral_sample, start=START)
case(sampling.ddim_sample, start=START)
case(signals.multi_sine_curve, dim=count(5, 2), n_frequencies=count(2))
FREQUENCIES = array([1.0, 2.0], dim=False).but(1.0).and_not([1e301], np.ones((2, 2)))
SCALE = array([1.0, 0.5]).but(1.0).and_not(-1.0, [1.0, -0.5])
case(MultiSine, frequencies=FREQUENCIES, scale=SCALE, noise=not_negative(0.1))
case(MultiSine.random, n_frequencies=count(2))
case(MultiSine([1.0, 2.0], dim=DIM).sample)
TABLE = array(np.ones(T + 1))
BASIS = array(np.eye(T + 1), dim=False).and_not(np.ones(T + 1), np.ones((T, 2)))
WIDTHS = Good((4, 2), [(4.0,), ("4",), (True,)], [(), 3, None, (4, 0), (-2,), (HUGE,)])
FLAGS = {name: flag(False) for name in ("zero_output", "mirrored")}
case(MLP, hidden=WIDTHS, skip=TABLE, basis=BASIS, **FLAGS)
case(MLP.notes)
case(network().forward, "t", x=batch(X).and_not(np.ones(3)), t=steps(np.array([1, 4])))
case(network(), name="MLP.__call__", x=array(X).and_not(np.ones(3)), t=steps(3))
case(
    lambda d_eps_hat: (lambda net: net.backward(d_eps_hat, net.forward(X, 2)[1]).flat)(network()),
    name="MLP.backward",
    d_eps_hat=batch(Y, finite=False),
)
case(unet.preconditioning, mean_square=positive(0.5))
case(
    unet.UNet,
    size=count(4).and_not(5)._replace(edges=[2]),
    widths=WIDTHS.but((4, 2)),
    layers=count(1).and_not(1001),
    skip=TABLE,
    gain=TABLE,
    basis=BASIS,
    wrap=flag(True),
)
case(
    layers.Layer, width=count(3), activation=choice("silu"), step=choice("gate"), leak=fraction(0.1)
)
case(layers.step_basis, one_minus_alpha_bar=array([0.0, 0.1, 0.3], dim=False), size=count(2, 2))
DENSITY = array(np.ones(T + 1)).and_not(np.zeros(T + 1), -np.ones(T + 1))
case(training.balanced_steps, n=count(5), step_density=DENSITY)
case(training.denoising_loss, eps_hat=batch(X, finite=False))
TRAIN = {"steps": count(2), "batch_size": count(3), "learning_rate": positive(1e-3)}
case(
    training.train,
    **TRAIN,
    state=Good(None, [3, TrainingState]),
    warmup=count(1, 0).and_not(2),
    max_norm=positive(1.0),
    balanced=flag(True),
    step_density=DENSITY,
    gradient=Good(None, [*NO_OBJECT, fast.FastGradient]),
)
ADAMW = {"eps": positive(1e-8), "weight_decay": not_negative(0.1)}
case(TrainingState, ema_decay=below_one(0.9), muon_rate=not_negative(0.5), **ADAMW)
case(
    lambda rate, momentum: optimizer.Muon(8, kernels=[(0, 2, 2)], rate=rate, momentum=momentum),
    name="Muon",
    rate=positive(0.5),
    momentum=below_one(0.95),
)
case(optimizer.AdamW, size=count(3), **ADAMW)
case(lambda decay: optimizer.EMA(np.ones(3), decay), name="EMA", decay=below_one(0.9))
NO_ROOM = [None, 3, [0.1], np.zeros(4, int), np.zeros(4, np.float16), np.zeros(4, complex)]
case(random_numbers.fill_normal, out=Good(np.zeros((2, 3)), NO_ROOM))

VECTOR, MATRIX = array(X[0]).and_not(X), covariance_matrix(SIGMA)
AXES = array(np.eye(3)).and_not(np.ones((3, 3)))
SPECTRUM = array([2.0, 1.0, 0.0]).and_not([1.0, -1.0, 0.0])
case(Gaussian, mean=VECTOR, cov=MATRIX)
case(Gaussian.from_factor, "factor", mean=VECTOR, factor=array(Y))
case(Gaussian.from_spectrum, mean=VECTOR, axes=AXES, spectrum=SPECTRUM)
case(PointMass, x=array(X[0], dim=False).and_not(X))
case(Empirical, points=array(X, dim=False).and_not(X[0]))
case(
    GaussianMixture,
    weights=array([0.5, 0.5]).and_not([0.5, 0.4], [1.5, -0.5], [[0.5, 0.5]]),
    means=array(X).and_not(X[0]),
    covs=array(np.stack([SIGMA, SIGMA])).and_not(SIGMA, np.ones((2, 3, 3)) - 2 * np.eye(3)),
)
case(Rings, size=count(4, 4), radius=positive(1.0), spread=positive(0.2))
for distribution in (GAUSSIAN, MIXTURE, Empirical(X), RINGS):
    case(distribution.sample)
    case(distribution.noised)
    case(distribution.diffuse, name=f"{type(distribution).__name__}.diffuse", t=step(2, 0))
for distribution in (GAUSSIAN, MIXTURE, Empirical(X).noised(1.0, 1.0)):
    case(distribution.logpdf)
    case(distribution.score)
    case(distribution.divergence)
case(GAUSSIAN.coordinates)
case(rings.nearest_ring, x=array(np.ones((1, 16))), radius=positive(1.0))
case(kl_divergence)
case(wasserstein2)
case(IdealDenoiser)
case(IDEAL, name="IdealDenoiser.__call__", x_t=array(X))
case(IDEAL.at, noise=positive(0.3))
case(IDEAL.divergence, noise=positive(0.3))
case(ideal.score_from_eps, eps_star=array(Y, dim=False))
case(ideal.eps_from_score, score=array(Y, dim=False))
case(ideal.v_from_x0_eps)
case(ideal.x0_from_v)
case(ideal.eps_from_v)
case(ideal.optimal_loss)
case(ideal.optimal_variance)
case(ideal.estimate_floor, n=count(4, 2))
case(ideal.estimate_loss, n=count(4, 2))
case(ideal.estimate_excess, n=count(4, 2))
PICTURES = array(np.ones((2, 9))).and_not(np.ones((2, 5)))
case(patches.PatchDenoiser, pictures=PICTURES, patch=count(3).and_not(2), placed=flag(True))
case(
    patches.PatchDenoiser(np.eye(9)[:2], SCHEDULE, patch=3),
    name="PatchDenoiser.__call__",
    x_t=array(np.ones((2, 9))).and_not(np.ones(9), np.ones((1, 2, 9))),
    t=steps(2),
)
case(reverse.reverse_kernel, "s", x_t=array(X), **ROUTE)
case(reverse.reverse_variance, "s", **ROUTE)
case(reverse.sampler_distribution, variance=VARIANCE.but(None), eta=Good(None))
case(likelihood.nll)
case(lambda dim: likelihood.bits_per_dim(1.0, dim), name="bits_per_dim")
case(
    likelihood.vlb_terms,
    denoiser=Good(network(), NO_OBJECT, SHAPES),
    data=Good(GAUSSIAN, ["f", None, Gaussian], [[0.1], X[:, :2], X * NAN]),
    decoder_variance=positive(0.1),
    n=count(4, 2),
)
IDEALS = instance(IDEAL).and_not(types=(network(), lambda x, t: x))
case(probability_flow.probability_flow_logpdf, denoiser=IDEALS, x=array(X[:1]))
case(probability_flow.probability_flow_sample, denoiser=IDEALS, n=count(1))
OBSERVED = steps([0, 2], 0, 2, fits=False).and_not([0, 0], [0])
MEASURED = {"observed": OBSERVED, "y": array([0.1, 0.2]), "noise": positive(0.1)}
case(guidance.condition, **MEASURED)
case(guidance.GuidedDenoiser, **MEASURED, spread=choice("exact"))
LATENT = {"decoder": Good(DECODER, NO_OBJECT), "x": array([0.1, 0.2]), "noise": positive(0.3)}
case(latent.LinearDecoder, W=array([[1.0], [2.0]], dim=False), mu=array([0.0, 1.0]))
case(DECODER, name="LinearDecoder.__call__", z=array([[0.1], [0.2]]))
case(DECODER.posterior, x=array([0.1, 0.2]).and_not(np.zeros((1, 2))), broaden=positive(1.5))
case(latent.decoder_log_likelihood, x=array(X), mean=array(Y), noise=positive(0.2))
case(
    latent.quadrature, "z", "decoder", **LATENT, latent_dim=count(1).and_not(3), nodes=count(401, 2)
)
case(latent.naive_monte_carlo, "z", "decoder", **LATENT, latent_dim=count(1), n=count(4, 2))
case(
    latent.importance_sampling,
    "z",
    "decoder",
    **LATENT,
    proposal=instance(Gaussian([0.0], [[1.0]])).and_not(PointMass([0.3]), Empirical([[0.3], [1]])),
    n=count(4, 2),
)
case(latent.zero_one, "z", "decoder", decoder=LATENT["decoder"], x=LATENT["x"], latent_dim=count(1))
case(latent.ppca, mean=VECTOR, cov=MATRIX, latent_dim=count(1).and_not(3))
MEAN = {"variance": not_negative(2.0), "correlation": real(0.1).and_not(-1.1, 1.1)}
case(covariance.variance_of_mean, **MEAN)
case(covariance.error_of_mean, **MEAN, bias=real(0.1).and_not(1e151))
case(covariance.chi_mean)
case(covariance.kernel_covariance, v=array([0.1, 0.2, 0.3], dim=False).and_not(np.zeros((2, 2, 2))))
case(covariance.spectrum)
case(covariance.effective_rank, C=BY_NAME["C"].and_not(np.zeros((2, 2))))
case(covariance.random_frequency_covariance, band=positive(0.5))
case(covariance.sample_covariance, X=array(X, dim=False).and_not(X[0]))
case(covariance.reshape_noise, X=array(np.vstack([X, Y])).and_not(X[0]), C1=MATRIX)
case(covariance.reshaping_error, rank=count(2, 0))
case(covariance.transport_map, C=MATRIX.and_not(np.ones((3, 3))), C1=MATRIX)
SUM = {name: square(SIGMA) for name in ("C_x", "C_y", "C_xy")}
case(covariance.covariance_of_sum, a=real(1.0).and_not(1e151), b=real(2.0).and_not(-1e151), **SUM)
case(covariance.covariance_two_steps, t=step(2, 2))
case(covariance.kl_to_noise)
case(covariance.spectrum_at, values=array([1.0, 0.5], dim=False), t=steps(2, 0, fits=False))
case(covariance.end_noise_correlation, t=steps(2, fits=False))
case(covariance.end_noise_loss, floor=array(np.ones(T + 1), finite=False))

# The checks themselves.
case(lambda x: checks.check_array("x", x), name="check_array", x=array(X, dim=False))
case(lambda x: checks.check_square("x", x), name="check_square", x=square(SIGMA, dim=False))
case(lambda t: checks.check_steps("t", t, 1, T, batch=(2,)), name="check_steps", t=steps([1, 2]))
case(lambda t: checks.check_step("t", t, 1, T), name="check_step", t=step(2))
case(lambda n: checks.check_count("n", n), name="check_count", n=count(2))
case(lambda x: checks.check_real("x", x), name="check_real", x=real(1.0))
case(lambda x: checks.check_positive("x", x), name="check_positive", x=positive(1.0))
case(lambda x: checks.check_fraction("x", x), name="check_fraction", x=fraction(1.0))
case(lambda x: checks.check_flag("x", x), name="check_flag", x=flag(True))
case(lambda x: checks.check_choice("x", x, "a", "b"), name="check_choice", x=choice("a"))
case(lambda x: checks.check_function("x", x), name="check_function", x=Good(len, [*NO_OBJECT, MLP]))
case(lambda x: checks.check_instance("x", x, Schedule), name="check_instance", x=instance(SCHEDULE))
case(
    lambda x: checks.check_methods("x", x, "T", "beta"), name="check_methods", x=instance(SCHEDULE)
)
case(checks.check_dtype)
case(lambda rng: checks.check_generator(rng), name="check_generator")

# ---- where arguments must fit each other --------------------------------------------------------

EXACT, LONG = Schedule.from_beta([Exact(1, 3)]), Schedule.from_beta([1 - 1e-16] * 25)
ONE = latent.LinearDecoder([[1.0]], [0.0], 1.0)
WHITE, POINT, POINTS = Gaussian([0.0], [[1.0]]), PointMass([0.0]), Empirical([[0.0], [1.0]])
MIXED = GaussianMixture([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[0.0]]])


def trained(**changed):
    return next(training.train(**CASES["train"].values | changed))


class Doubled(MLP):
    """A subclass that computes something else, which the fast twin does not know."""

    def forward(self, x, t):
        eps_hat, cache = super().forward(x, t)
        return 2 * eps_hat, cache


class Wide(Gaussian):
    """A distribution whose signals are longer than it says."""

    def __init__(self):
        super().__init__(X[0], SIGMA)

    def sample(self, n, **options):
        return np.ones((n, DIM + 1))


DOUBLED = Doubled(DIM, T, hidden=(4,), rng=rng())


def taught():
    """A network that knows its schedule, a new one each time: a planted bug may change it."""
    network_ = network()
    trained(network=network_)
    return network_


def rows():
    """Each call of tests/refusals.txt with its error and message."""
    found, calls = [], []
    for line in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            message = line.strip().removeprefix("TypeError: ")
            error = TypeError if "TypeError: " in line else ValueError
            found += [(call, error, message) for call in calls]
            calls = []
        elif line and not line.startswith("#"):
            calls.append(line)
    return found
