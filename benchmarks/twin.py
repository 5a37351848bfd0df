"""The PyTorch twin of :class:`ddpm_np.network.MLP`: the same network, with nothing by hand.

Linear layers, embeddings and autograd, written as a PyTorch user would. Weights move both ways.
:mod:`benchmarks.parity` compares the numbers, :mod:`benchmarks.rivals` the time.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ddpm_np._checks import Array
from ddpm_np.network import MLP
from ddpm_np.schedule import Schedule

ACTIVATIONS = {
    "silu": lambda z, _: functional.silu(z),
    "leaky_relu": functional.leaky_relu,
    "identity": lambda z, _: z,
}
MODULES = {
    "W": "linear{}.weight",
    "b": "linear{}.bias",
    "gate": "gate{}.weight",
    "shift": "shift{}.weight",
}


class Twin(nn.Module):
    """eps_hat (n, dim) from x_t (n, dim) and t, (n,) or (1,) int64, with the weights of ``mlp``.

    maximum: write the leaky ReLU as max(z, leak z), which torch.compile makes faster code of.
    """

    def __init__(self, mlp: MLP, *, maximum: bool = False) -> None:
        super().__init__()
        self.dim, self.activations = mlp.dim, dict(ACTIVATIONS)
        if maximum:
            self.activations["leaky_relu"] = lambda z, leak: torch.maximum(z, leak * z)
        dtype = torch.float64 if mlp.dtype == np.float64 else torch.float32
        self.layers = mlp.hidden
        rows = mlp.T + 1 if mlp.basis is None else mlp.basis.shape[1]
        width = mlp.dim
        for l, layer in enumerate(mlp.hidden, 1):
            self.add_module(
                f"linear{l}", nn.Linear(width, layer.width, bias=layer.step != "gate", dtype=dtype)
            )
            if layer.step == "gate":
                self.add_module(f"gate{l}", nn.Embedding(rows, layer.width, dtype=dtype))
            if layer.step != "none":
                self.add_module(f"shift{l}", nn.Embedding(rows, layer.width, dtype=dtype))
            width = layer.width
        self.add_module(f"linear{len(mlp.hidden) + 1}", nn.Linear(width, mlp.dim, dtype=dtype))
        skip = np.zeros((mlp.T + 1, 1)) if mlp.skip is None else mlp.skip[:, None]
        self.has_skip, self.has_basis = mlp.skip is not None, mlp.basis is not None
        basis = torch.zeros(0) if mlp.basis is None else torch.tensor(mlp.basis, dtype=dtype)
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("skip", torch.tensor(skip, dtype=dtype), persistent=False)
        self.load_state_dict(to_torch_state_dict(mlp))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h = x
        for l, layer in enumerate(self.layers, 1):
            z = getattr(self, f"linear{l}")(h)
            if layer.step == "gate":
                z = self._rows(f"gate{l}", t) * z + self._rows(f"shift{l}", t)
            elif layer.step == "shift":
                z = z + self._rows(f"shift{l}", t)
            h = self.activations[layer.activation](z, layer.leak)
        out = getattr(self, f"linear{len(self.layers) + 1}")(h)
        return out + self.skip[t] * x if self.has_skip else out

    def _rows(self, name: str, t: Tensor) -> Tensor:
        table = getattr(self, name)
        return self.basis[t] @ table.weight if self.has_basis else table(t)


def roots(schedule: Schedule, dtype: torch.dtype) -> list[Tensor]:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar) as columns, index t."""
    tables = schedule.alpha_bar, schedule.one_minus_alpha_bar
    return [torch.tensor(np.sqrt(table), dtype=dtype)[:, None] for table in tables]


def to_torch_state_dict(mlp: MLP) -> dict[str, Tensor]:
    """Copies of the weights for the twin's ``load_state_dict``; W (in, out) becomes (out, in)."""
    return {
        _torch_name(name): torch.tensor(value.T if name.startswith("W") else value)
        for name, value in mlp.params.items()
    }


def from_torch_state_dict(mlp: MLP, state: dict[str, Tensor]) -> None:
    """Writes the twin's ``state_dict()`` into the network.

    ValueError for other names or shapes; then nothing is written.
    """
    arrays = named_arrays(state)
    wanted = {name: value.shape for name, value in mlp.params.items()}
    got = {name: value.shape for name, value in arrays.items()}
    if got != wanted:
        raise ValueError(f"state must hold {wanted}, got {got}")
    for name, value in mlp.params.items():
        value[:] = arrays[name]


def named_arrays(state: dict[str, Tensor]) -> dict[str, Array]:
    """Tensors under the twin's names as arrays under the network's: weights, or gradients."""
    ours = {}
    for theirs, value in state.items():
        module, _, kind = theirs.partition(".")
        name = module.replace("linear", "W" if kind == "weight" else "b")
        array = value.detach().numpy()
        ours[name] = array.T if name.startswith("W") else array
    return ours


def _torch_name(name: str) -> str:
    kind = name.rstrip("0123456789")
    return MODULES[kind].format(name[len(kind) :])
