"""A domain on which comparisons are answered from a declared pattern of signs.

A piecewise linear network, such as one of leaky ReLUs, is a polynomial on each piece, and a piece
is known by the signs of its pre-activations. A proof on every pattern of signs is therefore a
proof on every piece. Where a pre-activation is 0 the pieces meet, and nothing is said.
"""

import random
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from ddpm_np.proof import polynomials as poly
from ddpm_np.proof.rational import Symbol
from ddpm_np.proof.symbols import Domain, Interval


class SignPattern(Domain):
    """The signs of the numbers that are compared with 0, in the order in which they first are.

    A number that is a positive multiple of an earlier one has its sign, a negative multiple the
    other sign. So z > leak z is answered as z > 0 is, for 0 < leak < 1.

    >>> domain = SignPattern([1, -1], x=None, y=None)
    >>> x, y = domain.symbols
    >>> x > 0, y > y / 10, -3 * x > 0, y > 0
    (True, False, False, False)

    TypeError when more numbers are compared than the pattern has signs. A proof in which signs are
    left over is refused: the pattern would not be that of a piece.
    """

    def __init__(self, pattern: Sequence[int], /, **variables: Interval) -> None:
        super().__init__(**variables)
        self._pattern = list(pattern)
        self._known: dict[frozenset[tuple[poly.Factor, int]], int] = {}

    @property
    def unused(self) -> int:
        """How many signs of the pattern no comparison has asked for."""
        return len(self._pattern) - len(self._known)

    def point(self, name: str) -> dict[str, Any]:
        """A point of the piece that the pattern names, ValueError where none is found.

        One variable at a time is drawn anew, and kept where no more signs are wrong than before.
        """
        numbers = [(Symbol(self, Fraction(1), dict(f)), s) for f, s in self._known.items()]
        names = list(self.variables)
        factors = {f for known in self._known for f, _ in known}
        occurring = {i for f in factors for m, _ in f for i, _ in poly.exponents(m)}
        free = [names[i] for i in sorted(occurring)]
        rng, wrong = random.Random(name), len(numbers)
        values = {variable: float(x) for variable, x in super().point(name).items()}
        for _ in range(5000):
            trial = values | {rng.choice(free): rng.choice((-1, 1)) * 2.0 ** rng.uniform(-4, 3)}
            found = sum(number.at(trial) * sign <= 0 for number, sign in numbers)
            if found <= wrong:
                values, wrong = trial, found
            if not wrong:
                return {variable: Fraction(x) for variable, x in values.items()}
        raise ValueError("no point of the piece with this pattern of signs was found")

    def left_over(self) -> list[str]:
        """A refusal where signs of the pattern have not been asked for."""
        return ["the pattern has more signs than numbers are compared"] if self.unused else []

    def sign(self, number: Symbol, comparison: str) -> int:
        """The sign of the number by the pattern; a number that is 0 has none."""
        if not number.factors or number.is_zero():
            return super().sign(number, comparison)
        scale, factors = number.key
        own = 1 if scale > 0 else -1
        if factors not in self._known:
            if not self.unused:
                return super().sign(number, comparison)
            self._known[factors] = own * self._pattern[len(self._known)]
        return own * self._known[factors]
