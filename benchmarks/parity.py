"""The same numbers first: loss, gradients and training steps of the package and of its PyTorch
twin.

All start from the same weights, x_0, eps and t. :mod:`benchmarks.timing` measures only after every
:class:`Check` here has passed. A relative error is the largest difference between two arrays over
the largest entry of PyTorch's.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from benchmarks.twin import Twin, named_arrays, roots
from ddpm_np._checks import Array
from ddpm_np.forward import q_sample
from ddpm_np.learning.fast import FastGradient
from ddpm_np.learning.layers import step_basis
from ddpm_np.learning.optimizer import AdamW, clip_by_global_norm
from ddpm_np.network import MLP, Layer
from ddpm_np.schedule import Schedule
from ddpm_np.training import denoising_loss

FLOAT64, WEIGHTS = 1e-12, 1e-9
# The gradient is longer than 1 at first, so that clipping is checked too.
STEPS, RATE, MAX_NORM, DECAY = 200, 3e-3, 1.0, 0.01


class Check(NamedTuple):
    """One comparison: what, the error found, the largest allowed, and the unit of both."""

    name: str
    error: float
    limit: float
    unit: str = "relative"

    @property
    def passed(self) -> bool:
        """Whether the error is small enough."""
        return self.error <= self.limit  # False for NaN


class Batch(NamedTuple):
    """x_0 and eps (n, dim), t (n,)."""

    x_0: Array
    t: Array
    eps: Array


def networks(dim: int = 50, T: int = 100, *, seed: int = 0) -> dict[str, MLP]:
    """What is compared, in float64, away from initial zeros and ones, which would hide mistakes."""
    rng, noise = np.random.default_rng(seed), Schedule.sigmoid(T).one_minus_alpha_bar
    options: dict[str, Any] = {"rng": rng, "dtype": np.float64, "skip": np.sqrt(noise)}
    silu = [Layer(2 * dim, "silu")]
    found = {
        "notes' network": MLP.notes(dim, T, rng=rng, dtype=np.float64),
        "default network": MLP(dim, T, **options),
        "two layers of SiLU": MLP(dim, T, hidden=silu * 2, **options),
        "SiLU with a basis": MLP(dim, T, hidden=silu, basis=step_basis(noise, 10), **options),
    }
    for mlp in found.values():
        mlp.flat += 0.1 * rng.standard_normal(mlp.flat.size)
    return found


def parity(n: int = 128) -> Iterator[Check]:
    """Every check, for every kind of network that is timed."""
    for name, mlp in networks().items():
        found = *step_checks(mlp, n), training_check(mlp, n), *float32_checks(mlp, n)
        for check in (*found, *_jax_checks(mlp, n)):
            yield check._replace(name=f"{name}: {check.name}")


def step_checks(mlp: MLP, n: int, seed: int = 1) -> list[Check]:
    """Output, loss and each gradient of one float64 step, against autograd's."""
    batch = _batch(mlp, n, seed)
    ours, theirs = _ours(mlp, batch), _theirs(mlp, batch)
    return [
        Check(f"{key}, float64", relative_error(ours[key], theirs[key]), FLOAT64) for key in theirs
    ]


def training_check(mlp: MLP, n: int, steps: int = STEPS) -> Check:
    """Every weight after ``steps`` of training, clipped and decayed, each with its own optimizer.

    Ours are the fast gradient, clipping and AdamW that ``train`` calls, on a copy of the network.
    """
    schedule, copy, twin = Schedule.sigmoid(mlp.T), _cast(mlp, np.float64), Twin(mlp)
    optimizer = torch.optim.AdamW(twin.parameters(), RATE, weight_decay=DECAY)
    ours, fast = AdamW(copy.flat.size, np.float64, weight_decay=DECAY), FastGradient()
    for k in range(steps):
        batch = _batch(mlp, n, k)
        _, gradient = fast(copy, schedule, *batch)
        clip_by_global_norm(gradient.flat, MAX_NORM)
        ours.step(copy.flat, gradient.flat, RATE)
        optimizer.zero_grad()
        _loss(twin, schedule, batch)[1].backward()
        _clip(twin)
        optimizer.step()
    theirs = named_arrays(twin.state_dict())
    error = max(float(np.abs(copy.params[name] - theirs[name]).max()) for name in theirs)
    return Check(f"every weight after {steps} steps, float64", error, WEIGHTS, "absolute")


def float32_checks(mlp: MLP, n: int, seed: int = 1) -> list[Check]:
    """How far our float32 is from PyTorch's float64, in ulp of each array's largest entry.

    Allowed is one rounding for each term of the longest sum; rounding errors that do not conspire
    stay near its square root.
    """
    exact = _theirs(mlp, _batch(mlp, n, seed))
    ours = _ours(_cast(mlp, np.float32), _batch(mlp, n, seed))
    ulp = float(np.finfo(np.float32).eps)
    longest = max(n, mlp.dim, *(layer.width for layer in mlp.hidden))
    checks = []
    for kind in ("output", "loss", "gradient"):
        error = max(relative_error(ours[key], exact[key]) for key in exact if key.startswith(kind))
        checks.append(Check(f"{kind}, float32", error / ulp, longest, "ulp"))
    return checks


def _jax_checks(mlp: MLP, n: int) -> list[Check]:
    """The same for what JAX predicts; nothing where it is not installed."""
    try:
        from benchmarks.jax_rival import predictor
    except ImportError:
        return []
    single, batch = _cast(mlp, np.float32), _batch(mlp, n, 1)
    predicted = predictor(single)(dict(single.params), batch.x_0.astype(np.float32), batch.t)
    error = relative_error(np.asarray(predicted), mlp(batch.x_0, batch.t))
    longest = max(mlp.dim, *(layer.width for layer in mlp.hidden))
    return [
        Check("output of JAX, float32", error / float(np.finfo(np.float32).eps), longest, "ulp")
    ]


def _ours(mlp: MLP, batch: Batch) -> dict[str, Array]:
    x_t = q_sample(Schedule.sigmoid(mlp.T), batch.x_0, batch.t, batch.eps)
    eps_hat, cache = mlp.forward(x_t, batch.t)
    loss, d_eps_hat = denoising_loss(eps_hat, batch.eps.astype(mlp.dtype))
    gradients = mlp.backward(d_eps_hat, cache)
    return {
        "output": eps_hat,
        "loss": np.array(loss),
        **{f"gradient of {name}": g for name, g in gradients.items()},
    }


def _theirs(mlp: MLP, batch: Batch) -> dict[str, Array]:
    twin = Twin(mlp)
    output, loss = _loss(twin, Schedule.sigmoid(mlp.T), batch)
    loss.backward()
    gradients = named_arrays({name: p.grad for name, p in twin.named_parameters()})
    found = {"output": output.detach().numpy(), "loss": loss.detach().numpy()}
    return found | {f"gradient of {name}": g for name, g in gradients.items()}


def _loss(twin: Twin, schedule: Schedule, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    x_0, t, eps = (torch.from_numpy(value) for value in batch)
    signal, noise = roots(schedule, torch.float64)
    eps_hat = twin(signal[t] * x_0 + noise[t] * eps, t)
    return eps_hat, functional.mse_loss(eps_hat, eps)


def _clip(twin: Twin) -> None:
    """To the length MAX_NORM exactly; ``clip_grad_norm_`` divides by the norm plus 1e-6."""
    gradients = [p.grad for p in twin.parameters()]
    norm = torch.sqrt(sum(torch.sum(g * g) for g in gradients))
    if norm > MAX_NORM:
        for g in gradients:
            g *= MAX_NORM / norm


def _batch(mlp: MLP, n: int, seed: int) -> Batch:
    """In float64, with repeated steps in no order."""
    rng = np.random.default_rng([seed, n])
    x_0, eps = rng.standard_normal((2, n, mlp.dim))
    return Batch(x_0, rng.integers(1, mlp.T + 1, n), eps)


def _cast(mlp: MLP, dtype: type) -> MLP:
    options = {"dtype": dtype, "skip": mlp.skip, "basis": mlp.basis}
    copy = MLP(mlp.dim, mlp.T, hidden=mlp.hidden, rng=np.random.default_rng(0), **options)
    copy.flat[:] = mlp.flat
    return copy


def relative_error(ours: Array, theirs: Array) -> float:
    """The largest difference over the largest entry of theirs."""
    if ours.shape != theirs.shape:
        raise ValueError(f"ours has shape {ours.shape}, PyTorch's {theirs.shape}")
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
