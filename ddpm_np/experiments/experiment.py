"""The experiments of ``run``, by name.

``curve`` is the experiment of the notes, one random curve of 50 points; ``ensemble`` is the whole
family of signals with its frequencies; ``rings`` is the notes' experiment with pictures; ``own`` is
made of the user's signals.

Source: N2 "扩散模型的信号生成实践", "反扩散的样例".
"""

from typing import Any

from ddpm_np._checks import check_choice
from ddpm_np.experiments.base import Experiment
from ddpm_np.experiments.own import Own
from ddpm_np.experiments.rings import RingsExperiment
from ddpm_np.experiments.signals import Curve, Ensemble

CURVE, ENSEMBLE, RINGS = Curve(), Ensemble(), RingsExperiment()
EXPERIMENTS: dict[str, Experiment] = {e.name: e for e in (CURVE, ENSEMBLE, RINGS)}
BY_DEFAULT = ("curve", "ensemble")  # what ``run`` runs; the rings take minutes
CLASSES: dict[str, type[Experiment]] = {c.name: c for c in (Curve, Ensemble, RingsExperiment, Own)}


def from_config(config: Any) -> Experiment:
    """The experiment of that config. TypeError or ValueError if it is not one."""
    if not isinstance(config, dict):
        raise TypeError("an experiment must be an object with named settings")
    return CLASSES[check_choice("name", config.get("name"), *CLASSES)].of(config)
