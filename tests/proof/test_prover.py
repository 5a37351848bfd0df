"""The prover: it proves what is true, and refuses what is false or outside its theorem."""

import contextlib
import sys
import threading
from _thread import start_new_thread as begin
from dataclasses import replace
from fractions import Fraction
from sys import gettrace as traced
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np import forward
from ddpm_np._checks import ExactNumber
from ddpm_np.equations.docstrings import function_of
from ddpm_np.proof import ANY, POSITIVE, UNIT, Chart, Identity, prove
from ddpm_np.proof.coverage import Coverage, lines_not_run
from ddpm_np.proof.identities.charts import levels
from ddpm_np.proof.trace import Trace, tracing

V = SimpleNamespace
X = Chart({"x": ANY})
A = X.with_arrays(a=(2,))
NINE = X.with_arrays(a=(9,))


def proof_of(chart, sides):
    return prove(Identity("test", ("E8",), "a test", chart, sides))


# ---- true identities are proved -----------------------------------------------------------------


def test_a_true_identity_is_proved_where_both_sides_are_defined():
    proof = proof_of(X, lambda v: ((v.x**2 - 1) / (v.x - 1), v.x + 1))
    assert proof.proved and proof.equal == 1
    assert "proved: 1 pair of numbers equal where both sides are defined" in str(proof)


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=6),
    st.lists(st.integers(-3, 3), min_size=1, max_size=6),
)
def test_it_agrees_with_comparing_coefficients(left, right):
    def polynomial(coefficients, x):
        total = 0 * x
        for c in reversed(coefficients):
            total = total * x + c
        return total

    width = max(len(left), len(right))
    same = left + [0] * (width - len(left)) == right + [0] * (width - len(right))
    proof = proof_of(
        Chart({"x": UNIT}),
        lambda v: (polynomial(left, v.x) / (1 + v.x), polynomial(right, v.x) / (1 + v.x)),
    )
    assert proof.proved == same


def test_roots_and_their_signs():
    chart = Chart({"x": UNIT}, roots=lambda v: [v.x**3])
    assert proof_of(chart, lambda v: (np.sqrt(v.x**6), v.x**3)).proved
    assert proof_of(X, lambda v: ([np.sqrt(v.x - v.x), np.sqrt(v.x / v.x)], [0, 1])).proved


def test_arrays_of_variables():
    chart = X.with_arrays(a=(2, 3), b=())
    assert proof_of(chart, lambda v: (v.a * v.b - v.x, -(v.x - v.b * v.a))).proved
    assert not proof_of(chart, lambda v: (v.a, v.a[:, ::-1])).proved
    assert proof_of(X.also(y=POSITIVE), lambda v: (v.x * v.y, v.y * v.x)).proved


# ---- false statements are refused ---------------------------------------------------------------


def _positive_part(x):
    try:
        return x if x > 0 else 0
    except TypeError:
        return x


def _or_itself(function, x):
    try:
        return function(x)
    except TypeError:
        return x


def _floor(x):
    return x // 1


def _doubled(a):
    a *= 2
    return a


def _sorted_where_it_can_be(a):
    before = a.copy()
    (np.ndarray.copy, np.ndarray.sort)[a.flags.writeable](a)
    return before


def _in_a_thread(x):
    found = []

    def run():
        found.append(x if isinstance(x, ExactNumber) or x < 2 else 0)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def _nan_of_floats(a):
    return {"f": np.nan, "O": 1}[a.dtype.kind]


def _suppressed(function, x):
    with contextlib.suppress(TypeError):
        return function(x)
    return x


def _at_last(function, x):
    try:
        x = function(x)
    finally:
        return x  # noqa: B012


def _root_or(x):
    try:
        return np.sqrt(x)
    except (ValueError, TypeError):
        return x


def _if_true(x, traced=sys.gettrace):
    return x if traced() else 2 * x


def _of_threads(x):
    return x if getattr(threading, "gettrace")() else 2 * x  # noqa: B009


def _in_a_thread_of_its_own(x):
    found = []
    begin(lambda: found.append(x if isinstance(x, ExactNumber) or x < 2 else 0), ())
    while not found:
        pass
    return found[0]


def _in_a_thread_without_a_tracer(x):
    threading.settrace(lambda *_: None)
    return _in_a_thread(x)


def _of_a_generator(x):
    return x if (y for y in (x,)).gi_frame.f_trace else 2 * x


def _loaded(x):
    import sys as interpreter

    return x if "ddpm_np.proof" in interpreter.modules else 2 * x


def _deeper(v):
    return _deeper(v)


SEEN = "can tell a proof from a plain run: test_prover.py, line "
# What is said to be x, the variable, and why that is refused.
IS_X = {
    "|x| = x": (np.abs, "no magnitude"),
    "max(x, 0) = x": (lambda x: np.maximum(x, 0), "cannot be compared"),
    "max(x, 0) = x, in Python": (lambda x: max(x, 0), "cannot be compared"),
    "a dictionary look-up": (lambda x: {1: x}.get(x, x), "cannot be looked up"),
    "a set": (lambda x: list({x}), "cannot be looked up"),
    "x or 1": (lambda x: x or 1, "no truth value"),
    "x if x != 1/4": (lambda x: x if x != Fraction(1, 4) else 0, "cannot be compared"),
    "two numbers and one": (lambda x: [x, x], "a number on one, several on the"),
    "a rounded root": (lambda x: x**0.5, "whole powers only"),
    "exp(x) = x": (np.exp, "exp"),
    "division by 0": (lambda x: 1 / (x - x), "division by a symbol that is 0"),
    "a float out of it": (float, "cannot be rounded"),
    "another type": (lambda x: "x", "holds the str"),
    "a comparison caught": (_positive_part, "cannot be compared"),
    "exp(x) = x, caught": (lambda x: _or_itself(np.exp, x), "has no exp"),
    "isnan, caught": (lambda x: _or_itself(np.isnan, x), "raised and caught"),
    "round(x) = x, caught": (lambda x: _or_itself(round, x), "raised and caught"),
    "x // 1 = x, caught": (lambda x: _or_itself(_floor, x), "raised and caught"),
    "an attribute": (lambda x: getattr(x, "imag", 0) + x, "has no imag"),
    "hasattr": (lambda x: 2 * x if hasattr(x, "real") else x, "has no real"),
    "the kind of a dtype": (
        lambda x: x if np.asarray(x).dtype.kind == "O" else 1.02 * x,
        "floats take another way than symbols: test_prover.py, line ",
    ),
    "the kind, without a branch": (
        lambda x: x * (1 + (np.asarray(x).dtype.kind == "f")),
        "floats give another value than symbols",
    ),
    "isscalar": (lambda x: x + 1 if np.isscalar(x) else x, "another way"),
    "repr": (lambda x: x if repr(x) == "x" else 2 * x, "was written down"),
    "how long its digits are": (lambda x: x * (1 + (len(str(x)) > 30)), "was written down"),
    "digits in a text": (lambda x: x if f"{x}" else 2 * x, "was written down"),
    "a float of NumPy": (lambda x: 2 * x if isinstance(x, np.floating) else x, "another way"),
    "a float of Python": (lambda x: 2 * x if type(x) is float else x, "another way"),
    "another thread": (_in_a_thread, "another way"),
    "a tenth of a millionth more": (
        lambda x: x * (1 + Fraction(isinstance(x, float), 10**7)),
        "another value",
    ),
    "an error suppressed": (lambda x: _suppressed(np.exp, x), "has no exp"),
    "an error that finally swallows": (lambda x: _at_last(np.exp, x), "has no exp"),
    "isinstance": (lambda x: x + isinstance(x, float), "another value"),
    "a root caught": (_root_or, "not the square of a declared root"),
    "whether it is traced": (lambda x: x if sys.gettrace() else 2 * x, SEEN),
    "whether it is profiled": (lambda x: 2 * x if sys.getprofile() else x, SEEN),
    "who called it": (lambda x: x if sys._getframe(1).f_back else 2 * x, SEEN),
    "whether it is traced, under another name": (lambda x: x if traced() else 0, SEEN),
    "whether it is traced, by default": (_if_true, SEEN),
    "whether threads are traced": (_of_threads, SEEN),
    "a thread that is not traced": (_in_a_thread_of_its_own, SEEN),
    "a thread whose tracer is taken away": (_in_a_thread_without_a_tracer, SEEN),
    "whether a generator is traced": (_of_a_generator, SEEN),
    "what is loaded": (_loaded, SEEN),
}
# What is said to be an array of variables.
IS_A = {
    "how long an array's are": (A, lambda a: a * (1 + (len(repr(a)) > 99)), "was written down"),
    "the bytes of an array": (
        NINE,
        lambda a: a if max(a.tobytes()[::8]) % 8 == 0 else 2 * a,
        "another way",
    ),
    "an array that can be written to": (
        A,
        lambda a: 2 * a if a.flags.writeable else a,
        "another way",
    ),
    "one that is then changed": (NINE, _sorted_where_it_can_be, "changed in place"),
    "an array changed in place": (A, _doubled, "read-only"),
}
FALSE = {
    "max(x, 0) = x, in an array": (
        X,
        lambda v: (np.maximum(np.array([v.x]), 0), [v.x]),
        "cannot be compared",
    ),
    "sign(x) = 1": (X, lambda v: (np.sign(v.x), 1), "cannot be compared"),
    "min(x, 99/100) = x": (
        Chart({"x": UNIT}),
        lambda v: (min(v.x, Fraction(99, 100)), v.x),
        "cannot be compared",
    ),
    "sqrt(x^2) = x": (
        replace(X, roots=lambda v: [v.x]),
        lambda v: (np.sqrt(v.x**2), v.x),
        "is not shown to be 0 or more",
    ),
    "sqrt(y^2) = y for y = x - 1/2": (
        Chart({"x": UNIT}, lambda x: V(y=x - Fraction(1, 2)), lambda v: [v.y]),
        lambda v: (np.sqrt(v.y**2), v.y),
        "is not shown to be 0 or more",
    ),
    "nothing": (X, lambda v: ([], []), "no symbols"),
    "numbers alone": (X, lambda v: (1, 1), "no symbols"),
    "(x + y)^2 = x^2 + y^2": (
        X.also(y=ANY),
        lambda v: ((v.x + v.y) ** 2, v.x**2 + v.y**2),
        "the sides differ: left ",
    ),
    "other shapes": (
        X.with_arrays(a=(2, 3)),
        lambda v: (v.a, v.a.reshape(6)),
        "the sides have 2 and 6 parts",
    ),
    "the second number": (X, lambda v: ([v.x, v.x], (v.x, 2 * v.x)), "left x, right 2 x"),
    "a float": (X, lambda v: (0.5 * v.x, v.x / 2), "met the float 0.5"),
    "a float on its own": (X, lambda v: ([v.x, 1.0], [v.x, 1]), "holds the float 1.0"),
    "a crash": (X, lambda v: [][1], "IndexError"),
    "a missing name": (X, lambda v: (v.y, v.x), "AttributeError"),
    "no pair": (X, lambda v: v.x, "TypeError"),
    "None": (X, lambda v: None, "TypeError"),
    "evaluated text": (
        X,
        lambda v: (eval("v.x if isinstance(v.x, ExactNumber) or v.x < 2 else 0"), v.x),
        "another way",
    ),
    "more of little": (
        A,
        lambda v: (v.a / 10**8 * (1 + (v.a.dtype.kind == "f")), v.a / 10**8),
        "another value",
    ),
    "NaN on the right": (A, lambda v: (v.a, v.a * _nan_of_floats(v.a)), "another value"),
    "a number that wraps": (
        X,
        lambda v: (np.int64(2) ** np.int64(64) * v.x, 0 * v.x),
        "may have wrapped",
    ),
    "a product that wraps": (
        X,
        lambda v: (np.int64(2**62) * np.int64(4) * v.x, 0 * v.x),
        "overflow encountered",
    ),
    "a list changed in place": (
        Chart({"x": ANY}, lambda x: V(x=x, xs=[x])),
        lambda v: (v.xs.append(v.x), v.x),
        "has no attribute 'append'",
    ),
    "shapes in a list": (
        X.with_arrays(a=(2,), b=(3,)),
        lambda v: ([v.a, v.b], [[*v.a, v.b[0]], v.b[1:]]),
        "the sides have 2 and 3 parts",
    ),
    "an array of one for a number": (X, lambda v: (v.x, np.array([v.x])), "a number on one"),
    "deep recursion": (X, lambda v: _deeper(v), "RecursionError"),
    "a chart that crashes": (
        Chart({"x": ANY}, lambda x: [][0]),
        lambda v: (v.x, v.x),
        "IndexError",
    ),
    "a beta above 1": (
        Chart({"x": POSITIVE}, lambda x: V(s=x.domain.schedule([x]))),
        lambda v: (v.s.beta[1], 1),
        "is not shown to lie between 0 and 1",
    ),
    **{n: (X, lambda v, f=f: (f(v.x), v.x), why) for n, (f, why) in IS_X.items()},
    **{n: (chart, lambda v, f=f: (f(v.a), v.a), why) for n, (chart, f, why) in IS_A.items()},
}


@pytest.mark.parametrize("name", FALSE)
def test_what_is_false_or_outside_the_theorem_is_refused(name):
    chart, sides, why = FALSE[name]
    proof = proof_of(chart, sides)
    assert not proof.proved and why in proof.failure and "NOT PROVED" in str(proof)
    assert proof.equal == 0


@pytest.mark.parametrize(
    "name", [name for name, (_, _, why) in FALSE.items() if "compared" in why or "looked" in why]
)
def test_the_refusal_names_the_line(name):
    chart, sides, _ = FALSE[name]
    assert "test_prover.py, line " in proof_of(chart, sides).failure


# ---- what a proof has run ------------------------------------------------------------------------


def test_lines_that_no_proof_runs_are_named():
    def absolute(x, *, square=True):
        """Two branches and a refusal."""
        if x is None:
            raise ValueError("x must be a number")
        if square:
            return x**2
        return x

    def covered(*calls):
        found = Coverage()
        for square in calls:
            with tracing(trace := Trace()):
                absolute(2, square=square)
            trace.close()
            found.join(trace.coverage(absolute) or Coverage())
        return found

    last = absolute.__code__.co_firstlineno + 6
    assert lines_not_run(absolute, covered(True)) == [f"line {last}: return x"]
    assert lines_not_run(absolute, covered(True, False)) == []


def test_what_a_proof_ran_is_kept():
    chart = levels(2).with_arrays(x=(2,), eps=(2,))
    proof = proof_of(
        chart,
        lambda v: (forward.q_sample(v.schedule, v.x, 2, v.eps), v.p[2] * v.x + v.c[2] * v.eps),
    )
    assert proof.proved and proof.trace
    ran = proof.trace.coverage(function_of("forward.q_sample"))
    assert ran and str(ran) == "T = 2, t as an int, shapes (2,)"
    assert lines_not_run(forward.q_sample, ran) == []
    assert proof.trace.coverage(function_of("forward.q_step")) is None
