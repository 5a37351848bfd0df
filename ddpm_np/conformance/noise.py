"""Taking over the noise that somebody's code draws: for one call it gets ours.

NumPy's generators are replaced where the object, its classes, its module or its closures hold them,
and NumPy's, JAX's and Python's functions under every name that they were imported by; PyTorch's
draws are met where all of them end, in the dispatcher.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.arrays import from_numpy
from ddpm_np.conformance.state import Place, code_places, places


class Draws:
    """The noise that one call gets, and what is odd about the way it asks for it."""

    def __init__(self, z: Array) -> None:
        self.z, self.used, self.fault = z, 0, ""

    def take(self, shape: Any, uniform: bool = False) -> Array:
        """The next numbers, in this shape: all of z, or its rows or entries one after the other."""
        shape = tuple(np.atleast_1d(shape).astype(int)) if shape is not None else ()
        size, whole = int(np.prod(shape)), self.z.size
        if uniform and size >= self.z[0].size:
            self.fault = "draws uniform noise, not normal"
        if size == whole:
            return self.z.reshape(shape)
        if size > 1 or whole == 1:
            self.last = shape
        found = np.resize(np.roll(self.z.reshape(-1), -(self.used % whole)), size)
        self.used += size
        return found.reshape(shape)

    def verdict(self) -> str:
        """What was wrong with the draws, or ""."""
        if self.used % self.z.size and not self.fault:
            shape = getattr(self, "last", ())
            kind = "one noise for the whole batch: " if shape[-1:] == self.z.shape[-1:] else ""
            return f"{kind}draws noise of shape {shape} for arrays of shape {self.z.shape}"
        return self.fault


class _Fake:
    """What NumPy's generators and legacy functions do, with our numbers."""

    draws: Draws

    def standard_normal(self, size: Any = None, *_: Any, **__: Any) -> Any:
        return self.draws.take(size)[()]

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        shape = np.broadcast(loc, scale).shape if size is None else size
        return loc + scale * self.draws.take(shape)[()]

    def multivariate_normal(self, mean: Any, cov: Any, size: Any = (), *_: Any, **__: Any) -> Any:
        shape = (*np.atleast_1d(() if size is None else size).astype(int), len(mean))
        return mean + self.draws.take(shape) @ np.linalg.cholesky(cov).T

    def randn(self, *shape: int) -> Any:
        return self.draws.take(shape)[()]

    def random(self, size: Any = None, *_: Any, **__: Any) -> Any:
        return self.draws.take(size, uniform=True)[()]

    random_sample = random

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        return self.draws.take(size, uniform=True)[()]

    def rand(self, *shape: int) -> Any:
        return self.draws.take(shape, uniform=True)[()]


class _Generator(_Fake, np.random.Generator):
    pass


class _State(_Fake, np.random.RandomState):
    pass


class Takeover:
    """Where an object's noise comes from, found once; :meth:`of` replaces it for one call."""

    def __init__(self, obj: Any, functions: list[Any]) -> None:
        self.generator, self.state = _Generator(np.random.PCG64(0)), _State(0)
        jax = sys.modules.get("jax")
        self._jax = jax if jax is not None and hasattr(jax, "random") else None
        names = "randn normal standard_normal multivariate_normal rand uniform random random_sample"
        self._functions = [(np.random, n, getattr(self.state, n)) for n in names.split()]
        self._functions.append((np.random, "default_rng", self._default_rng))
        self._functions += [(random, n, self._gauss) for n in ("gauss", "normalvariate")]
        if self._jax:
            self._functions.append((self._jax.random, "normal", self._jax_normal))
        if "scipy.stats" in sys.modules:
            self._functions.append((sys.modules["scipy.stats"].norm, "_random_state", self.state))
        self._places: list[tuple[Place, Any]] = []
        instead = {id(getattr(where, n)): new for where, n, new in self._functions}
        for place in [*places(obj), *code_places(functions)]:
            value = place.value
            if isinstance(value, np.random.Generator):
                self._places.append((place, self.generator))
            elif isinstance(value, np.random.RandomState):
                self._places.append((place, self.state))
            elif callable(value) and id(value) in instead:
                self._places.append((place, instead[id(value)]))
            elif isinstance(value, type(np.random.randn)) and hasattr(_Fake, value.__name__):
                owner = getattr(value, "__self__", None)  # a bound method of a generator
                if isinstance(owner, (np.random.Generator, np.random.RandomState)):
                    self._places.append((place, getattr(self.state, value.__name__)))

    @contextmanager
    def of(self, z: Array) -> Iterator[Draws]:
        """For one call every draw is from z."""
        draws = Draws(np.array(z, dtype=np.float64))
        self.draws = self.generator.draws = self.state.draws = draws
        before = [(place, place.value) for place, _ in self._places]
        with ExitStack() as stack:
            for where, name, new in self._functions:
                stack.enter_context(mock.patch.object(where, name, new))
            if "torch" in sys.modules:
                stack.enter_context(_torch_mode(draws))
            if self._jax:
                stack.enter_context(self._jax.disable_jit())
            for place, new in self._places:
                place.put(new)
            try:
                yield draws
            finally:
                for place, old in before:
                    place.put(old)

    def _default_rng(self, seed: Any = None) -> Any:
        if isinstance(seed, (int, np.integer)):
            self.draws.fault = f"seeds its generator with {seed} at every step: the same noise"
        return self.generator

    def _gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        return mu + sigma * float(self.draws.take(()))

    def _jax_normal(self, key: Any, shape: Any = (), dtype: Any = np.float32) -> Any:
        return from_numpy(self.draws.take(shape).astype(dtype), "jax")


def _torch_mode(draws: Draws) -> Any:
    """Where PyTorch's draws all end, with ours in their place."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    def dispatched(_: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out, name = func(*args, **(kwargs or {})), func.overloadpacket.__name__
        if name not in ("randn", "randn_like", "normal", "normal_", "rand", "rand_like"):
            return out
        mean, std = 0.0, 1.0
        if name.startswith("normal"):
            given = [*args, *(v for k, v in (kwargs or {}).items() if k in ("mean", "std"))]
            given = given[name == "normal_" :]
            mean, std = (*given[:1], 0.0)[0], (*given[1:2], 1.0)[0]
        taken = draws.take(tuple(out.shape), uniform=name in ("rand", "rand_like"))
        fresh = mean + std * torch.from_numpy(np.array(taken)).to(out.device, out.dtype)
        return out.copy_(fresh) if name == "normal_" else fresh

    base: Any = TorchDispatchMode
    return type("Mode", (base,), {"__torch_dispatch__": dispatched})()
