"""Public functions called with one argument that makes no sense, or that is as large as can be.

Each call must return, or raise a TypeError or ValueError of one line that names the argument. From
finite arguments it must not return NaN or infinity without a warning.
"""

import copy
import random
import re
import warnings
from numbers import Number

import numpy as np
from refusals import CASES, GAUSSIAN, HUGE, MIXTURE, SCHEDULE, Odd, rng

from ddpm_np import Schedule, training

# Results that are documented to be infinite, or NaN, for finite arguments.
INFINITE = {
    "denoising_loss": "the loss is inf where the squares overflow",
    "Gaussian.logpdf": "a point off the support has -inf",
    "decoder_log_likelihood": "a density below exp(-1e308) is 0",
    "quadrature": "so is its integral",
    "importance_sampling": "and its estimate",
    "naive_monte_carlo": "and its estimate",
    "Gaussian.score": "NaN off the support",
    **dict.fromkeys(
        ("Empirical.logpdf", "GaussianMixture.logpdf", "nll", "probability_flow_logpdf"),
        "squared distances that overflow",
    ),
    "GaussianMixture.score": "quotients that overflow",
    "GaussianMixture.divergence": "squared quotients that overflow",
}


def hostile(valid, chance):
    """A value for the place of a valid one."""
    shape = np.shape(valid) if isinstance(valid, (list, np.ndarray)) else ()
    if shape and chance.random() < 0.4:
        dtype = chance.choice([np.float64, np.float32])
        large = np.finfo(dtype).max
        numbers = [large, -large, np.finfo(dtype).tiny, np.nan, np.inf]
        full = [np.full(shape, number, dtype) for number in numbers]
        full += [np.full(shape, v) for v in (1e300, HUGE, None, 1j, "x", True, np.uint64(2**63))]
        other = [np.ones((*shape, 2)), np.ones(shape[:-1]), np.zeros((0, *shape[1:]))]
        other += [np.full(shape, "2020-01-01", "datetime64[D]"), np.matrix([[1.0, 2.0]])]
        masked = np.ma.masked_array(np.ones(shape), mask=True)
        return chance.choice([*full, *other, masked, [masked]])
    numbers = [0, 1, -1, 2, HUGE, -HUGE, 2**63, 0.5, -0.5, 1e308, -1e308, 1e154, 1e-308, 5e-324]
    numbers += [0.1 + 0.2, np.float32(0.5), np.int8(1), np.array(1.0), np.array(2)]
    plain = [np.nan, np.inf, -np.inf, 1j, None, True, False, "abc", "", b"abc", np.ma.masked]
    several = [[], {}, set(), (), [1, 2], [[1], [1, 2]], [None], ["a"], [HUGE], range(3), iter([1])]
    several += [np.ones(3), np.ones((2, 2, 2)), np.datetime64("2020")]
    kinds = [object(), Odd(), Odd, int, lambda *a: None, lambda *a: "text", rng()]
    kinds += [np.random.RandomState(0), SCHEDULE, Schedule.from_beta([0.5]), GAUSSIAN, MIXTURE]
    return chance.choice([*numbers, *plain, *several, *kinds])


def kind(value):
    """Numbers, things with a length, and other types by their name."""
    if isinstance(value, Number) and not isinstance(value, bool):
        return "number"
    return "array" if hasattr(value, "__len__") else type(value).__name__


def finite(value):
    """Whether all floats in a result are finite; those of objects are not looked into."""
    if isinstance(value, (tuple, list)):
        return all(map(finite, value))
    if isinstance(value, (float, np.floating)):
        return bool(np.isfinite(value))
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return bool(np.isfinite(value).all())
    return True


def is_masked(value):
    values = value if isinstance(value, list) else [value]
    return any(isinstance(v, np.ma.MaskedArray) for v in values)


def finite_argument(value):
    try:
        return bool(np.isfinite(np.asarray(value, dtype=float)).all())
    except (TypeError, ValueError, OverflowError):
        return False


def complaint(name, argument, value):
    """What is wrong with how a function takes a value in the place of an argument."""
    case = CASES[name]
    call, valid = case.call, case.values
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
            said = {*names, argument.removesuffix("s"), "finite", *case.also_named}
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


def shown(value):
    """A hostile value in a few words."""
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {value.shape} {str(value.flat[:1])[:20]}"
    return "Odd()" if isinstance(value, Odd) else repr(value)[:60]


def hunt(calls, seed):
    """Makes that many calls; what is wrong, by function, argument and complaint."""
    chance, wrong = random.Random(seed), {}
    names = list(CASES)
    for _ in range(calls):
        name = chance.choice(names)
        argument = chance.choice(list(CASES[name].arguments))
        value = hostile(CASES[name].values[argument], chance)
        said = complaint(name, argument, value)
        if said is not None:
            wrong.setdefault((name, argument, said), shown(value))
    return calls, wrong
