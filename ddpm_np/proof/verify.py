"""How each equation is known: what is proved of its functions, and how much they round.

``python -m ddpm_np verify`` prints it. For each equation: its formulas, each proved to be what its
function returns, measured against it, or only stated; how many identities are proved; the functions
that the proofs run and on what (T, kinds of t, shapes); and the worst rounding error of each. A
formula that is wrong fails both. :mod:`ddpm_np.proof.prover` says what a proof is,
:mod:`ddpm_np.proof.theorems` what is proved of a formula, :mod:`ddpm_np.proof.errors` what the
errors are.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ddpm_np._checks import check_count
from ddpm_np.equations import EQUATIONS, Formula, formulas
from ddpm_np.equations.docstrings import function_of
from ddpm_np.proof.coverage import Coverage, lines_not_run
from ddpm_np.proof.draws import Draw, draws
from ddpm_np.proof.errors import Worst, in_batches, measured_paths, worst_error, worst_in_batches
from ddpm_np.proof.identities import IDENTITIES
from ddpm_np.proof.parts import WITHOUT_FORMULA
from ddpm_np.proof.prover import Identity, Proof, prove
from ddpm_np.proof.theorems import theorems

# The functions of each equation, and those that proofs run beside them.
FUNCTIONS = {number: (*e.functions, *e.beside) for number, e in EQUATIONS.items()}


class Evidence(NamedTuple):
    """One equation: its proofs, what they cover, the errors, and what failed.

    theorems : for each function the proofs that it is its formula
    measured : for each function its worst error
    errors : the worst of them by dtype
    """

    equation: str
    proofs: tuple[Proof, ...]
    theorems: Mapping[str, Sequence[Proof]]
    covered: Mapping[str, Coverage]
    measured: Mapping[str, Worst]
    errors: Mapping[str, Worst]
    failures: tuple[str, ...]

    @property
    def proved(self) -> int:
        """How many identities were proved."""
        return sum(proof.proved for proof in self.proofs)

    @property
    def statements(self) -> tuple[str, ...]:
        """What the identities say, each once."""
        return tuple(dict.fromkeys(proof.identity.statement for proof in self.proofs))

    def known(self, formula: Formula) -> str:
        """How a formula is known: "proved", "measured" or "stated"."""
        if formula.stated:
            return "stated"
        paths = [p for p in EQUATIONS[self.equation].functions if formula in formulas(p)]
        if formula.exact and any(self.theorems.get(path) for path in paths):
            return "proved"
        return "measured" if any(path in self.measured for path in paths) else "stated"


def verify(*, seed: int = 0, out: Callable[[str], object] = print) -> bool:
    """Prove and measure everything, hand the table to ``out`` line by line, say whether all holds.

    The same seed gives the same errors.
    """
    failed = total = 0
    for found in evidence(seed=seed):
        total += len(found.proofs)
        failed += len(found.failures)
        for line in _report(found):
            out(line)
    out(f"{total} identities." if failed else f"{total} identities proved. Everything holds.")
    if failed:
        out(f"Not everything holds: {failed} failures.")
    return not failed


def evidence(*, seed: int = 0) -> Iterator[Evidence]:
    """One :class:`Evidence` per equation, in order.

    What belongs to several equations is proved and measured once and counted for each.
    """
    rng = np.random.default_rng(check_count("seed", seed, low=0))
    drawn = list(draws(rng))
    measured = _measured(drawn, rng)
    of_path, proofs, covered = _proved()
    for number, equation in EQUATIONS.items():
        paths = equation.functions
        concerned = {path: of_path[path] for path in paths if of_path.get(path)}
        found = [p for ps in concerned.values() for p in ps if number in p.identity.equations]
        found += proofs.get(number, [])
        failures = [f"{p.identity.name}: {p.failure}" for p in found if not p.proved]
        errors = {path: measured[path] for path in paths if path in measured}
        failures += [worst.failure for of_path in errors.values() for worst in of_path.values()]
        failures += [f"{path} is not covered" for path in paths if not _is_known(path, covered)]
        kinds = dict.fromkeys(kind for of_path in errors.values() for kind in of_path)
        yield Evidence(
            number,
            tuple(found),
            concerned,
            {name: covered[name] for name in FUNCTIONS[number] if name in covered},
            {path: _largest(of_path.values()) for path, of_path in errors.items()},
            {k: _largest(e[k] for e in errors.values() if k in e) for k in kinds},
            tuple(failure for failure in failures if failure),
        )


def _measured(drawn: list[Draw], rng: np.random.Generator) -> dict[str, dict[str, Worst]]:
    """The worst error of each function, by kind of call."""
    errors: dict[str, dict[str, Worst]] = {}
    for path in measured_paths():
        errors[path] = {"float64": worst_error(path, drawn)}
        if in_batches(path):
            for dtype in (np.float64, np.float32):
                worst = worst_in_batches(path, dtype, drawn, rng)
                errors[path][f"{np.dtype(dtype)}, t as an array"] = worst
    return errors


def _largest(errors: Iterable[Worst]) -> Worst:
    return max(errors, key=lambda worst: worst.error)


def _proved() -> tuple[dict[str, list[Proof]], dict[str, list[Proof]], dict[str, Coverage]]:
    """The proofs of formulas by function, the others by equation, and what all of them cover."""
    names = {name: function_of(name) for names in FUNCTIONS.values() for name in names}
    of_path: dict[str, list[Proof]] = {}
    proofs: dict[str, list[Proof]] = defaultdict(list)
    covered: dict[str, Coverage] = {}

    def proved(identity: Identity) -> Proof:
        proof = prove(identity)
        for name, function in names.items():
            ran = proof.trace.coverage(function) if proof.trace else None
            if ran:
                covered.setdefault(name, Coverage()).join(ran)
        return replace(proof, trace=None)

    for path in names:
        of_path[path] = [proved(i) for i in (theorems(path) if path in _PATHS else ())]
    for identity in IDENTITIES:
        proof = proved(identity)
        for number in identity.equations:
            proofs[number].append(proof)
    return of_path, proofs, covered


_PATHS = {path for equation in EQUATIONS.values() for path in equation.functions}


def _is_known(path: str, covered: Mapping[str, Coverage]) -> bool:
    """Whether a proof runs the function, its formula is measured or stated, or it has none."""
    if path in covered or path in WITHOUT_FORMULA:
        return True
    return any(not formula.exact or path in measured_paths() for formula in formulas(path))


def _report(found: Evidence) -> Iterator[str]:
    """What is printed of an equation."""
    equation = EQUATIONS[found.equation]
    yield f"{found.equation:<4} {equation.title.en}"
    for formula in equation.formulas:
        yield f"     {found.known(formula):<8} {formula.text}"
    if equation.why_stated:
        yield f"     stated, not compared: {equation.why_stated}"
    if found.proofs:
        yield f"     {found.proved} of {len(found.proofs)} identities proved"
    for name in FUNCTIONS[found.equation]:
        known = [f"proofs run it on {found.covered[name]}"] if name in found.covered else []
        if name in found.measured:
            worst = found.measured[name]
            known.append(f"off by {worst.error:.2f} ulp of {worst.allowed:.3g} allowed")
        if name in WITHOUT_FORMULA:
            known.append(f"no formula of its own: {WITHOUT_FORMULA[name]}")
        yield f"     {name}: {'; '.join(known) or 'stated and tested'}"
        if name in found.covered:
            for line in lines_not_run(function_of(name), found.covered[name]):
                yield f"         but for {line}"
    for failure in found.failures:
        yield f"     FAILED {failure}"
