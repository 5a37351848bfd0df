"""What no function of the derivation takes, as arrays and as steps, with the error that each of
them must be.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

# In the place of an array (2, 3); the others have this shape.
ARRAYS: list[tuple[type[Exception], Any]] = [
    (ValueError, [[1.0, np.nan, 0.0]] * 2),
    (ValueError, [[1.0, np.inf, 0.0]] * 2),
    (ValueError, np.full((2, 3), -np.inf, "f4")),
    (ValueError, np.zeros((0, 3))),
    (ValueError, np.zeros((2, 0))),
    (ValueError, []),
    (ValueError, 1.0),
    (ValueError, [[1.0], [1.0, 2.0]]),
    (ValueError, np.zeros((2, 2))),
    (ValueError, np.zeros((3, 3))),
    (ValueError, np.zeros(4)),
    (TypeError, [["1", "2", "3"]] * 2),
    (TypeError, np.full((2, 3), 1j)),
    (TypeError, np.full((2, 3), None)),
    (TypeError, None),
    (TypeError, np.full((2, 3), Fraction(1))),
    (TypeError, np.full((2, 3), True)),
    (TypeError, "abc"),
    (TypeError, {1.0}),
]

# In the place of a step of 1..3, beside arrays of shape (2, 3).
STEPS: list[tuple[type[Exception], Any]] = [
    (ValueError, -1),
    (ValueError, 4),
    (ValueError, 10**20),
    (ValueError, np.array([1, 4])),
    (ValueError, np.array([], int)),
    (ValueError, np.array([1, 2, 3])),
    (TypeError, 1.0),
    (TypeError, "1"),
    (TypeError, None),
    (TypeError, True),
    (TypeError, 1j),
    (TypeError, np.array([1.0, 2.0])),
    (TypeError, np.array([True, False])),
    (TypeError, [1, "2"]),
]


def refuses(call: Callable[[], Any], error: type[Exception], name: str) -> None:
    """It raises the error, without a warning, with one line that names the argument (of two that do
    not fit, either first).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error) as caught:
            call()
    message = str(caught.value)
    assert (
        type(caught.value) is error
        and "\n" not in message
        and name in message.split(" must ")[0].split()
    ), message
