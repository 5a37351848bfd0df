"""Subjects of every make: what is right passes, what is wrong is named."""

import re
import textwrap
from pathlib import Path

import pytest

from ddpm_np.conformance import check_diffusion
from ddpm_np.conformance.checks import check_one
from ddpm_np.conformance.subject import Subject

TEXT = Path(__file__).with_name("subjects.txt").read_text()
BLOCKS = dict(block.split("\n", 1) for block in TEXT.split("\n==== ")[1:])
PRELUDES = {h: b for h, b in BLOCKS.items() if h.startswith("with ")}
SPACE = {"__name__": "subjects"}


def made(body):
    """What the block returns, in a space that has what it names."""
    for library in ("numpy", "torch", "jax"):
        names = {"torch": ("torch", "TD", "TB", "diffusers"), "jax": ("jax", "JB")}
        if not any(name in body for name in names.get(library, ("",))):
            continue
        for needed in ("torch", "diffusers", "jax"):
            if needed == library or needed in body:
                pytest.importorskip(needed)
        if library not in SPACE:
            exec(compile(PRELUDES[f"with {library}"], "<subjects>", "exec"), SPACE)
            SPACE[library] = SPACE.get(library)
    exec(compile(f"def make():\n{textwrap.indent(body, '    ')}", "<subjects>", "exec"), SPACE)
    return SPACE["make"]()


def heads():
    """All that is wrong or said, and of what is right one in three by default."""
    right = 0
    for head in BLOCKS:
        if head not in PRELUDES:
            plain = not re.search("[-=]>", head)
            right += plain
            later = plain and right % 3
            name = re.split(" [-=]> ", head)[0]
            yield pytest.param(head, id=name, marks=[pytest.mark.long] if later else [])


@pytest.mark.parametrize("head", [*heads()])
def test_a_subject_passes_or_is_named(head):
    report = check_diffusion(made(BLOCKS[head]), on_fail=None)
    _, arrow, words = re.split("( [-=]> |$)", head, maxsplit=1)
    words = [w for w in words.split(" & ") if w]
    wrong = {}
    for row in report.failures:
        wrong.setdefault((row.equation, row.diagnosis), []).append(row.coefficient)
    failures = [f"{e} {', '.join(found)}: {diagnosis}" for (e, diagnosis), found in wrong.items()]
    missing = [w for w in words if w not in "\n".join([str(report), *failures])]
    assert not missing, f"{missing} not in\n{report}"
    unnamed = [f for f in failures if not any(w in f for w in words)]
    assert not unnamed, f"{unnamed} not in {head}"
    assert report.passed != (arrow == " -> ") or "not a single-step" in words, str(report)


def test_one_check_compares_the_t_of_the_model_too():
    head = next(h for h in BLOCKS if h.startswith("asked at another t in training"))
    report = check_one(Subject(made(BLOCKS[head])), "E16 p_losses")
    assert [row.coefficient for row in report.failures] == ["t of the model"]


def test_the_list_is_long():
    correct = [h for h in BLOCKS if "->" not in h]
    assert len(correct) > 50 and len(BLOCKS) - len(correct) > 60
