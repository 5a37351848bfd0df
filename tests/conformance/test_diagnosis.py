"""Bugs in a small diffusion code, each reported at its equation with its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ddpm_np.conformance import check_diffusion
from ddpm_np.schedule import Schedule

SOURCE = (Path(__file__).parents[1] / "small_code.py").read_text()
NOISE_OF_STEP = "        if t == self.first_step:\n            return mean\n"

# What the code says, what the bug makes of it, the checks that must fail, what they must say.
BUGS = {
    # ---- those of tests/planted_bugs.py that touch an equation
    "alpha_bar a step late": (
        "np.exp(np.cumsum(np.log1p(-beta)))",
        "np.append(1.0, np.exp(np.cumsum(np.log1p(-beta))))[:-1]",
        "E6 q_sample",
        "t off by one",
    ),
    "beta_1 for beta_tilde_1": (
        "variance = beta * noise_before / noise",
        "variance = beta * noise_before / noise; variance[0] = beta[0]",
        "E11 variance",
        "beta_1 for beta_tilde_1",
    ),
    "skipped step with beta[t]": (
        "self.noise[i] - self.alpha_bar[i] / bar_s * noise_s",
        "self.beta[i]",
        "E18 ddim",
        "beta_t for beta_{t|s}",
    ),
    "square root of the noise dropped": (
        "+ self.noise[i] ** 0.5 * noise",
        "+ self.noise[i] * noise",
        "E6 q_sample",
        "a missing root",
    ),
    "alpha_bar[t - 1] for alpha_bar[t]": (
        "return self.alpha_bar[i] ** 0.5 * x_0 + self.noise[i] ** 0.5 * noise",
        "return self.alpha_bar_before[i] ** 0.5 * x_0 + self.noise_before[i] ** 0.5 * noise",
        "E6 q_sample",
        "t off by one",
    ),
    "+ in front of eps": (
        "(x_t - self.beta[i]",
        "(x_t + self.beta[i]",
        "E17 step",
        "the sign is turned",
    ),
    "+ in front of alpha_bar in psi_2": (
        "from_x_t = self.alpha[i] ** 0.5 * self.noise_before[i] / self.noise[i]",
        "from_x_t = self.alpha[i] ** 0.5 * self.noise_before[i] / (1 + self.alpha_bar[i])",
        "E12 mean",
        "1 + alpha_bar_t for 1 - alpha_bar_t",
    ),
    "variance without its denominator": (
        "variance = beta * noise_before / noise\n",
        "variance = beta * noise_before\n",
        "E11 variance",
        "the division by 1 - alpha_bar_t is missing",
    ),
    "x_0 at the level of t for that of t - 1": (
        "* self.alpha_bar_before[i] ** 0.5 / self.noise[i]",
        "* self.alpha_bar[i] ** 0.5 / self.noise[i]",
        "E12 mean",
        "t off by one: sqrt(alpha_bar_t) for sqrt(alpha_bar_{t-1})",
    ),
    "beta for beta_tilde": (
        "x_t, self.variance[i]",
        "x_t, self.beta[i]",
        "E11 variance",
        "beta for beta_tilde",
    ),
    "x_0 divided by alpha_bar": (
        "* eps) / self.alpha_bar[i] ** 0.5",
        "* eps) / self.alpha_bar[i]",
        "E13 predict_x0",
        "a missing root: alpha_bar_t for sqrt(alpha_bar_t)",
    ),
    "noise at t = 1": (
        NOISE_OF_STEP,
        "        if t == self.first_step:\n            return mean + self.beta[i] ** 0.5 * z\n",
        "E17 step",
        "noise at the last step",
    ),
    "variance used as standard deviation": (
        "mean + self.variance[i] ** 0.5 * z",
        "mean + self.variance[i] * z",
        "E17 step",
        "a missing root",
    ),
    "eta for eta^2": ("eta**2 * beta_ts", "eta * beta_ts", "E18 ddim", "eta for eta^2"),
    "DDIM with the sign of eps turned": (
        "+ direction * eps",
        "- direction * eps",
        "E18 ddim",
        "the sign of one term is turned",
    ),
    "gradient's loss off by dim": (
        "** 2).mean()",
        "** 2).sum() / len(eps)",
        "E15 loss",
        "summed over the coordinates",
    ),
    # ---- held out: not in that list
    "t + 1 for t in x_0": (
        "(x_t - self.noise[i] ** 0.5 * eps) / self.alpha_bar[i] ** 0.5",
        "(x_t - self.noise[min(i + 1, len(self.noise) - 1)] ** 0.5 * eps) "
        "/ self.alpha_bar[min(i + 1, len(self.noise) - 1)] ** 0.5",
        "E13 predict_x0",
        "t off by one",
    ),
    "alpha_bar_0 = alpha_bar_1": (
        "bar_s = 1.0 + 0 * self.alpha_bar[i] if clean else",
        "noise_s = self.noise[0]; bar_s = self.alpha_bar[0] if clean else",
        "E18 ddim",
        "alpha_bar_0 = alpha_bar_1",
    ),
    "signal clipped": (
        "return (x_t - self.noise[i] ** 0.5 * eps) / self.alpha_bar[i] ** 0.5",
        "return np.clip((x_t - self.noise[i] ** 0.5 * eps) / self.alpha_bar[i] ** 0.5, -1, 1)",
        "E13 predict_x0",
        "clipping: x_0 is cut to [-1, 1]",
    ),
    "alpha for alpha_bar": (
        "return self.alpha_bar[i] ** 0.5 * x_0",
        "return self.alpha[i] ** 0.5 * x_0",
        "E6 q_sample",
        "sqrt(alpha_t) for sqrt(alpha_bar_t)",
    ),
    "sigma^2 not subtracted": (
        "(noise_s - sigma2) ** 0.5",
        "noise_s**0.5",
        "E18 ddim",
        "sigma^2 is not subtracted",
    ),
    "variance as standard deviation, at the last step as well": (
        NOISE_OF_STEP + "        return mean + self.variance[i] ** 0.5 * z",
        "        return mean + self.beta[i] * z",
        "E17 step",
        "noise at the last step; and a missing root",
    ),
    "no root of alpha in the step": (
        "* eps) / self.alpha[i] ** 0.5\n",
        "* eps) / self.alpha[i]\n",
        "E17 step",
        "a missing root: alpha_t for sqrt(alpha_t)",
    ),
    "no division by sqrt(alpha)": (
        "* eps) / self.alpha[i] ** 0.5\n",
        "* eps)\n",
        "E17 step",
        "the division by sqrt(alpha_t) is missing",
    ),
    "no root of 1 - alpha_bar in the step": (
        "self.beta[i] / self.noise[i] ** 0.5",
        "self.beta[i] / self.noise[i]",
        "E17 step",
        "a missing root",
    ),
    "eps scaled by the plain beta": (
        "self.beta[i] / self.noise[i] ** 0.5",
        "self.beta[i]",
        "E17 step",
        "the division by sqrt(1 - alpha_bar_t) is missing",
    ),
    "beta_tilde turned over": (
        "beta * noise_before / noise\n",
        "beta * noise / np.where(before < 1, noise_before, noise)\n",
        "E11 variance",
        "is turned over",
    ),
    "half the squares": ("** 2).mean()", "** 2).mean() / 2", "E15 loss", "half the mean square"),
    "magnitudes": ("((eps_hat - eps) ** 2).mean()", "abs(eps_hat - eps).mean()", "E15 loss", "L1"),
    "a constant in q_sample": (
        "+ self.noise[i] ** 0.5 * noise",
        "+ self.noise[i] ** 0.5 * noise + 0.5",
        "E6 q_sample",
        "a constant is added",
    ),
    "x times noise": (
        "+ self.noise[i] ** 0.5 * noise",
        "+ self.noise[i] ** 0.5 * noise + 0.1 * x_0 * noise",
        "E6 q_sample",
        "not affine",
    ),
    "own noise drawn": (
        "mean + self.variance[i] ** 0.5 * z",
        "mean + np.random.default_rng().normal(size=z.shape)",
        "E17 step",
        "two equal calls give different results",
    ),
    "noise twice as large": (
        "mean + self.variance[i] ** 0.5 * z",
        "mean + 2 * self.variance[i] ** 0.5 * z",
        "E17 step",
        "a constant factor: 2 times",
    ),
    "snr weights the loss": (
        "def loss(self, eps_hat, eps):\n        return ",
        "def loss(self, eps_hat, eps, t):\n        i = self.at(t)\n"
        "        return self.alpha_bar[i] / self.noise[i] * ",
        "E15 loss",
        "the wrong SNR weight: snr_t for 1",
    ),
}


def planted(right: str, wrong: str, *, T: int = 25, first: int = 0, dtype=np.float64, own=False):
    assert SOURCE.count(right) == 1, f"{right!r} must be there once, is {SOURCE.count(right)} times"
    space = {"__name__": "planted"}
    exec(compile(SOURCE.replace(right, wrong), "<planted>", "exec", dont_inherit=True), space)
    made = space["OneBased" if first else "SmallCode"]
    if not own:
        made.from_betas = None
    return made(Schedule.linear(T).beta[1:].astype(dtype))


@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize("first, dtype", [(0, np.float64), (1, np.float32)])
def test_a_planted_bug_is_named(bug, first, dtype):
    right, wrong, check, words = BUGS[bug]
    report = check_diffusion(planted(right, wrong, first=first, dtype=dtype), on_fail=None)
    found = [row for row in report.failures if row.check == check]
    assert found and any(words in row.diagnosis for row in found), f"{words!r} is not in\n{report}"


def test_what_is_no_bug_is_no_failure():
    right, *_ = BUGS["beta for beta_tilde"]
    assert check_diffusion(planted(right, right)).passed
