"""What the notes show and claim, next to its closed form: one demo per file, in their order.

A demo is a module with ``NOTE``, the place in the notes that it follows; ``show(*, rng, ...)``,
which computes its numbers and returns a :class:`Shown` (its other arguments are sizes, whose
defaults take seconds); and ``draw(drawn)``, which draws the picture from what ``show`` returned.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

from ddpm_np import _figure_style
from ddpm_np._checks import check_count
from ddpm_np._measurement import Measurement
from ddpm_np.demos.table import Shown, format_table

__all__ = ["DEMOS", "DEMOS_ZH", "Measurement", "Shown", "run_demo"]

DEMOS = {
    "averaging": "the mean of n observations: what 1/n removes, and the two things it does not",
    "covariance": "the kernel of a signal, of the shuffled signal and of noise; and the ensemble, "
    "whose rank is low",
    "reshape": "noise that is given a covariance, and whether it makes the signal more likely",
    "forward": "the covariance replaced step by step: eigenvalues go to 1, KL falls, entropy rises "
    "or falls",
    "posterior": "completing the square on numbers; and the true reverse kernel, a mixture",
    "variance": "beta_tilde, beta or the optimal variance: the exact output of the sampler",
    "noise-target": "what the network learns: the mean of the noise in x_t, not the end of the "
    "chain",
    "likelihood": "maximum likelihood as least KL, P(x) as an integral four ways, and the "
    "diffusion bound",
    "moon": "between full and half moon: the ideal denoiser, a Gaussian fit and trained networks",
    "multiply": "the density times a measurement: denoising and filling in, with the exact "
    "posterior",
    "memory": "one signal, a few, many: does a sampler memorise or generalise",
    "rings": "circles that are not round: denoisers of five pictures that see all of them, or a "
    "patch",
}
DEMOS_ZH = {
    "averaging": "对 n 次观测取平均：误差按 1/n 减小，但公共噪声与偏差平均不掉。",
    "covariance": "信号、打乱后的信号与噪声的核矩阵：打乱顺序不改变特征值；"
    "真正低秩的是信号总体的协方差。",
    "reshape": "让噪声具有指定的协方差，再看信号在这一协方差下是否更可能出现。",
    "forward": "协方差一步步被替换：特征值各自趋于 1，KL 散度逐步下降，熵则可升可降。",
    "posterior": "代入具体数值完成配方；x_0 未知时，真实的反向核是混合分布，而不是单个高斯分布。",
    "variance": "反向一步的方差取 β̃、β 还是最优值：各自使采样器输出怎样的分布，均有精确结果。",
    "noise-target": "网络学到的是给定 x_t 时噪声的条件均值，它比噪声小；它不是扩散终点处的噪声。",
    "likelihood": "极大似然就是使 KL 散度最小；积分 P(x) 的四种算法；以及扩散模型的变分上界。",
    "moon": "满月与半月之间：理想去噪器、高斯拟合和训练出的网络分别给出什么。",
    "multiply": "信号的概率密度乘以一次测量：去噪与补全，并与精确的后验分布对照。",
    "memory": "一条、几条、许多条信号：采样器是在背诵数据，还是学会了生成新的信号？",
    "rings": "不太圆的圆圈：由五张图片得到的去噪器，看见整张图片与只看见局部时各画出什么。",
}
"""Name and description of each demo, in English and in Chinese."""


def run_demo(
    name: str,
    *,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    write: Callable[[str], object] = print,
) -> dict[str, Shown]:
    """Runs the demo of that name, or "all": prints its numbers and draws its picture.

    out: folder for the pictures NAME.png, by default runs/demos; it is created if it is missing.
    seed: random seed, from 0; equal seeds give equal numbers. write: called with one line of text
    at a time. Returns what was shown, by name. Without matplotlib there are numbers and no
    pictures.

    ValueError for an unknown name, which lists the known ones, and for an ``out`` that cannot be
    written.
    """
    if name != "all" and name not in DEMOS:
        raise ValueError(f'name must be one of {", ".join(DEMOS)} or all, got "{name}"')
    check_count("seed", seed, low=0)
    folder = _folder(Path("runs", "demos") if out is None else Path(out), write)
    shown = {}
    for each in DEMOS if name == "all" else [name]:
        module = demo_module(each)
        write(f"{each}: {DEMOS[each]}")
        write(f"follows {module.NOTE}")
        shown[each] = module.show(rng=np.random.default_rng(seed))
        for line in format_table(shown[each]):
            write(line)
        if folder is not None:
            path = folder / f"{each}.png"
            write(f"picture: {_figure_style.save(module.draw(shown[each].drawn), path)}")
        write("")
    return shown


def demo_module(name: str) -> ModuleType:
    """The module of that demo."""
    return import_module(f"{__name__}.{name.replace('-', '_')}")


def _folder(folder: Path, write: Callable[[str], object]) -> Path | None:
    """The folder for the pictures, created; None where matplotlib is missing."""
    if not _figure_style.available():
        write(
            "matplotlib is not installed or cannot be imported, so there are no pictures; "
            'pip install ".[figures]" in the project\'s folder installs it'
        )
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"got {folder} ({error.strerror})"
        raise ValueError(f"out must be a folder that can be written, {reason}") from None
    return folder
