"""What every experiment does beside training: it measures, draws, and tells its story.

The classes are in :mod:`ddpm_np.experiments.signals`, :mod:`ddpm_np.experiments.rings` and
:mod:`ddpm_np.experiments.own`; :mod:`ddpm_np.experiments.experiment` lists them.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ddpm_np import _figure_style as style
from ddpm_np.experiments.evaluation import Evaluation
from ddpm_np.experiments.settings import Settings
from ddpm_np.experiments.training import Training
from ddpm_np.sampling import Denoiser

Pictures = Iterator[tuple[str, style.Figure]]


@dataclass(frozen=True)
class Experiment(Settings):
    """An experiment: its settings, and what can be done with it."""

    @abstractmethod
    def evaluate(self, training: Training, networks: Mapping[str, Denoiser]) -> Evaluation:
        """Measures the averaged network of a training, and those of the further ones."""

    @abstractmethod
    def pictures(self, training: Training, found: Evaluation) -> Pictures:
        """Name and figure of each picture, in the order of the report."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What the story of the report says of this experiment."""
