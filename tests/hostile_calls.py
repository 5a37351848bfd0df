"""Public functions called with one argument that makes no sense, or that is as large as can be.

Each call must return, or raise a TypeError or ValueError of one line that names the argument. From
finite arguments it must not return NaN or infinity without a warning.
"""

from __future__ import annotations

import copy
import random
import re
import warnings
from collections.abc import Callable, Iterator
from numbers import Number
from typing import Any

import numpy as np

from ddpm_np import MLP, MultiSine, Schedule, forward, posterior, sampling, signals, training
from ddpm_np.closed_form import (
    covariance,
    guidance,
    ideal,
    latent,
    likelihood,
    probability_flow,
    reverse,
)
from ddpm_np.closed_form.distributions import (
    Empirical,
    Gaussian,
    GaussianMixture,
    PointMass,
    kl_divergence,
    wasserstein2,
)
from ddpm_np.learning import optimizer, random_numbers
from ddpm_np.learning.checkpoint import TrainingState
from ddpm_np.learning.layers import Layer

DIM, T, N = 3, 4, 2
SCHEDULE = Schedule.from_beta([0.1, 0.2, 0.3, 0.4])
X, Y = np.array([[0.5, -1.0, 2.0], [0.1, 0.2, -0.3]]), np.array([[1.0, 0.0, -0.5], [2.0, 0.3, 0.4]])
SIGMA = np.diag([1.0, 0.5, 0.25])
LAW, OTHER = Gaussian(X[0], SIGMA), Gaussian(Y[0], np.eye(DIM))
MIXTURE = GaussianMixture([0.4, 0.6], X, np.stack([SIGMA, np.eye(DIM)]))
IDEAL = ideal.IdealDenoiser(LAW, SCHEDULE)
DECODER = latent.LinearDecoder(np.array([[1.0], [0.5]]), np.array([0.1, 0.2]), 0.3)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def network(**options: Any) -> MLP:
    return MLP(DIM, T, hidden=(4,), rng=rng(), **options)


def last_of(records: Iterator[Any]) -> Any:
    return list(records)[-1]


# Every function with arguments that are in order.
CASES: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "from_beta": (Schedule.from_beta, {"beta": [0.1, 0.2]}),
    "sigmoid": (Schedule.sigmoid, {"T": 5, "beta_max": 0.2, "beta_min": 0.01, "span": 6.0}),
    "linear": (Schedule.linear, {"T": 5, "beta_min": 0.1, "beta_max": 0.2}),
    "cosine": (Schedule.cosine, {"T": 5, "s": 0.01, "beta_max": 0.9}),
    "between": (SCHEDULE.between, {"s": 1, "t": 3}),
    "q_step": (forward.q_step, {"schedule": SCHEDULE, "x_prev": X, "t": 2, "eps": Y}),
    "q_skip": (forward.q_skip, {"schedule": SCHEDULE, "x_s": X, "s": 1, "t": 3, "eps": Y}),
    "q_sample": (forward.q_sample, {"schedule": SCHEDULE, "x_0": X, "t": 2, "eps": Y}),
    "q_mean_variance": (forward.q_mean_variance, {"schedule": SCHEDULE, "x_0": X, "t": 2}),
    "covariance_step": (
        forward.covariance_step,
        {"schedule": SCHEDULE, "Sigma_prev": SIGMA, "t": 2},
    ),
    "covariance_at": (forward.covariance_at, {"schedule": SCHEDULE, "Sigma_0": SIGMA, "t": 2}),
    **{
        name: (getattr(posterior, name), {"schedule": SCHEDULE, first: X, "t": 2, second: Y})
        for name, first, second in [
            ("posterior_mean_from_eps", "x_t", "eps"),
            ("posterior_mean_variance", "x_0", "x_t"),
            ("predict_eps", "x_t", "x_0"),
            ("predict_x0", "x_t", "eps"),
            ("psi_1", "x_0", "x_t"),
        ]
    },
    "psi_2": (posterior.psi_2, {"schedule": SCHEDULE, "t": 2}),
    "ancestral_step": (
        sampling.ancestral_step,
        {"schedule": SCHEDULE, "t": 3, "s": 1, "variance": "beta"},
    ),
    "ddim_step": (sampling.ddim_step, {"schedule": SCHEDULE, "t": 3, "s": 1, "eta": 0.5}),
    "step_sequence": (sampling.step_sequence, {"schedule": SCHEDULE, "steps": 2}),
    "ancestral_sample": (
        sampling.ancestral_sample,
        {
            "denoiser": IDEAL,
            "schedule": SCHEDULE,
            "n": N,
            "dim": DIM,
            "rng": rng(),
            "variance": np.full(T + 1, 0.1),
            "steps": [2, 4],
            "start": (X, 4),
            "trajectory": True,
            "dtype": np.float32,
        },
    ),
    "ddim_sample": (
        sampling.ddim_sample,
        {
            "denoiser": IDEAL,
            "schedule": SCHEDULE,
            "n": N,
            "dim": DIM,
            "rng": rng(),
            "steps": 2,
            "eta": 0.5,
            "start": (X, 4),
            "trajectory": True,
            "dtype": np.float64,
        },
    ),
    "multi_sine_curve": (signals.multi_sine_curve, {"dim": 5, "n_frequencies": 2, "rng": rng()}),
    "MultiSine": (
        MultiSine,
        {"frequencies": [1.0, 2.0], "scale": [1.0, 0.5], "dim": 6, "noise": 0.1},
    ),
    "MultiSine.random": (MultiSine.random, {"n_frequencies": 2, "dim": 6, "rng": rng()}),
    "MLP": (
        MLP,
        {
            "dim": DIM,
            "T": T,
            "hidden": (4, 2),
            "rng": rng(),
            "dtype": np.float64,
            "skip": np.ones(T + 1),
            "zero_output": False,
            "mirrored": False,
        },
    ),
    "MLP.notes": (MLP.notes, {"dim": DIM, "T": T, "rng": rng(), "dtype": np.float64}),
    "MLP.forward": (
        lambda x, t: network(dtype=np.float64).forward(x, t)[0],
        {"x": X, "t": np.array([1, 4])},
    ),
    "MLP.__call__": (network(), {"x": X, "t": 3}),
    "MLP.backward": (
        lambda d_eps_hat: (lambda net: net.backward(d_eps_hat, net.forward(X, 2)[1]).flat)(
            network(dtype=np.float64)
        ),
        {"d_eps_hat": Y},
    ),
    "Layer": (Layer, {"width": 3, "activation": "silu", "step": "gate", "leak": 0.1}),
    "balanced_steps": (training.balanced_steps, {"T": T, "n": 5, "rng": rng()}),
    "denoising_loss": (training.denoising_loss, {"eps_hat": X, "eps": Y}),
    "train": (
        lambda network, **options: last_of(training.train(network, **options)),
        {
            "network": network(),
            "distribution": LAW,
            "schedule": SCHEDULE,
            "steps": 2,
            "batch_size": 3,
            "learning_rate": 1e-3,
            "rng": rng(),
            "warmup": 1,
            "max_norm": 1.0,
            "balanced": True,
        },
    ),
    "TrainingState": (
        TrainingState,
        {
            "network": network(),
            "rng": rng(),
            "ema_decay": 0.9,
            "weight_decay": 0.1,
            "beta_1": 0.9,
            "beta_2": 0.99,
            "eps": 1e-8,
        },
    ),
    "AdamW": (
        optimizer.AdamW,
        {
            "size": 3,
            "dtype": np.float32,
            "beta_1": 0.9,
            "beta_2": 0.99,
            "eps": 1e-8,
            "weight_decay": 0.1,
        },
    ),
    "fill_normal": (random_numbers.fill_normal, {"out": np.zeros((2, 3)), "rng": rng()}),
    "Gaussian": (Gaussian, {"mean": X[0], "cov": SIGMA}),
    "Gaussian.from_factor": (Gaussian.from_factor, {"mean": X[0], "factor": Y}),
    "Gaussian.from_spectrum": (
        Gaussian.from_spectrum,
        {"mean": X[0], "axes": np.eye(3), "spectrum": [2.0, 1.0, 0.0]},
    ),
    "PointMass": (PointMass, {"x": X[0]}),
    "Empirical": (Empirical, {"points": X}),
    "GaussianMixture": (
        GaussianMixture,
        {"weights": [0.5, 0.5], "means": X, "covs": np.stack([SIGMA, SIGMA])},
    ),
    **{
        f"{kind}.{method}": (getattr(law, method), arguments)
        for kind, law in (
            ("Gaussian", LAW),
            ("GaussianMixture", MIXTURE),
            ("Empirical", Empirical(X)),
        )
        for method, arguments in (
            ("sample", {"n": 2, "rng": rng(), "dtype": np.float32}),
            ("noised", {"kept": 0.5, "noise": 0.3}),
            ("diffuse", {"schedule": SCHEDULE, "t": 2}),
            ("logpdf", {"x": X}),
            ("score", {"x": X}),
            ("divergence", {"x": X}),
        )
        if kind != "Empirical" or method in ("sample", "noised", "diffuse")
    },
    "Gaussian.coordinates": (LAW.coordinates, {"x": X}),
    "kl_divergence": (kl_divergence, {"p": LAW, "q": OTHER}),
    "wasserstein2": (wasserstein2, {"p": LAW, "q": OTHER}),
    "IdealDenoiser": (ideal.IdealDenoiser, {"distribution": LAW, "schedule": SCHEDULE}),
    "IdealDenoiser.__call__": (IDEAL, {"x_t": X, "t": 2}),
    "IdealDenoiser.at": (IDEAL.at, {"x": X, "kept": 0.5, "noise": 0.3}),
    "IdealDenoiser.divergence": (IDEAL.divergence, {"x": X, "kept": 0.5, "noise": 0.3}),
    "score_from_eps": (ideal.score_from_eps, {"schedule": SCHEDULE, "eps": X, "t": 2}),
    "eps_from_score": (ideal.eps_from_score, {"schedule": SCHEDULE, "score": X, "t": 2}),
    "v_from_x0_eps": (ideal.v_from_x0_eps, {"schedule": SCHEDULE, "x_0": X, "t": 2, "eps": Y}),
    "eps_from_v": (ideal.eps_from_v, {"schedule": SCHEDULE, "x_t": X, "t": 2, "v": Y}),
    "x0_from_v": (ideal.x0_from_v, {"schedule": SCHEDULE, "x_t": X, "t": 2, "v": Y}),
    "optimal_loss": (ideal.optimal_loss, {"distribution": LAW, "schedule": SCHEDULE}),
    "optimal_variance": (ideal.optimal_variance, {"distribution": LAW, "schedule": SCHEDULE}),
    "estimate_floor": (
        ideal.estimate_floor,
        {"distribution": LAW, "schedule": SCHEDULE, "n": 4, "rng": rng()},
    ),
    **{
        name: (
            getattr(ideal, name),
            {
                "denoiser": network(),
                "distribution": LAW,
                "schedule": SCHEDULE,
                "n": 4,
                "rng": rng(),
            },
        )
        for name in ("estimate_loss", "estimate_excess")
    },
    "reverse_kernel": (
        reverse.reverse_kernel,
        {"distribution": LAW, "schedule": SCHEDULE, "x_t": X, "t": 3, "s": 1},
    ),
    "reverse_variance": (
        reverse.reverse_variance,
        {"distribution": LAW, "schedule": SCHEDULE, "t": 3, "s": 1},
    ),
    "sampler_distribution": (
        reverse.sampler_distribution,
        {
            "distribution": LAW,
            "schedule": SCHEDULE,
            "variance": "posterior",
            "steps": 2,
            "eta": 0.5,
        },
    ),
    "nll": (likelihood.nll, {"distribution": LAW, "x": X}),
    "vlb_terms": (
        likelihood.vlb_terms,
        {
            "denoiser": network(),
            "data": LAW,
            "schedule": SCHEDULE,
            "variance": "beta",
            "decoder_variance": 0.1,
            "n": 4,
            "rng": rng(),
        },
    ),
    "probability_flow_logpdf": (
        probability_flow.probability_flow_logpdf,
        {"denoiser": IDEAL, "schedule": SCHEDULE, "x": X[:1], "terminal": OTHER},
    ),
    "probability_flow_sample": (
        probability_flow.probability_flow_sample,
        {"denoiser": IDEAL, "schedule": SCHEDULE, "n": 1, "rng": rng(), "terminal": OTHER},
    ),
    "condition": (
        guidance.condition,
        {"prior": LAW, "observed": [0, 2], "y": [0.1, 0.2], "noise": 0.1},
    ),
    "GuidedDenoiser": (
        guidance.GuidedDenoiser,
        {
            "prior": LAW,
            "schedule": SCHEDULE,
            "observed": [0],
            "y": [0.1],
            "noise": 0.1,
            "spread": "exact",
        },
    ),
    "LinearDecoder": (latent.LinearDecoder, {"W": [[1.0], [2.0]], "mu": [0.0, 1.0], "noise": 0.1}),
    "LinearDecoder.__call__": (DECODER, {"z": [[0.1], [0.2]]}),
    "LinearDecoder.posterior": (DECODER.posterior, {"x": [0.1, 0.2], "broaden": 1.5}),
    "decoder_log_likelihood": (latent.decoder_log_likelihood, {"x": X, "mean": Y, "noise": 0.2}),
    "importance_sampling": (
        latent.importance_sampling,
        {
            "decoder": DECODER,
            "x": [0.1, 0.2],
            "noise": 0.3,
            "proposal": Gaussian([0.0], [[1.0]]),
            "n": 4,
            "rng": rng(),
        },
    ),
    "naive_monte_carlo": (
        latent.naive_monte_carlo,
        {"decoder": DECODER, "x": [0.1, 0.2], "noise": 0.3, "latent_dim": 1, "n": 4, "rng": rng()},
    ),
    "quadrature": (
        latent.quadrature,
        {"decoder": DECODER, "x": [0.1, 0.2], "noise": 0.3, "latent_dim": 1, "nodes": 401},
    ),
    "ppca": (latent.ppca, {"mean": X[0], "cov": SIGMA, "latent_dim": 1}),
    "variance_of_mean": (
        covariance.variance_of_mean,
        {"variance": 2.0, "n": 3, "correlation": 0.1},
    ),
    "error_of_mean": (
        covariance.error_of_mean,
        {"variance": 2.0, "n": 3, "correlation": 0.1, "bias": 0.1},
    ),
    "chi_mean": (covariance.chi_mean, {"dim": 3}),
    "kernel_covariance": (covariance.kernel_covariance, {"v": [0.1, 0.2, 0.3]}),
    "spectrum": (covariance.spectrum, {"C": SIGMA}),
    "effective_rank": (covariance.effective_rank, {"C": SIGMA}),
    "random_frequency_covariance": (
        covariance.random_frequency_covariance,
        {"dim": 3, "band": 0.5},
    ),
    "sample_covariance": (covariance.sample_covariance, {"X": X}),
    "reshape_noise": (covariance.reshape_noise, {"X": np.vstack([X, Y]), "C1": SIGMA}),
    "reshaping_error": (covariance.reshaping_error, {"C1": SIGMA, "rank": 2}),
    "transport_map": (covariance.transport_map, {"C": SIGMA, "C1": np.eye(3)}),
    "covariance_two_steps": (
        covariance.covariance_two_steps,
        {"schedule": SCHEDULE, "Sigma": SIGMA, "t": 2},
    ),
    "kl_to_noise": (covariance.kl_to_noise, {"distribution": LAW, "schedule": SCHEDULE}),
    "spectrum_at": (covariance.spectrum_at, {"schedule": SCHEDULE, "values": [1.0, 0.5], "t": 2}),
    "end_noise_correlation": (covariance.end_noise_correlation, {"schedule": SCHEDULE, "t": 2}),
    "end_noise_loss": (
        covariance.end_noise_loss,
        {"schedule": SCHEDULE, "floor": [np.nan, 0.1, 0.1, 0.1, 0.1]},
    ),
}

# Results that are documented to be infinite, or NaN, for finite arguments.
INFINITE = {
    "denoising_loss": "the loss is inf where the squares overflow",
    "Gaussian.logpdf": "a point off the support has -inf",
    "Gaussian.score": "NaN off the support",
}


# What a message names in place of an argument, where several arguments meet in it.
ALSO_NAMED = {
    "linear": ["beta"],
    "cosine": ["beta"],
    "sigmoid": ["beta"],
    "importance_sampling": ["z"],
    "quadrature": ["z"],
    "naive_monte_carlo": ["z"],
}

HUGE = 10**400  # no float64


class Odd:
    """An object of a kind that no function expects."""

    T = "x"

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def hostile(valid: Any, chance: random.Random) -> Any:
    """A value for the place of a valid one."""
    shape = np.shape(valid) if isinstance(valid, (list, np.ndarray)) else ()
    if shape and chance.random() < 0.4:
        dtype = chance.choice([np.float64, np.float32])
        large = np.finfo(dtype).max
        return chance.choice(
            [
                np.full(shape, large, dtype),
                np.full(shape, -large, dtype),
                np.full(shape, 1e300, np.float64),
                np.full(shape, np.finfo(dtype).tiny, dtype),
                np.full(shape, np.nan, dtype),
                np.full(shape, np.inf, dtype),
                np.ma.masked_array(np.ones(shape), mask=True),
                np.full(shape, HUGE, object),
                np.full(shape, None),
                np.full(shape, 1j),
                np.full(shape, "x"),
                np.full(shape, True),
                np.ones((*shape, 2)),
                np.ones(shape[:-1]),
                np.zeros((0, *shape[1:])),
                np.full(shape, "2020-01-01", "datetime64[D]"),
                [np.ma.masked_array(np.ones(shape), 1)],
                np.matrix([[1.0, 2.0]]),
                np.full(shape, 2**63, np.uint64),
            ]
        )
    return chance.choice(
        [
            None,
            True,
            False,
            0,
            1,
            -1,
            2,
            HUGE,
            -HUGE,
            2**63,
            0.5,
            -0.5,
            1e308,
            -1e308,
            1e-308,
            5e-324,
            np.nan,
            np.inf,
            -np.inf,
            1j,
            "abc",
            "",
            b"abc",
            [],
            {},
            set(),
            (),
            [1, 2],
            [[1], [1, 2]],
            [None],
            ["a"],
            object(),
            Odd(),
            Odd,
            int,
            lambda *a: None,
            lambda *a: "text",
            np.ones(3),
            np.array(1.0),
            np.array(2),
            np.float32(0.5),
            np.int8(1),
            np.ma.masked,
            range(3),
            np.random.RandomState(0),
            0.1 + 0.2,
            float("1e154"),
            SCHEDULE,
            LAW,
            MIXTURE,
            rng(),
            [HUGE],
            Schedule.from_beta([0.5]),
            np.ones((2, 2, 2)),
            np.datetime64("2020"),
            iter([1]),
        ]
    )


def kind(value: Any) -> str:
    """Numbers, things with a length, and other types by their name."""
    if isinstance(value, Number) and not isinstance(value, bool):
        return "number"
    return "array" if hasattr(value, "__len__") else type(value).__name__


def finite(value: Any) -> bool:
    """Whether all floats in a result are finite; those of objects are not looked into."""
    if isinstance(value, (tuple, list)):
        return all(map(finite, value))
    if isinstance(value, (float, np.floating)):
        return bool(np.isfinite(value))
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return bool(np.isfinite(value).all())
    return True


def is_masked(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(isinstance(v, np.ma.MaskedArray) for v in values)


def finite_argument(value: Any) -> bool:
    try:
        return bool(np.isfinite(np.asarray(value, dtype=float)).all())
    except (TypeError, ValueError, OverflowError):
        return False


def complaint(name: str, argument: str, value: Any) -> str | None:
    """What is wrong with how a function takes a value in the place of an argument."""
    call, valid = CASES[name]
    given = {**copy.deepcopy(valid), argument: value}
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            result = call(**given)
        except (TypeError, ValueError, training.Divergence) as error:
            message = str(error)
            if "\n" in message or len(message) > 400:
                return f"a long message: {message[:80]!r}"
            # A value of the right kind may fit badly to another argument, which is then named.
            names = valid if kind(value) == kind(valid[argument]) else {argument}
            words = re.findall(r"\w+", message)
            said = {*names, argument.removesuffix("s"), "finite", *ALSO_NAMED.get(name, [])}
            if not said & {*words}:
                return f"{type(error).__name__} that does not name it: {message[:90]}"
            return None
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:90]}"
    if isinstance(valid[argument], bool) and not isinstance(value, (bool, np.bool_)):
        return "it takes what is no bool"
    if is_masked(value) or type(value) is int and abs(value) == HUGE:
        return "it takes masked arrays, or a whole number of 401 digits"
    if finite_argument(value) and not finite(result) and not seen and name not in INFINITE:
        if finite(call(**copy.deepcopy(valid))):  # else index 0 is NaN by definition
            return "NaN or infinity without a word"
    return None


def shown(value: Any) -> str:
    """A hostile value in a few words."""
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {value.shape} {str(value.flat[:1])[:20]}"
    return "Odd()" if isinstance(value, Odd) else repr(value)[:60]


def hunt(calls: int, seed: int) -> tuple[int, dict[tuple[str, str, str], str]]:
    """Makes that many calls; what is wrong, by function, argument and complaint."""
    chance, wrong = random.Random(seed), {}
    names = list(CASES)
    for _ in range(calls):
        name = chance.choice(names)
        argument = chance.choice(list(CASES[name][1]))
        value = hostile(CASES[name][1][argument], chance)
        said = complaint(name, argument, value)
        if said is not None:
            wrong.setdefault((name, argument, said), shown(value))
    return calls, wrong
