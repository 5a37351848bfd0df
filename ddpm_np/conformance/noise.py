"""Taking over what somebody's code draws: for one call it gets our noise, and our t.

NumPy's generators are replaced where the object, its classes, its module or its closures hold them,
and NumPy's, JAX's and Python's functions under every name that they were imported by; PyTorch's
draws are met where all of them end, in the dispatcher.
"""

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.arrays import from_numpy
from ddpm_np.conformance.state import Place, places, places_of_code


class Draws:
    """What one call gets, and what is odd about the way it asks for it.

    z: the noise; again: what it is multiplied by where it is drawn a second time. t: the steps that
    a loss draws, in its own count; ends: its first step and its last.
    """

    def __init__(self, z: Array, again: int, t: Array | None, ends: tuple[int, int]) -> None:
        self.z, self.again, self.t, self.ends = z, again, t, ends
        self.used, self.times, self.fault = 0, 0, ""
        self.last: tuple[int, ...] = ()
        self.one_t = False  # whether a batch of several rows gets one t
        self.drawn = 0  # how many t it draws

    def take(self, size: Any, uniform: bool = False) -> Any:
        """The next numbers, in this shape: all of z, or its rows or entries one after the other."""
        shape = _shape(size)
        number, whole = int(np.prod(shape)), self.z.size
        for_rows = number <= len(self.z) and self.t is not None
        if uniform and (for_rows or number < self.z[0].size):  # a share of T, or a toss of a coin
            self.drawn = number
            share = (self.ends[0] if self.t is None else self.t) - self.ends[0] + 0.5
            return np.resize(share / (self.ends[1] - self.ends[0] + 1), shape)[()]
        if uniform:
            self.fault = "draws uniform noise, not normal"
        if number == whole:
            self.times += 1
            return self.z.reshape(shape) * (self.again if self.times > 1 else 1)
        if number > 1 or whole == 1:
            self.last = shape
        found = np.resize(np.roll(self.z.reshape(-1), -(self.used % whole)), number)
        self.used += number
        return found.reshape(shape)[()]

    def integers(self, low: Any, high: Any, size: Any) -> Any:
        """The steps where a loss draws them; None for any other draw of integers."""
        if self.t is None or np.ndim(low) or np.ndim(high):
            return None
        drawn, own = (int(low), int(high) - 1), self.ends
        if drawn != own:
            self.fault = f"draws t from {drawn[0]} to {drawn[1]}, not from {own[0]} to {own[1]}"
        self.one_t = size is None and len(self.t) > 1
        self.drawn = int(np.prod(_shape(size)))
        return np.resize(self.t, _shape(size))[()]

    def verdict(self) -> str:
        """What was wrong with the draws, or ""."""
        if self.used % self.z.size and not self.fault:
            kind = "one noise for the whole batch: " if self.last[-1:] == self.z.shape[-1:] else ""
            return f"{kind}draws noise of shape {self.last} for arrays of shape {self.z.shape}"
        return self.fault


def _shape(size: Any) -> tuple[int, ...]:
    return () if size is None else tuple(np.atleast_1d(size).astype(int).tolist())


class _Fake:
    """What NumPy's generators and legacy functions do, with our numbers."""

    draws: Draws

    def standard_normal(self, size: Any = None, dtype: Any = None, out: Any = None) -> Any:
        if out is None:
            return self.draws.take(size)
        out[...] = self.draws.take(out.shape)
        return out

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        return loc + scale * self.draws.take(
            np.broadcast(loc, scale).shape if size is None else size
        )

    def multivariate_normal(self, mean: Any, cov: Any, size: Any = (), *_: Any, **__: Any) -> Any:
        return mean + self.draws.take((*_shape(size), len(mean))) @ np.linalg.cholesky(cov).T

    def randn(self, *shape: int) -> Any:
        return self.draws.take(shape)

    def random(self, size: Any = None, *_: Any, **__: Any) -> Any:
        return self.draws.take(size, uniform=True)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        return low + (high - low) * self.draws.take(size, uniform=True)

    def rand(self, *shape: int) -> Any:
        return self.draws.take(shape, uniform=True)

    def integers(
        self,
        low: Any,
        high: Any = None,
        size: Any = None,
        *_: Any,
        endpoint: bool = False,
        **__: Any,
    ) -> Any:
        low, high = (0, low) if high is None else (low, high)
        found = self.draws.integers(low, high + endpoint, size)
        return _PLAIN.randint(low, high + endpoint, size) if found is None else found

    def choice(self, a: Any, size: Any = None, *_: Any, **__: Any) -> Any:
        entries = np.arange(a) if np.ndim(a) == 0 else np.asarray(a)
        return entries[self.integers(entries[0], entries[-1] + 1, size) - entries[0]]

    random_sample, randint = random, integers


class _Generator(_Fake, np.random.Generator):
    pass


class _State(_Fake, np.random.RandomState):
    pass


_PLAIN = np.random.RandomState(0)


class Takeover:
    """Where an object's noise comes from, found once; :meth:`of` replaces it for one call."""

    def __init__(self, obj: Any, function: Any) -> None:
        self.generator, self.state = _Generator(np.random.PCG64(0)), _State(0)
        names = "randn normal standard_normal multivariate_normal rand uniform random random_sample"
        new: dict[tuple[Any, str], Any] = {
            (np.random, name): getattr(self.state, name)
            for name in (*names.split(), "randint", "choice")
        }
        new[np.random, "default_rng"] = self._default_rng
        new[random, "gauss"] = new[random, "normalvariate"] = self._gauss
        new[random, "randint"] = lambda low, high: int(self.state.integers(low, high + 1))
        self._jax = sys.modules.get("jax")
        if self._jax:
            new[self._jax.random, "normal"] = self._jax_normal
            new[self._jax.random, "randint"] = self._jax_randint
        instead = {id(getattr(where, name)): fake for (where, name), fake in new.items()}
        if "scipy.stats" in sys.modules:
            new[sys.modules["scipy.stats"].norm, "_random_state"] = self.state
        self._new = [(Place(vars(where), name, name), fake) for (where, name), fake in new.items()]
        for place in [*places(obj), *places_of_code(obj, [function])]:
            fake = self._instead_of(place.value) or instead.get(id(place.value))
            if fake is not None:
                self._new.append((place, fake))

    def _instead_of(self, value: Any) -> Any:
        """What stands for a generator, or for a bound method of one."""
        if isinstance(value, np.random.Generator):
            return self.generator
        if isinstance(value, np.random.RandomState):
            return self.state
        owner = getattr(value, "__self__", None) if callable(value) else None
        own = isinstance(owner, (np.random.Generator, np.random.RandomState))
        return getattr(self.state, value.__name__, None) if own else None

    @contextmanager
    def of(self, draws: Draws) -> Iterator[None]:
        """For one call every draw is from these."""
        self.draws = self.generator.draws = self.state.draws = draws
        before = [(place, place.value) for place, _ in self._new]
        with ExitStack() as stack:
            if "torch" in sys.modules:
                stack.enter_context(_torch_mode(draws))
            if self._jax:
                stack.enter_context(self._jax.disable_jit())
            try:
                for place, fake in self._new:
                    place.put(fake)
                yield
            finally:
                for place, value in before:
                    place.put(value)

    def _default_rng(self, seed: Any = None) -> Any:
        if isinstance(seed, (int, np.integer)):
            self.draws.fault = f"seeds its generator with {seed} at every step: the same noise"
        return self.generator

    def _gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        return mu + sigma * float(self.draws.take(()))

    def _jax_normal(self, key: Any, shape: Any = (), dtype: Any = np.float32) -> Any:
        return from_numpy(np.asarray(self.draws.take(shape), dtype), "jax")

    def _jax_randint(self, key: Any, shape: Any, minval: Any, maxval: Any, dtype: Any = int) -> Any:
        drawn = self.state.integers(int(minval), int(maxval), shape)
        return from_numpy(np.asarray(drawn, np.int32), "jax")


def _torch_mode(draws: Draws) -> Any:
    """Where PyTorch's draws all end, with ours in their place."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    def dispatched(_: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out, name = func(*args, **kwargs), func.overloadpacket.__name__
        in_place, shape = name.endswith("_"), tuple(out.shape) if hasattr(out, "shape") else ()
        numbers = [a for a in args if isinstance(a, (int, float, torch.Tensor))]
        numbers = numbers[in_place or name.endswith("_like") :]  # without the array itself
        fresh: Any = None
        if name in ("randint", "randint_like", "random_") and numbers:
            low, high = (0, *numbers)[-2:]
            fresh = draws.integers(low, high, shape or None)
        elif name in ("randn", "randn_like", "normal", "normal_"):
            given = dict(zip(("mean", "std"), numbers)) | kwargs
            drawn = torch.from_numpy(np.array(draws.take(shape), dtype=np.float64))
            fresh = given.get("mean", 0.0) + given.get("std", 1.0) * drawn
        elif name in ("rand", "rand_like", "uniform_"):
            low, high = (*numbers, 0.0, 1.0)[:2] if len(numbers) == 2 else (0.0, 1.0)
            fresh = low + (high - low) * draws.take(shape, uniform=True)
        if fresh is None:
            return out
        fresh = torch.as_tensor(fresh).to(out.device, out.dtype)
        return out.copy_(fresh) if in_place else fresh

    base: Any = TorchDispatchMode
    return type("Mode", (base,), {"__torch_dispatch__": dispatched})()
