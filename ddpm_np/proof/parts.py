"""The parts of a function's formulas: what it returns, and what each of them says that is.

``x = a = b`` has two parts. A further formula of the block must define a symbol that the others
use. ``q(x_t | x_s) = N(x_t; mean, variance I)``, for a function that draws with the noise eps, says
that the square of what it adds to the mean is variance eps^2.

:mod:`ddpm_np.proof.theorems` compares them on symbols, :mod:`ddpm_np.proof.errors` on floats.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

from ddpm_np.equations import EQUATIONS
from ddpm_np.equations.docstrings import Formula, formulas, function_at, symbol_of
from ddpm_np.equations.formula import names, value
from ddpm_np.equations.values import SymbolValues, arguments, parameters_of
from ddpm_np.sampling import ReverseStep
from ddpm_np.schedule import Schedule

ROWS = ("x_0", "x_t", "x_{t-1}", "x_s", "eps", "eps_hat", "eps_star", "score", "v", "z")
MATRICES = ("Sigma_0", "Sigma_{t-1}")
# Functions of the register without a formula of their own, and why.
WITHOUT_FORMULA = {path: why for e in EQUATIONS.values() for path, why in e.no_formula.items()}
# These return or take floats only, so that their formulas are measured, not proved.
MEASURED = (
    "training.denoising_loss",
    "closed_form.covariance.effective_rank",
    "closed_form.covariance.variance_of_mean",
)

# Raised where there is no value: a root that is not rational in a chart, a division by 0, a symbol
# that is not known, a step out of range.
NO_VALUE = (ValueError, ZeroDivisionError, KeyError)
LEFT, SQUARE = -1, -2


class Part(NamedTuple):
    """A part of a formula: what the function makes of it, and what it says of given numbers.

    place : which of the parts it is; LEFT for the number that its left-hand side names, SQUARE for
        the square of what was drawn, of a distribution
    """

    formula: Formula
    place: int
    actual: Any
    expected: Callable[[Mapping[str, Any]], Any]

    @property
    def name(self) -> tuple[str, int]:
        """The formula and the place."""
        return self.formula.text, self.place


def parts_of(path: str, numbers: Mapping[str, Any], *, floating: bool = False) -> Iterator[Part]:
    """All parts of all formulas of the function, which is called with these numbers.

    floating : with those tables of a schedule that have no exact value
    """
    block, result = formulas(path), _result(path, numbers)
    if isinstance(result, Schedule):
        for formula in block:
            if formula.left is not None and (formula.exact or floating):
                table = SymbolValues(result, numbers["t"])
                if all(name in table for name in names(formula.left)):
                    yield from _each(formula, value(formula.left, table), numbers)
        return
    outputs = [f for f in block if not f.is_distribution]
    distributions = [f for f in block if f.is_distribution]
    if len(result) > max(len(outputs), 2 * len(distributions)):
        raise ValueError(f"{path} returns {len(result)} numbers, not all have a formula")
    for formula in distributions:
        yield from _distribution(formula, result, numbers)
    for formula, found in zip(outputs, result):
        yield from _each(formula, found, numbers)
    for formula in outputs[len(result) :]:
        name = formula.squared or (formula.left.text if formula.left is not None else "")
        if not any(name in names(p) for f in block if f is not formula for p in f.parts):
            raise ValueError(f"{formula.text!r} defines a symbol that no other formula uses")
        if len(formula.parts) > 1 or name in numbers:
            yield from _each(formula, formula.value(numbers), numbers)


def _result(path: str, numbers: Mapping[str, Any]) -> Any:
    """What the function returns: a list, with an entry for each of its numbers, or a schedule.

    A reverse step stands for where it leads, a table over all steps for its entry t.
    """
    if path == "schedule.Schedule.from_beta":  # which has made the schedule
        return numbers["schedule"]
    result = function_at(path)(**arguments(path, numbers))
    if isinstance(result, ReverseStep):
        moved = result.xt_coef * numbers["x_t"] + result.eps_coef * numbers["eps_hat"]
        return [moved + result.std * numbers["z"]]
    if isinstance(result, Schedule):
        return result
    parameters = parameters_of(path)
    if "distribution" in parameters and "t" not in parameters:
        return [result[numbers["t"]]]
    return list(result) if isinstance(result, tuple) else [result]


def _each(formula: Formula, found: Any, numbers: Mapping[str, Any]) -> Iterator[Part]:
    for i in range(len(formula.parts)):
        yield Part(formula, i, found, partial(formula.value, part=i))
    left = formula.left
    if left is not None and left.kind == "name" and left.text in numbers:
        yield Part(formula, LEFT, found, partial(value, left))


def _distribution(
    formula: Formula, result: list[Any], numbers: Mapping[str, Any]
) -> Iterator[Part]:
    """q(...) = N(x; mean, variance I): of a function that returns both, or of one that draws."""
    left, point = formula.left, formula.right.parts[0].parts[0]
    if left is None or next(names(left), "") != point.text:
        raise ValueError(f"{formula.text!r} says of another point than its left side how it lies")
    if len(result) == 2:
        yield Part(formula, 0, result[0], lambda given: formula.value(given)[0])
        yield Part(formula, 1, result[1], lambda given: formula.value(given)[1])
        return
    added = result[0] - formula.value(numbers)[0]
    yield Part(formula, SQUARE, added**2, lambda given: formula.value(given)[1] * given["eps"] ** 2)


# ---- what a function takes ----------------------------------------------------------------------


@cache
def taken_by(path: str) -> frozenset[str]:
    """The symbols of the parameters of a function, and those of its formulas."""
    block = formulas(path)
    own = {f.left.text for f in block if f.left is not None and f.left.kind == "name"}
    parameters = frozenset(map(symbol_of, parameters_of(path)))
    return parameters | ({name for f in block for name in names(f.tree)} - own)


def is_kernel(path: str) -> bool:
    """Whether all its parameters are numbers, which can be free."""
    return not {"schedule", "self", "beta", "T", "v"} & {*parameters_of(path)}


def takes_route(path: str) -> bool:
    """Whether it takes the two ends s < t of a route."""
    return any(name.endswith(("_s", "|s}")) or name == "s" for name in taken_by(path))
