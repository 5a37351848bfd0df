"""One training step and one sampling run by PyTorch, as callables that the clock calls repeatedly.

Each starts from the same weights and clean signals as the package and does the same work: draw t
and eps, mix x_t, predict, loss, gradients, clip to length 1, AdamW. Each side draws t in its own
way: one ``torch.randint`` here, ``balanced_steps`` there. The normal numbers are drawn outside of a
compiled graph, because ``torch.randn`` is faster than the generator that Inductor has for the
processor.
"""

import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.ours import DECAY, MAX_NORM, RATE, Run
from benchmarks.twin import Twin, roots
from ddpm_np._checks import Array
from ddpm_np.learning.parameters import Network
from ddpm_np.network import MLP
from ddpm_np.sampling import ancestral_step
from ddpm_np.schedule import Schedule

BETA_1, BETA_2, FLOOR = 0.9, 0.999, 1e-8
# Without the cpp wrapper, Python launches each kernel, which costs more than the small ones take.
OPTIONS = {"cpp_wrapper": True}


def eager_training(
    network: Network,
    schedule: Schedule,
    x_0: Array,
    *,
    twin: Callable[[Any], nn.Module] = Twin,
    fused: bool = False,
    compiled: bool = False,
) -> Run:
    """PyTorch as most people write it: a module, autograd, ``clip_grad_norm_``, ``AdamW``.

    twin: makes the module. fused: AdamW as one kernel over all parameters, the fastest that PyTorch
    has without a compiler. compiled: mixing, prediction and loss are one compiled graph.
    """
    module, x, n = twin(network), torch.tensor(x_0), len(x_0)
    signal, noise = roots(schedule, x.dtype)
    optimizer = torch.optim.AdamW(
        module.parameters(), RATE, weight_decay=DECAY, fused=fused or None
    )

    def loss_of(t: Tensor, eps: Tensor) -> Tensor:
        return functional.mse_loss(module(signal[t] * x + noise[t] * eps, t), eps)

    if compiled:
        torch.compiler.reset()
        loss_of = torch.compile(loss_of, dynamic=False)

    def step() -> None:
        t, eps = torch.randint(1, schedule.T + 1, (n,)), torch.randn(x.shape, dtype=x.dtype)
        optimizer.zero_grad()
        loss_of(t, eps).backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), MAX_NORM)
        optimizer.step()

    return step


def best_training(mlp: MLP, schedule: Schedule, x_0: Array) -> Run:
    """PyTorch at its best: mixing, loss, gradient, clipping and AdamW as one compiled graph.

    A PyTorch engineer who needs speed writes the step as a function of the parameters
    (``functional_call``, ``grad_and_value``), updates them in place, and lets Inductor fuse all of
    it. The leaky ReLU is ``torch.maximum(z, leak * z)``, whose gradient Inductor compiles to code
    that is twice as fast as that of ``F.leaky_relu``.
    """
    twin, x, n = Twin(mlp, maximum=True), torch.tensor(x_0), len(x_0)
    signal, noise = roots(schedule, x.dtype)
    p = {name: value.detach().clone() for name, value in twin.named_parameters()}
    m, v = ({name: torch.zeros_like(value) for name, value in p.items()} for _ in range(2))
    count = torch.zeros(())

    def loss_of(p: dict[str, Tensor], t: Tensor, eps: Tensor) -> Tensor:
        x_t = signal[t] * x + noise[t] * eps
        return functional.mse_loss(torch.func.functional_call(twin, p, (x_t, t)), eps)

    def update(t: Tensor, eps: Tensor, count: Tensor, p: Any, m: Any, v: Any) -> Tensor:
        gradient, loss = torch.func.grad_and_value(loss_of)(p, t, eps)
        norm = torch.sqrt(sum((g * g).sum() for g in gradient.values()))
        scale = torch.clamp(MAX_NORM / (norm + 1e-6), max=1.0)  # as clip_grad_norm_
        rate, root = RATE / (1 - BETA_1**count), torch.sqrt(1 - BETA_2**count)
        for name, g in gradient.items():
            g = scale * g
            m[name].mul_(BETA_1).add_(g, alpha=1 - BETA_1)
            v[name].mul_(BETA_2).addcmul_(g, g, value=1 - BETA_2)
            p[name].mul_(1 - RATE * DECAY).sub_(rate * m[name] / (v[name].sqrt() / root + FLOOR))
        return loss

    torch.compiler.reset()  # past its limit of recompilations it falls back to eager without a word
    compiled = torch.compile(update, dynamic=False, options=OPTIONS)

    def step() -> Tensor:
        t, eps = torch.randint(1, schedule.T + 1, (n,)), torch.randn(x.shape, dtype=x.dtype)
        with torch.no_grad():
            return compiled(t, eps, count.add_(1), p, m, v)

    return step


def eager_sampling(mlp: MLP, schedule: Schedule, n: int) -> Run:
    """n signals with the same coefficients, step by step, without gradients."""
    return _sampling(Twin(mlp), schedule, n, compiled=False)


def best_sampling(mlp: MLP, schedule: Schedule, n: int) -> Run:
    """The same with one compiled graph for a step of the chain, prediction included."""
    return _sampling(Twin(mlp, maximum=True), schedule, n, compiled=True)


def folded_sampling(mlp: MLP, schedule: Schedule, n: int) -> Run:
    """PyTorch by hand: at one t the gate moves into W and the shift into ``addmm``, in place."""
    p = {name: torch.tensor(value) for name, value in mlp.params.items()}
    last, act = len(mlp.hidden) + 1, functional.leaky_relu_
    numbers = [ancestral_step(schedule, t) for t in range(1, schedule.T + 1)]
    leaks, skip = [layer.leak for layer in mlp.hidden], torch.tensor(mlp.skip)

    def sample() -> Tensor:
        with torch.inference_mode():
            x = torch.randn(n, mlp.dim)
            z = torch.empty_like(x)
            for t in range(schedule.T, 0, -1):
                a, b, std = (float(v) for v in numbers[t - 1])
                h = x
                for l, leak in enumerate(leaks, 1):
                    h = torch.addmm(p[f"shift{l}"][t], h, p[f"W{l}"] * p[f"gate{l}"][t])
                    act(h, leak)
                eps_hat = torch.addmm(p[f"b{last}"], h, p[f"W{last}"])
                x.mul_(a + b * float(skip[t])).add_(eps_hat, alpha=b)
                if std > 0:
                    x.add_(z.normal_(), alpha=std)
        return x

    return sample


def _sampling(twin: Twin, schedule: Schedule, n: int, *, compiled: bool) -> Run:
    steps = [torch.tensor([t]) for t in range(1, schedule.T + 1)]
    numbers = [torch.tensor(ancestral_step(schedule, int(t)), dtype=torch.float32) for t in steps]
    dim = twin.dim

    def reverse(x: Tensor, t: Tensor, z: Tensor, c: Tensor) -> Tensor:
        return c[0] * x + c[1] * twin(x, t) + c[2] * z

    if compiled:
        torch.compiler.reset()
        reverse = torch.compile(reverse, dynamic=False, options=OPTIONS)

    def sample() -> Tensor:
        with torch.inference_mode():
            x = torch.randn(n, dim)
            for t, c in zip(reversed(steps), reversed(numbers)):
                x = reverse(x, t, torch.randn(n, dim), c)
        return x

    return sample


def cannot_compile() -> str | None:
    """Why torch.compile is left out here, or None."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler):
        return None
    return f"torch.compile is skipped: it needs a C++ compiler, and there is no {compiler}"
