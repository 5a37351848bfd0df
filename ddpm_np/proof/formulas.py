"""Each formula against the function beside it: as an identity, or in floating point.

A formula and its call (:class:`ddpm_np.equations.Formula`) get the same numbers: symbols
(:mod:`ddpm_np.proof.symbols`), on which "equal" means equal as rational functions. The square
roots that a formula takes are rational in one of the charts below; the first one in which all of
them are is used. What is not algebraic is compared on random floats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from ddpm_np import forward, posterior, sampling, signals, training
from ddpm_np._checks import ExactNumber
from ddpm_np.closed_form import covariance, ideal, reverse
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.equations.formula import parse, value
from ddpm_np.equations.record import Formula
from ddpm_np.proof.symbols import ANY, UNIT, Domain, same
from ddpm_np.schedule import Schedule

VECTORS = ("x_0", "x_t", "x_prev", "x_s", "eps", "eps_hat", "score", "z")


class _Modules:
    """``closed_form.ideal`` and its like, for the calls."""

    covariance, ideal, reverse = covariance, ideal, reverse


MODULES = {
    "forward": forward,
    "posterior": posterior,
    "sampling": sampling,
    "signals": signals,
    "training": training,
    "closed_form": _Modules,
}


class _Squared(ExactNumber):
    """A number of which only the square is known, for eta, which DDIM only squares."""

    def __init__(self, square: Any) -> None:
        self.square = square

    def __pow__(self, exponent: int) -> Any:
        if exponent != 2:
            raise ValueError(f"only the square is known, not the power {exponent}")
        return self.square


def right_hand_side(formula: Formula) -> Any:
    """The tree of what the formula says its left-hand side is."""
    return parse(formula.text).parts[-1]


def difference(formula: Formula) -> str:
    """Empty if the formula equals its call, else what is different. ValueError without a call."""
    if not formula.call:
        raise ValueError(f"{formula.text!r} has no call")
    return _floating(formula) if formula.floating else _exact(formula)


def _exact(formula: Formula) -> str:
    missing: list[str] = []
    for chart in CHARTS:
        numbers = chart()  # a root that is not rational in it raises ValueError
        try:
            computed = _called(formula.call, numbers)
            stated = value(right_hand_side(formula), numbers)
        except (ValueError, KeyError, NameError) as error:
            missing.append(f"{chart.__name__}: {error}")
            continue
        pairs = np.broadcast(np.asarray(computed, object), np.asarray(stated, object))
        wrong = [f"{a} is not {b}" for a, b in pairs if not same(a, b)]
        return "; ".join(wrong)
    raise ValueError(f"{formula.text!r} has no value in any chart: {'; '.join(missing)}")


def _called(call: str, numbers: Mapping[str, Any]) -> Any:
    environment = _Environment(numbers)
    return eval(call, {"__builtins__": {}, **MODULES, "moved": _moved}, environment)


class _Environment(dict[str, Any]):
    """The numbers under the names that the calls use: ``alpha_bar_prev`` is alpha_bar_{t-1}."""

    def __init__(self, numbers: Mapping[str, Any]) -> None:
        self.numbers = numbers

    def __missing__(self, name: str) -> Any:
        if name.startswith("one_minus_"):
            return 1 - self[name.removeprefix("one_minus_")]
        for ending, index in (("_prev", "_{t-1}"), ("_ts", "_{t|s}")):
            if name.endswith(ending):
                return self.numbers[name.removesuffix(ending) + index]
        return self.numbers[name]


def _moved(step: sampling.ReverseStep, x_t: Any, eps_hat: Any, z: Any) -> Any:
    """Where a reverse step leads."""
    return step.xt_coef * x_t + step.eps_coef * eps_hat + step.std * z


# ---- symbols ----------------------------------------------------------------------------------


class _Numbers(dict[str, Any]):
    """The numbers of a formula for a schedule and a step, looked up by the names in formulas."""

    def __init__(self, schedule: Schedule, s: int, t: int, free: Mapping[str, Any]) -> None:
        vectors = {name: np.array([free[name]]) for name in VECTORS}
        matrix = np.array([[free["u"], free["v"]], [free["v"], free["w"]]])
        super().__init__(
            vectors,
            schedule=schedule,
            s=s,
            t=t,
            Sigma_0=matrix,
            Sigma_prev=matrix,
            floor_t=free["u"],
            **{
                "x_{t-1}": vectors["x_prev"],
                "Sigma_{t-1}": matrix,
                "I": np.eye(2, dtype=int).astype(object),
            },
        )
        self.schedule, self.at = schedule, {"t": t, "t-1": t - 1, "s": s}

    def __missing__(self, name: str) -> Any:
        schedule, s, t = self.schedule, self.at["s"], self.at["t"]
        base, _, index = name.rpartition("_")
        if index.strip("{}") in self.at and hasattr(schedule, base):
            return getattr(schedule, base)[self.at[index.strip("{}")]]
        if index == "{t|s}":
            return schedule.between(s, t)[("alpha", "beta").index(base)]
        if name == "psi_1":
            return posterior.psi_1(schedule, self["x_0"], self["x_t"], t)
        if name == "psi_2":
            return posterior.psi_2(schedule, t)
        if name == "x0_hat":
            return posterior.predict_x0(schedule, self["x_t"], t, self["eps_hat"])
        if name == "variance":  # the posterior's, of the step from t to s
            before, now = schedule.one_minus_alpha_bar[s], schedule.one_minus_alpha_bar[t]
            return schedule.between(s, t)[1] * before / now
        raise KeyError(name)


def _circle(w: Any) -> tuple[Any, Any]:
    """The point of x^2 + y^2 = 1 with the parameter w; the open quarter circle for 0 < w < 1."""
    return (1 - w * w) / (1 + w * w), 2 * w / (1 + w * w)


def _domain(**variables: Any) -> Domain:
    return Domain(**variables, **dict.fromkeys((*VECTORS, "u", "v", "w"), ANY))


def _free(domain: Domain) -> dict[str, Any]:
    return {name: domain[name] for name in (*VECTORS, "u", "v", "w")}


def levels() -> _Numbers:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar) at t = 1 and 2, and sqrt(alpha_2)."""
    domain = _domain(u1=UNIT, u2=("u1", 1))
    (p1, c1), (p2, c2) = _circle(domain["u1"]), _circle(domain["u2"])
    domain.declare(p1, c1, p2, c2, p2 / p1, c2 * p1 / p2)
    schedule = domain.schedule([c1 * c1, 1 - (p2 / p1) ** 2])
    return _Numbers(schedule, 1, 2, _free(domain))


def steps() -> _Numbers:
    """sqrt(alpha) and sqrt(beta) at t = 1 and 2."""
    domain = _domain(w1=UNIT, w2=UNIT)
    (a1, b1), (a2, b2) = _circle(domain["w1"]), _circle(domain["w2"])
    domain.declare(a1, b1, a2, b2)
    return _Numbers(domain.schedule([b1 * b1, b2 * b2]), 1, 2, _free(domain))


def skip() -> _Numbers:
    """From s = 1 to t = 3: sqrt(alpha_{t|s}) and sqrt(beta_{t|s}), step 2 anywhere between."""
    domain = _domain(a=UNIT, h=UNIT, m=UNIT)
    a, m, (kept, noise) = domain["a"], domain["m"], _circle(domain["h"])
    domain.declare(kept, noise)
    middle = kept * kept + m * noise * noise  # alpha_2
    schedule = domain.schedule([1 - a * a, 1 - middle, 1 - kept * kept / middle])
    return _Numbers(schedule, 1, 3, _free(domain))


def reverse_step() -> _Numbers:
    """From t = 2 to s = 1: the roots of alpha, beta, 1 - alpha_bar and beta_tilde at t = 2.

    beta_tilde_t (1 - alpha_bar_t) = beta_t (1 - alpha_bar_s) is a conic over the circle of
    sqrt(alpha_t) and sqrt(beta_t), with a rational point.
    """
    domain = _domain(h=(0, Fraction(1, 4)), n=(Fraction(1, 2), 1))
    n, (a, b) = domain["n"], _circle(domain["h"])
    c, c_s = b * (1 + n * n) / (2 * n), b * (1 - n * n) / (2 * n * a)
    domain.declare(a, b, c, b * c_s / c, a * c_s * c_s / c, c / a)
    return _Numbers(domain.schedule([c_s * c_s, b * b]), 1, 2, _free(domain))


def ddim_step() -> _Numbers:
    """DDIM's step from t = 2 to s = 1 with any eta.

    alpha_bar_s, 1 - alpha_bar_s - sigma^2 and sigma^2 are the squares of a point on a sphere.
    """
    domain = _domain(g=(0, Fraction(1, 4)), h=(0, Fraction(1, 4)), k=(Fraction(1, 2), 1))
    g, h, (p, c) = domain["g"], domain["h"], _circle(domain["k"])
    radius = 1 + g * g + h * h
    p_s, near, sigma = (1 - g * g - h * h) / radius, 2 * g / radius, 2 * h / radius
    beta = 1 - (p / p_s) ** 2
    domain.declare(p, c, p_s, near, sigma, p / p_s, c * p_s / p)
    numbers = _Numbers(domain.schedule([1 - p_s * p_s, beta]), 1, 2, _free(domain))
    numbers |= {"sigma": sigma, "eta": _Squared(sigma**2 * c * c / (beta * (1 - p_s * p_s)))}
    return numbers


CHARTS: tuple[Callable[[], _Numbers], ...] = (levels, steps, skip, reverse_step, ddim_step)


# ---- floating point ---------------------------------------------------------------------------


def _floating(formula: Formula) -> str:
    for numbers in _floats():
        computed = _called(formula.call, numbers)
        stated = value(right_hand_side(formula), numbers)
        if not np.allclose(computed, stated, rtol=1e-12, atol=1e-13):
            return f"{computed} is not {stated}"
    return ""


def _floats() -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(0)
    for _ in range(5):
        schedule, (s, t) = Schedule.from_beta(rng.uniform(0.01, 0.5, 5)), (2, 4)
        lambda_i, v = np.sort(rng.uniform(0.1, 3.0, 4))[::-1], rng.standard_normal(6)
        turn = np.linalg.qr(rng.standard_normal((4, 4)))[0]
        low, high, span = 0.1 * rng.uniform(), rng.uniform(0.2, 0.9), rng.uniform(2.0, 8.0)
        a_k, b_k, f_k = rng.standard_normal((3, 3, 1))
        n, dim = 3, 4
        yield {
            "schedule": schedule,
            "s": s,
            "t": t,
            "n": n,
            "dim": dim,
            "eps": rng.standard_normal((n, dim)),
            "eps_hat": rng.standard_normal((n, dim)),
            "mean": np.mean,
            "v": v,
            "v_i": v[:, None],
            "v_j": v,
            "lambda_i": lambda_i,
            "lambda_k": lambda_i,
            "C": (turn * lambda_i) @ turn.T,
            "gaussian": Gaussian(np.zeros(4), np.diag(lambda_i)),
            "pi": np.pi,
            "alpha_bar_t": schedule.alpha_bar[t],
            "alpha_bar_s": schedule.alpha_bar[s],
            "beta_{t|s}": schedule.between(s, t)[1],
            "variance": 2.5,
            "correlation": 0.25,
            "a_k": a_k,
            "b_k": b_k,
            "f_k": f_k,
            "frequencies": f_k[:, 0],
            "tau": np.linspace(0, 1, dim),
            "coefficients": np.concatenate([a_k[:, 0], b_k[:, 0]]),
            "beta_min": low,
            "beta_max": high,
            "f": lambda t, k=span: k * (2 * (t - 1) / 4 - 1),
            "schedule_of_notes": Schedule.sigmoid(5, beta_min=low, beta_max=high, span=span),
        }
