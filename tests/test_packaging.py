"""What setup.cfg declares is true: versions, warnings, the command, and how to install."""

import configparser
import re
import warnings
from pathlib import Path
from pkgutil import resolve_name

import pytest

ROOT = Path(__file__).parents[1]


def setup_cfg():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_the_oldest_versions_that_are_tested_are_those_declared():
    config = setup_cfg()
    sections = [config["options"]["install_requires"]]
    sections += [config["options.extras_require"][extra] for extra in ("figures", "test")]
    declared = dict(line.split(">=") for text in sections for line in text.split())
    lines = (ROOT / "tests" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    assert declared == dict(line.split("==") for line in lines if not line.startswith("#"))


def test_warnings_of_others_are_no_errors():
    with pytest.raises(DeprecationWarning):
        warn("ddpm_np.forward")
    with pytest.raises(DeprecationWarning):
        warn("test_forward")
    with warnings.catch_warnings(record=True) as seen:  # the filters stay as they are
        warn("somebody.else")
    assert len(seen) == 1


def warn(module):
    # Hypothesis, matplotlib and others may deprecate what they like.
    warnings.warn_explicit("old", DeprecationWarning, "file.py", 1, module=module, registry={})


def test_the_command_of_the_package_is_the_command_line():
    line = setup_cfg()["options.entry_points"]["console_scripts"]
    assert callable(resolve_name(line.split("=")[1].strip()))


def test_no_text_tells_to_install_a_package_that_is_not_published():
    name = "ddpm_np"
    for path in [*ROOT.glob("*.md"), *(ROOT / "ddpm_np").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(rf"install ['\"]?{name}", text), path
