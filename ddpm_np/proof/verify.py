"""How each equation is known: what is proved of its functions, and how much they round.

``python -m ddpm_np verify`` prints it. For each equation: its formula, the identities that are
proved, the functions that the proofs run and on what (T, kinds of t, shapes), and the worst error
of float64 and float32. A formula that is wrong fails both. :mod:`ddpm_np.proof.prover` says what a
proof is, :mod:`ddpm_np.proof.errors` what the errors are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ddpm_np._checks import check_count
from ddpm_np.equations import EQUATIONS
from ddpm_np.proof.errors import MEASURES, ROWS, Worst, draws, worst_in_batches, worst_of
from ddpm_np.proof.identities import IDENTITIES
from ddpm_np.proof.prover import Proof, prove
from ddpm_np.proof.trace import Coverage, function_of, lines_not_run

# Functions that proofs run beside those that the register names.
KERNELS: dict[str, tuple[str, ...]] = {
    "E15": (
        "network.MLP.forward",
        "network.MLP.backward",
        "learning.unet.UNet.backward",
        "learning.layers.sum_by_step",
    ),
    "E24": ("closed_form.ideal.eps_star_gain",),
    "E25": ("closed_form.ideal.bayes_floor",),
    "E26": ("closed_form.reverse.kernel_gain", "closed_form.reverse.kernel_variance"),
    "E27": (
        "closed_form.reverse.step_gain",
        "closed_form.reverse.step_moments",
        "closed_form.reverse.sampler_moments",
    ),
}
# The functions of each equation that proofs are to run.
FUNCTIONS: dict[str, tuple[str, ...]] = {
    number: tuple(dict.fromkeys((*equation.functions, *KERNELS.get(number, ()))))
    for number, equation in EQUATIONS.items()
    if any(number in identity.equations for identity in IDENTITIES)
}

# Functions of these equations that no proof runs, and how they are known instead.
NOT_PROVED = {
    "training.denoising_loss": "not proved (it returns a float); tested",
    "sampling.ancestral_sample": "not proved (it draws random numbers); measured and tested",
    "sampling.ddim_sample": "not proved (it draws random numbers); measured and tested",
    "closed_form.reverse.sampler_distribution": (
        "not proved (it returns a Gaussian of floats); its moments are"
    ),
}


class Row(NamedTuple):
    """One equation: its proofs, what they cover, the errors by dtype, and what failed."""

    equation: str
    proofs: tuple[Proof, ...]
    covered: Mapping[str, Coverage]
    errors: Mapping[str, Worst]
    failures: tuple[str, ...]

    @property
    def proved(self) -> int:
        """How many identities were proved."""
        return sum(proof.proved for proof in self.proofs)

    @property
    def holds(self) -> bool:
        """Whether everything that was tried came out."""
        return not self.failures


def verify(*, seed: int = 0, out: Callable[[str], object] = print) -> bool:
    """Prove and measure everything, hand the table to ``out`` line by line, say whether all holds.

    The same seed gives the same errors.
    """
    holds = True
    for row in rows(seed=seed):
        holds = holds and row.holds
        for line in _lines(row):
            out(line)
    out("Everything holds." if holds else "Not everything holds.")
    return holds


def rows(*, seed: int = 0) -> Iterator[Row]:
    """One :class:`Row` per equation, in order.

    An identity of several equations is proved once and counted for each.
    """
    rng = np.random.default_rng(check_count("seed", seed, low=0))
    drawn = list(draws(rng))
    proofs, covered = covered_by_proofs(FUNCTIONS)
    for equation in sorted({*proofs, *MEASURES}, key=lambda e: int(e[1:])):
        of_equation = tuple(proofs.get(equation, ()))
        errors = {}
        if equation in MEASURES:
            errors["float64"] = worst_of(MEASURES[equation], drawn)
        for dtype in (np.float64, np.float32):
            if equation in ROWS:
                worst = worst_in_batches(ROWS[equation], dtype, rng)
                errors[f"{np.dtype(dtype)}, t as an array"] = worst
        failures = [
            f"{p.identity.name}: {p.identity.statement}; {p.failure}"
            for p in of_equation
            if not p.proved
        ]
        failures += [worst.failure for worst in errors.values() if worst.failure]
        failures += [
            f"{name} is run by no proof of {equation}"
            for name in FUNCTIONS.get(equation, ())
            if name not in covered[equation] and name not in NOT_PROVED
        ]
        yield Row(equation, of_equation, covered[equation], errors, tuple(failures))


def covered_by_proofs(
    functions: Mapping[str, Sequence[str]],
) -> tuple[dict[str, list[Proof]], dict[str, dict[str, Coverage]]]:
    """All proofs by equation, and what they cover of the named functions of that equation."""
    proofs: dict[str, list[Proof]] = defaultdict(list)
    covered: dict[str, dict[str, Coverage]] = defaultdict(dict)
    for identity in IDENTITIES:
        proof = prove(identity)
        for equation in identity.equations:
            proofs[equation].append(proof)
            for name in functions.get(equation, ()):
                ran = proof.trace.coverage(function_of(name)) if proof.trace else None
                if ran:
                    covered[equation].setdefault(name, Coverage()).join(ran)
    return proofs, covered


def _lines(row: Row) -> Iterator[str]:
    """What is printed of an equation."""
    total, equation = len(row.proofs), EQUATIONS[row.equation]
    yield f"{row.equation:<4} {equation.title.en}: {equation.formulas[0].text}"
    if total:
        yield f"     {row.proved} of {total} identities proved"
    for name in FUNCTIONS.get(row.equation, ()):
        if name in row.covered:
            yield f"     {name}: proved; {row.covered[name]}"
            for line in lines_not_run(function_of(name), row.covered[name].lines):
                yield f"         but for {line}"
        else:
            yield f"     {name}: {NOT_PROVED.get(name, 'NOT PROVED')}"
    for dtype, worst in row.errors.items():
        yield f"     {dtype}: off by {worst.error:.2f} ulp, {worst.allowed:.3g} allowed"
    for failure in row.failures:
        yield f"     FAILED {failure}"
