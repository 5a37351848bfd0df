"""Adapters on published formulas: code that is no package, written down here in our own words.

Each says which commit of which repository it follows.
"""

from typing import Any

from benchmarks.conformance.entry import Entry


class NoisyToTheEnd:
    """Ho et al.'s formulas on the tables ``table``, of beta, and ``bar``, of alpha_bar.

    Every step, the last one included, adds noise of variance beta_t.
    """

    table: Any
    bar: Any

    def q_sample(self, x_0: Any, t: int, noise: Any) -> Any:
        """x_t."""
        return self.bar[t].sqrt() * x_0 + (1 - self.bar[t]).sqrt() * noise

    def reverse_step(self, x_t: Any, t: int, eps: Any, z: Any) -> Any:
        """The step to t - 1."""
        beta, spread = self.table[t], (1 - self.bar[t]).sqrt()
        return (x_t - beta / spread * eps) / (1 - beta).sqrt() + beta.sqrt() * z

    def loss(self, eps_hat: Any, eps: Any) -> Any:
        """The mean square."""
        import torch

        return torch.nn.functional.mse_loss(eps_hat, eps)


class NotesProgram(NoisyToTheEnd):
    """The program of the notes, learn-noise/learn-noise-1.py at 943760a, in float32.

    beta_t = sigmoid(f_t) (0.1 - 1e-5) + 1e-5, f_t from -6 to 6 in 100 steps.
    """

    name = "the notes' program"

    def __init__(self) -> None:
        import torch

        self.betas = torch.sigmoid(torch.linspace(-6, 6, 100)) * (0.1 - 1e-5) + 1e-5
        self.alphas_cumprod = torch.cumprod(1 - self.betas, 0)
        self.table, self.bar = self.betas, self.alphas_cumprod


class MinDiffusion(NoisyToTheEnd):
    """cloneofsimo/minDiffusion, mindiffusion/ddpm.py at a2acee3, in float32.

    Its tables have T + 1 entries, index 0 included, and its sampler goes from t = T - 1 to t = 1:
    time is 1-based, and entry 0 belongs to no step that is taken. But alpha_bar is the product from
    entry 0 on.
    """

    name, first_step = "minDiffusion", 1

    def __init__(self) -> None:
        import torch

        T, low, high = 1000, 1e-4, 0.02
        self.table = low + (high - low) * torch.arange(T + 1, dtype=torch.float32) / T
        self.bar = torch.log(1 - self.table).cumsum(0).exp()
        self.betas, self.alphas_cumprod = self.table[1:], self.bar[1:]


ENTRIES = [
    Entry(
        "[listenzcc/diffusion-model-learning]"
        "(https://github.com/listenzcc/diffusion-model-learning) 943760a",
        "the notes' program",
        NotesProgram,
        ("E17 step",),
        "Departs from algorithm 2 of Ho et al.: noise also at the last step, of variance beta_1.",
    ),
    Entry(
        "[cloneofsimo/minDiffusion](https://github.com/cloneofsimo/minDiffusion) a2acee3",
        "its formulas",
        MinDiffusion,
        ("E2 alpha_bar", "E6 q_sample", "E17 step"),
        "Departs: its alpha_bar has the factor 1 - beta_0 of a step that is never taken, and the "
        "last step adds noise. Read 0-based its tables are right, and the sampler leaves out two "
        "steps, one at each end.",
    ),
]
