"""The commands of the command line: the options of each, and what it does with them.

Each command has two functions here: one adds its options to the parser, one reads them and calls
the module that does the work; ``run`` and ``sample`` are in :mod:`ddpm_np.experiments.commands`.
:data:`COMMANDS` lists them all.
"""

import argparse
import gc
from pathlib import Path

from ddpm_np import _console as console
from ddpm_np.experiments.commands import RUN, SAMPLE

# ---- demo --------------------------------------------------------------------------------------


def _demo_options(demo: argparse.ArgumentParser) -> None:
    demo.add_argument("name", nargs="?", metavar="NAME", help="a demo of the list, or all")
    demo.add_argument(
        "--out",
        type=console.path_text,
        metavar="DIR",
        help="folder for the pictures (default: runs/demos)",
    )
    demo.add_argument(
        "--seed", type=console.whole(0), default=0, metavar="N", help="random seed (default: 0)"
    )


def _demo(arguments: console.Arguments) -> int:
    from ddpm_np.demos import DEMOS, run_demo

    if arguments.name is None:
        for name, demo in DEMOS.items():
            console.say(f"{name:14} {demo.about.en}")
        return console.DONE
    with console.refusing():
        run_demo(arguments.name, out=arguments.out, seed=arguments.seed, write=console.say)
    return console.DONE


# ---- verify ------------------------------------------------------------------------------------


def _verify(arguments: console.Arguments) -> int:
    import scipy  # noqa: F401  # the proofs would take its absence for a failure

    from ddpm_np.proof.verify import verify

    gc.freeze()  # what is loaded stays; the collector would look through it again and again
    return console.DONE if verify(out=console.say) else console.FAILED


# ---- errata ------------------------------------------------------------------------------------


def _errata_options(errata: argparse.ArgumentParser) -> None:
    errata.add_argument(
        "place",
        nargs="?",
        metavar="PLACE",
        help="a note and its line or lines, such as N2:351, or an equation, such as E10; by "
        "default all of them",
    )
    errata.add_argument(
        "--lang", choices=["en", "zh"], default="en", help="language of the list; by default en"
    )


def _errata(arguments: console.Arguments) -> int:
    from ddpm_np.errata import errata_table

    with console.refusing():
        lines = errata_table(arguments.place, lang=arguments.lang)
    for line in lines:
        console.say(line)
    return console.DONE


# ---- check -------------------------------------------------------------------------------------


def _check_options(check: argparse.ArgumentParser) -> None:
    check.add_argument(
        "subject",
        metavar="MODULE:OBJECT",
        help="an object with betas and operations such as q_sample, or what makes one without "
        "arguments; the working directory is searched first",
    )
    check.add_argument("--markdown", action="store_true", help="print the report as Markdown")


def _check(arguments: console.Arguments) -> int:
    from ddpm_np.conformance.command import check_path

    with console.refusing("argument MODULE:OBJECT: "):
        text, report = check_path(arguments.subject, markdown=arguments.markdown)
    console.say(text)
    return console.DONE if report.passed else console.FAILED


# ---- companion ---------------------------------------------------------------------------------


def _companion_options(companion: argparse.ArgumentParser) -> None:
    companion.add_argument(
        "--out",
        type=console.path_text,
        default="companion.html",
        metavar="FILE",
        help="new HTML file, or a notebook for .ipynb (default: companion.html)",
    )


def _companion(arguments: console.Arguments) -> int:
    from ddpm_np.companion.build import MissingPackages, write

    out = Path(arguments.out)
    console.check_new(out)
    try:
        write(out)
    except MissingPackages as error:
        raise console.Refused(str(error)) from None
    except RuntimeError as error:  # a formula that differs from its function, a failed proof
        raise console.Failed(str(error)) from None
    console.say(f"the companion {'notebook' if out.suffix == '.ipynb' else 'page'} is in {out}")
    return console.DONE


COMMANDS = {
    "run": RUN,
    "sample": SAMPLE,
    "demo": console.Command(
        "show a claim of the notes next to its closed form; without a name, list the demos",
        _demo_options,
        _demo,
    ),
    "verify": console.Command(
        "prove every identity of the derivation, and measure the largest rounding errors",
        lambda verify: None,
        _verify,
    ),
    "errata": console.Command(
        "list the errors in the notes: as printed, as corrected, with a deciding number",
        _errata_options,
        _errata,
    ),
    "check": console.Command(
        "compare a diffusion code with the equations, coefficient by coefficient",
        _check_options,
        _check,
    ),
    "companion": console.Command(
        "build the page, or the notebook, of formulas beside their code",
        _companion_options,
        _companion,
    ),
}
