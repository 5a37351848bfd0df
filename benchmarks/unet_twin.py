"""The PyTorch twin of :class:`ddpm_np.learning.unet.UNet`: ``nn.Conv2d``, and nothing by hand.

:func:`unet_checks` compares loss, gradient and prediction, :func:`unet_contenders` makes the
training steps that the clock compares.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.contenders import COMPILED, FUSED, LAST, PRODUCTS
from benchmarks.ours import Run, multiplied, our_training
from benchmarks.parity import Check, relative_error
from benchmarks.rivals import eager_training
from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Rings
from ddpm_np.learning.convolution import neighbours, turned
from ddpm_np.learning.unet import UNet, preconditioning
from ddpm_np.schedule import Schedule
from ddpm_np.training import denoising_loss

SIZE, T, BATCH = 16, 100, 16
FLOAT64, FLOAT32 = 1e-12, 1e-4


class UNetTwin(nn.Module):
    """eps_hat (n, size * size) from x_t (n, size * size) and t (n,); with the network's weights."""

    def __init__(self, network: UNet) -> None:
        super().__init__()
        if network.basis is not None:
            raise ValueError("network must have a row for each step, not a basis")
        self.size, self.depth, self.layers = network.size, len(network.widths), network.layers
        dtype = torch.float64 if network.dtype == np.float64 else torch.float32
        convolutions, gates, shifts = [], [], []
        l = 1
        while f"gate{l}" in network.params:
            kernel = network.params[f"W{l}"]
            c_in, c_out = kernel.shape[1] // 3, kernel.shape[2]
            mode = "circular" if network.wrap else "zeros"
            convolutions.append(
                nn.Conv2d(c_in, c_out, 3, padding=1, bias=False, padding_mode=mode, dtype=dtype)
            )
            weight = kernel.reshape(3, 3, c_in, c_out).transpose(3, 2, 0, 1)
            convolutions[-1].weight.data = torch.tensor(np.ascontiguousarray(weight))
            for tables, name in ((gates, "gate"), (shifts, "shift")):
                table = network.params[f"{name}{l}"].copy()
                tables.append(nn.Embedding.from_pretrained(torch.from_numpy(table), freeze=False))
            l += 1
        self.convolutions = nn.ModuleList(convolutions)
        self.gates, self.shifts = nn.ModuleList(gates), nn.ModuleList(shifts)
        self.out = nn.Conv2d(network.widths[0], 1, 1, dtype=dtype)
        self.out.weight.data = torch.tensor(network.params[f"W{l}"].T[:, :, None, None].copy())
        self.out.bias.data = torch.tensor(network.params[f"b{l}"])
        for name, default in (("skip", 0.0), ("gain", 1.0)):
            table = getattr(network, name)
            table = np.full(network.T + 1, default, network.dtype) if table is None else table
            self.register_buffer(name, torch.tensor(table)[:, None], persistent=False)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h, kept, l = x.view(-1, 1, self.size, self.size), [], 0

        def convolved(h: Tensor) -> Tensor:
            nonlocal l
            for _ in range(self.layers):
                gate, shift = (table[l](t)[:, :, None, None] for table in (self.gates, self.shifts))
                act = functional.silu(gate * self.convolutions[l](h) + shift)
                h = act + h if act.shape == h.shape else act
                l += 1
            return h

        for level in range(self.depth):
            if level:
                kept.append(h)
                h = functional.avg_pool2d(h, 2)
            h = convolved(h)
        while kept:
            h = torch.cat([functional.interpolate(h, scale_factor=2.0), kept.pop()], 1)
            h = convolved(h)
        return self.skip[t] * x + self.gain[t] * self.out(h).flatten(1)

    def gradients(self) -> dict[str, Array]:
        """What autograd left, under the names and in the shapes of the network's parameters."""
        found = {}
        for l, (c, gate, shift) in enumerate(zip(self.convolutions, self.gates, self.shifts), 1):
            kernel = c.weight.grad.numpy().transpose(2, 3, 1, 0)
            found[f"W{l}"] = kernel.reshape(3, -1, kernel.shape[-1])
            found[f"gate{l}"] = gate.weight.grad.numpy()
            found[f"shift{l}"] = shift.weight.grad.numpy()
        found[f"W{l + 1}"] = self.out.weight.grad.numpy()[:, :, 0, 0].T
        found[f"b{l + 1}"] = self.out.bias.grad.numpy()
        return found


def _network(dtype: type, *, wrap: bool = False) -> tuple[UNet, Schedule]:
    """The network of the rings, away from its zero output and unit gates, which hide mistakes."""
    schedule, rng = Schedule.sigmoid(T), np.random.default_rng(0)
    skip, gain = preconditioning(schedule, Rings(SIZE).mean_square)
    network = UNet(SIZE, T, rng=rng, dtype=dtype, skip=skip, gain=gain, wrap=wrap)
    network.flat += 0.05 * rng.standard_normal(network.flat.size).astype(dtype)
    return network, schedule


def unet_checks(n: int = BATCH) -> list[Check]:
    """Prediction and gradient, in float64 with both paddings and in float32."""
    checks = []
    for dtype, wrap, limit in (
        (np.float64, False, FLOAT64),
        (np.float64, True, FLOAT64),
        (np.float32, False, FLOAT32),
    ):
        network, _ = _network(dtype, wrap=wrap)
        rng = np.random.default_rng(1)
        x, eps = rng.standard_normal((2, n, network.dim)).astype(dtype)
        t = rng.integers(1, T + 1, n)
        eps_hat, cache = network.forward(x, t)
        ours = network.backward(denoising_loss(eps_hat, eps)[1], cache)
        twin = UNetTwin(network)
        theirs = twin(torch.tensor(x), torch.tensor(t))
        functional.mse_loss(theirs, torch.tensor(eps)).backward()
        name = f"U-Net, {np.dtype(dtype).name}{', wrapped' if wrap else ''}"
        checks.append(
            Check(f"{name}: eps_hat", relative_error(eps_hat, theirs.detach().numpy()), limit)
        )
        errors = [relative_error(ours[key], value) for key, value in twin.gradients().items()]
        checks.append(Check(f"{name}: gradient", max(errors), limit))
    return checks


def unet_contenders(*, compiled: bool = True) -> dict[str, Callable[[], Run]]:
    """What makes each contender's training step at batch 16; "ours" is the first."""
    network, schedule = _network(np.float32)
    x_0 = Rings(SIZE).sample(BATCH, rng=np.random.default_rng(2), dtype=np.float32)
    contenders = {
        "ours": lambda: our_training(network.copy(), schedule, x_0),
        PRODUCTS: lambda: _products(network, x_0),
        FUSED: lambda: eager_training(network, schedule, x_0, twin=UNetTwin, fused=True),
        LAST: lambda: eager_training(network, schedule, x_0, twin=_channels_last, fused=True),
    }
    if compiled:
        contenders[COMPILED] = lambda: eager_training(
            network, schedule, x_0, twin=UNetTwin, fused=True, compiled=True
        )
    return contenders


def _channels_last(network: UNet) -> UNetTwin:
    """In the order of axes that PyTorch's tuning guide recommends."""
    return UNetTwin(network).to(memory_format=torch.channels_last)


def _products(network: UNet, x_0: Array) -> Run:
    """Only the matrix products of a step: three for each kernel, each way."""
    products, (_, cache) = [], network.forward(x_0, np.full(len(x_0), 1))
    for l in range(1, len(network.params) // 3 + 1):
        h, u, kernel = cache[l][0], cache[l][1], network.params[f"W{l}"]
        c_in, c_out = h.shape[-1], u.shape[-1]
        wide, d_wide = (
            neighbours(v).reshape(-1, 3 * v.shape[-1])[: h.size // c_in] for v in (h, u)
        )
        pixels, back = h.reshape(-1, c_in), turned(kernel)
        for k in range(3):
            products.append((wide, kernel[k], np.empty((len(wide), c_out), h.dtype)))
            products.append((pixels.T, d_wide, np.empty((c_in, 3 * c_out), h.dtype)))
            if l > 1:
                products.append((d_wide, back[k], np.empty_like(pixels)))
    return multiplied(products)
