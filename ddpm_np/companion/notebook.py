"""The derivation as a notebook: the telling, with a cell for each step that calls its functions."""

from typing import Any

from ddpm_np.companion.numbers import NAMES, SHOWN
from ddpm_np.companion.page import fingerprint
from ddpm_np.equations import EQUATIONS
from ddpm_np.equations.formula import parse
from ddpm_np.equations.telling import CHAPTERS, IDENTITY, STEPS, Step, told
from ddpm_np.equations.typeset import in_latex, latex

START = f"""from ddpm_np.companion.numbers import SCHEDULES, learned

schedule, t = SCHEDULES["sigmoid"], {SHOWN}  # change them and run all cells again
x_0, signals, network, losses = learned("sigmoid")  # trains for a few seconds
print(schedule, signals, network, sep="\\n")"""
FORWARD = """import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 5, figsize=(12, 2), sharey=True)
for axis, u in zip(axes, (0, 10, 30, 60, 100)):
    axis.plot(q_sample(schedule, x_0, u, eps))
    axis.set_title(f"x_{u}")"""
BACK = """figure, axis = plt.subplots(figsize=(8, 3))
wide = 2 * np.sqrt(variance)
axis.fill_between(range(50), mean - wide, mean + wide, alpha=0.3, label="q(x_{t-1} | x_t, x_0)")
axis.plot(x_0, "k", label="x_0")
axis.plot(x_t, ".", color="grey", label="x_t")
axis.plot(predict_x0(schedule, x_t, t, eps_hat), "--", label="the network's x_0")
axis.plot(predict_x0(schedule, x_t, t, eps_star), ":", label="the ideal denoiser's x_0")
axis.legend(ncol=3, fontsize="small");"""
SAMPLE = """from ddpm_np.sampling import ancestral_sample

figure, axes = plt.subplots(2, 5, figsize=(12, 4), sharex=True, sharey=True)
denoisers = {"network": network, "ideal": IdealDenoiser(signals, schedule)}
for row, (name, denoiser) in zip(axes, denoisers.items()):
    rng = np.random.default_rng(0)
    path = ancestral_sample(denoiser, schedule, 5, 50, rng=rng, trajectory=True)
    for axis, u in zip(row, (100, 60, 30, 10, 0)):
        axis.plot(path[u].T, lw=0.8)
        axis.set_title(f"{name}, x_{u}")"""


def notebook(*, run: bool = True) -> Any:
    """The notebook, with the outputs of its cells, which are run one after the other.

    ImportError without the packages of the extra "docs".
    """
    import nbclient
    import nbformat

    make: Any = nbformat.v4
    cells = [
        (make.new_code_cell if is_code else make.new_markdown_cell)(text, id=f"cell-{i}")
        for i, (is_code, text) in enumerate(_cells())
    ]
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "fingerprint": fingerprint(),
    }
    book = make.new_notebook(cells=cells, metadata=metadata)
    if run:
        nbclient.NotebookClient(
            book, timeout=600, kernel_name="python3", coalesce_streams=True
        ).execute()
        for cell in book.cells:
            cell.metadata.pop("execution", None)  # the time of day
    nbformat.validate(book)
    return book


def _cells() -> list[tuple[bool, str]]:
    """Texts and code, in order."""
    imports, *setup = NAMES.strip().split("\n\n")
    pictures = {"forward": FORWARD, "back": BACK, "sampling": SAMPLE}
    found = [
        (False, f"# The derivation is the code\n\n{INTRODUCTION}"),
        (True, START),
        (True, imports),
        *((True, block) for block in setup),
    ]
    for part in CHAPTERS:
        found.append((False, f"## {part.title.en}"))
        if part.steps is STEPS:
            for i, step in enumerate(part.steps, 1):
                found += [(False, _told(step, f"### {i}. ")), (True, _run(step))]
        else:
            found.append((False, "\n\n".join(_told(step, "### ") for step in part.steps)))
            found.append((True, "\n".join(map(_run, part.steps))))
        if part.name in pictures:
            found.append((True, pictures[part.name]))
    return found


INTRODUCTION = f"""Denoising diffusion from Bayes' rule to the line that samples. One identity does
all the work, ${latex(parse(IDENTITY))}$: it is the numerator of $\\psi_2$, and what cancels in the
coefficient of $x_t$. Each formula stands in the docstring of the function that the cell below it
calls. Of a signal, the numbers are those of one point."""


def _told(step: Step, marks: str) -> str:
    """The formulas of a step, and why."""
    formulas = "".join(f"$${latex(piece)}$$\n\n" for piece in step.pieces)
    title, why = in_latex(EQUATIONS[step.equation].title.en), in_latex(told(step.because.en))
    return f"{marks}{step.equation}: {title}\n\n{formulas}{why}"


def _run(step: Step) -> str:
    """A line for each number that the step shows."""
    return "\n".join(f'print("{symbol} =", at_point({code}))' for symbol, code in step.shows)
