"""A domain on which comparisons are answered from a declared pattern of signs.

A piecewise linear network, such as one of leaky ReLUs, is a polynomial on each piece, and a piece
is known by the signs of its pre-activations. A proof on every pattern of signs is therefore a
proof on every piece. Where a pre-activation is 0 the pieces meet, and nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence

from ddpm_np.proof.symbols import Domain, Interval, Symbol


class SignPattern(Domain):
    """The signs of the numbers that are compared with 0, in the order in which they first are.

    A number that is a positive multiple of an earlier one has its sign, a negative multiple the
    other sign. So z > leak z is answered as z > 0 is, for 0 < leak < 1.

    >>> domain = SignPattern([1, -1], x=None, y=None)
    >>> x, y = domain.symbols
    >>> x > 0, y > y / 10, -3 * x > 0, y > 0
    (True, False, False, False)

    TypeError when more numbers are compared than the pattern has signs; ``unused`` says how many
    signs have not been asked for.
    """

    def __init__(self, pattern: Sequence[int], /, **variables: Interval) -> None:
        super().__init__(**variables)
        self._pattern = list(pattern)
        self._known: dict[object, int] = {}

    @property
    def unused(self) -> int:
        """How many signs of the pattern no comparison has asked for."""
        return len(self._pattern) - len(self._known)

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
