"""A view of somebody's diffusion code: its tables, and the operations that are recognised in it."""

import inspect
import re
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from ddpm_np.conformance.arrays import HALF, dtype_name, library_of, printable, read, to_numpy
from ddpm_np.conformance.names import Method, bind, models_in, operations_named
from ddpm_np.conformance.operations import OPERATIONS
from ddpm_np.conformance.state import own_classes
from ddpm_np.conformance.tables import Tables, with_attributes

_PREDICTIONS = {
    "eps": r"eps(ilon)?|(pred_)?noise|pred_eps(ilon)?",
    "x_0": r"sample|(pred_)?(x_?0|x_?start)|start_x|original",
    "v": r"v|v_prediction|(pred_)?v(elocity)?",
}
_SETTINGS = ("prediction_type", "objective", "parameterization", "model_mean_type", "pred_type")
_SEVERAL = re.compile(
    r"pndm|plms|lcm|inverse|multistep|euler|heun|unipc|(?<!d)dpm|tcd|edm|ipndm|sde"
)


class Subject:
    """One object under test; see :func:`ddpm_np.conformance.adapt` for the options.

    name, first_step, T, dtype (of its arrays), library, exact (its schedule), alphas_cumprod (the
    given table as float64, or None), methods (by operation), unused (methods seen and not used,
    each with the reason), prediction ("eps", "x_0" or "v": what its model answers).
    """

    def __init__(
        self,
        given: Any,
        *,
        first_step: int | None = None,
        dtype: Any = None,
        name: str | None = None,
        axes: int = 0,
    ) -> None:
        self.given, self.axes = with_attributes(given), axes
        named = (name, read(self.given, "name"))
        found = next((n for n in named if isinstance(n, str) and n), type(self.given).__name__)
        self.name = printable(found)
        self.notes: dict[str, list[str]] = {}
        self.unused: dict[str, str] = {}
        self.methods: dict[str, Method] = {}
        self.prediction = self._prediction()
        self._recognise()
        tables = Tables(self.given)
        self.tables = tables.found
        if not self.tables:
            raise TypeError(self._nothing())
        self.exact, self.alphas_cumprod = tables.exact, tables.bars
        self.has_betas, self.T = tables.betas is not None, tables.exact.T
        own = read(self.given, "first_step")
        first = next((f for f in (first_step, 1 if tables.padded else own) if f is not None), 0)
        if first not in (0, 1) or isinstance(first, bool):
            raise ValueError(f"first_step must be 0 or 1, got {first!r}")
        self.first_step = int(first)
        self.stated_time = first_step is not None or tables.padded or own is not None
        table = next(iter(self.tables.values()))
        self.library = next(filter(None, map(library_of, self.tables.values())), "numpy")
        self.device = read(table, "device") if self.library == "torch" else None
        wanted = dtype_name(dtype or read(self.given, "dtype") or "")
        if wanted not in ("float32", "float64"):
            wanted = dtype_name(table)
        self.dtype: Any = np.float32 if wanted in ("float32", *HALF) else np.float64
        self.models = models_in(self.given, [m.function for m in self.methods.values()])

    # ---- what is in it ------------------------------------------------------------------------

    def _recognise(self) -> None:
        """Every method under our names, or with the reason why it is not used."""
        entries = isinstance(self.given, types.SimpleNamespace)
        methods: dict[str, Any] = {}
        for name in vars(self.given) if entries else dir(self.given):
            value = None if name.startswith("__") else read(self.given, name)
            if inspect.isroutine(value) or (operations_named(name) and callable(value)):
                methods[name] = value
        has_model = bool(models_in(self.given, list(methods.values())))
        reasons: dict[str, list[str]] = {}
        for operation in OPERATIONS:
            named = [n for n in methods if operation in operations_named(n)]
            for name in sorted(named, key=lambda n: (n != operation, n.startswith("_"))):
                found = bind(operation, name, methods[name], has_model)
                if name == "step" and self._several():
                    found = "not a single-step DDPM or DDIM sampler"
                elif not isinstance(found, str) and operation in self.methods:
                    found = f"{self.methods[operation].name} is used for {operation}"
                if isinstance(found, str):
                    reasons.setdefault(name, []).append(found)
                else:
                    self.methods[operation] = found
        used = {"from_betas", *(m.name for m in self.methods.values())}
        for name in (n for n in methods if n not in used):
            if name in reasons:
                self.unused[name] = "; or ".join(dict.fromkeys(reasons[name]))
            elif not name.startswith("_") and (entries or self._theirs(name)):
                self.unused[name] = "not the name of an operation"

    def _several(self) -> bool:
        """Whether its step is one of several that belong together, or of another process."""
        kept = ("ets", "model_outputs", "lower_order_nums")
        return (
            bool(_SEVERAL.search(type(self.given).__name__.lower()))
            or read(self.given, "sigmas") is not None
            or any(hasattr(self.given, n) for n in kept)
        )

    def _theirs(self, name: str) -> bool:
        """Whether a method is its author's, and not a library's."""
        where = next((c for c in type(self.given).__mro__ if name in vars(c)), type(self.given))
        return where in own_classes(self.given)

    def _prediction(self) -> str:
        """What its model answers, by its settings."""
        for holder in (read(self.given, "config"), self.given, read(self.given, "model")):
            for name in _SETTINGS:
                said = holder.get(name) if isinstance(holder, dict) else read(holder, name)
                text = str(read(said, "name", said)).lower().removeprefix("modelmeantype.")
                if said is None or callable(said):
                    continue
                for kind, pattern in _PREDICTIONS.items():
                    if re.fullmatch(pattern, text):
                        return kind
                raise TypeError(
                    f"{self.name} must be set to predict eps, x_0 or v, is set to {printable(text)}"
                )
        return "eps"

    def _nothing(self) -> str:
        """Why it is no subject."""
        if self.methods:
            return (
                f"{self.name} must have betas (T,) or alphas_cumprod (T,); it has "
                f"{', '.join(m.name for m in self.methods.values())}; "
                "ddpm_np.conformance.adapt recognises some other names"
            )
        return (
            f"nothing is recognised in {self.name}: it needs betas or alphas_cumprod and an "
            "operation such as q_sample; see the adapter class in help(ddpm_np.conformance.adapt)"
        )

    def note(self, text: str, *operations: str) -> None:
        """Keeps what the report must say, and of which operations."""
        self.notes.setdefault(text, []).extend(operations)

    # ---- its time -----------------------------------------------------------------------------

    def step(self, t: Any) -> Any:
        """The subject's own number for step t of the mathematics; 0 is the clean signal."""
        return t - 1 + self.first_step

    def routes(self) -> list[tuple[int, int]] | None:
        """The (t, s) that it offers, in the mathematics' time, where it says so; else None."""
        first = self.first_step - 1
        stated = read(self.given, "ddim_routes")
        if stated is not None:
            return sorted((t - first, s - first) for t, s in stated)
        listed = read(self.given, "timesteps")
        if read(self.given, "num_inference_steps") is None or library_of(listed) is None:
            return None
        steps = [int(t) - first for t in to_numpy(listed).ravel()]
        inside = all(1 <= t <= self.T for t in steps)
        return list(zip(steps, [*steps[1:], 0])) if inside and len(steps) < self.T else None

    def build(self) -> Callable[[Any], Any] | None:
        """The subject's from_betas, or None."""
        make = read(self.given, "from_betas")
        if not callable(make):
            return None
        static = inspect.getattr_static(type(self.given), "from_betas", None)
        if inspect.isfunction(static) and len(inspect.signature(static).parameters) == 1:
            make = static  # a plain function of betas in the class
        build: Callable[[Any], Any] = make
        return build
