"""What a method and its parameters are called: which operation it is, and what goes where.

Only names are read here; nothing is called.
"""

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ddpm_np.conformance.arrays import read
from ddpm_np.conformance.operations import OPERATIONS, SAMPLING, STEPS

_TIMES = r"ts?|tt|times?|(time|t)?steps?|t?(step)?(index|idx|ind)|batch_?times?|timecond|[ikn]"
_X_0 = r"\w*x_?0\w*|\w*x?start\w*"
_WORDS = {
    "eta": "eta|ddimeta",
    "model": r"\w*model|modelfn|denoise(fn|r)|\w*network|net|unet|predictor|fn|denoisemodel"
    r"|epsfn|noisefn|score(fn|model)",
    "device": "device",
    "rng": "rng|generator|gen|key|rngkey|prngkey|randomstate|rngs",
    "s": r"s|(t|step|timestep|time)s?(prev\w*|next|to|target)|(prev|next|previous|target)t"
    r"|(prev|next|previous|target)(time)?steps?|tm1|tminus1|tplus1|stop|tend|to",
    "t": rf"({_TIMES})|({_TIMES})(now|curr|current|cur|batch|tensor)|(curr|current|cur)({_TIMES})"
    r"|diffusionsteps?|noiselevels?|noisesteps?",
    "x_0": r"x0\w*|xstart\w*|\w*xstart|predx0|xclean|clean\w*|orig\w*|start\w*|x|data|images?|imgs?"
    r"|signals?|samples?|inputs?|batch|y|latents?|(target|pred(icted)?)(x0|start|original)\w*",
    "x_t": r"xt\w*|x|samples?|imgs?|images?|latents?|noisy\w*|noised\w*|x(noisy|noised|curr(ent)?"
    r"|cur|in|now)|(curr(ent)?|cur)x|zt|y|yt|xk|state|corrupted\w*|inputs?|signals?|data",
    "x_prev": r"x(prev|tm1|tminus1|before|last)?|prevx|xs|samples?|imgs?|images?|x_?0?|state",
    "v": r"v|vhat|vpred|predv|velocity",
}
_NOISE = re.compile(
    r"\w*noise\w*|\w*eps(ilon)?\w*|z|e|et|pred(iction)?s?|(model)?out(put)?s?|model(out|pred)|pred"
    r"\w*|\w*pred|score|input|target|n|rand\w*|fresh\w*|theirs|ours|hat\w*|\w*hat|labels?"
)
_NO_NOISE = re.compile("fn|func|clip|kwarg|schedule|level|steps|type|scale|weight")
_MODELS = ("model", "epsmodel", "denoisefn", "denoiser", "network", "net", "unet", "epstheta")
_PREDICTED = re.compile(r"pred|hat|theta|model|output|out$|^input$|score|^e_?t$")
_FRESH = re.compile(r"^z|fresh|variance|rand|stoch|^n$|^noise")
_OF_MODEL = (*SAMPLING, "p_losses")
_PAIRS = ("q_posterior_mean_variance", "predict_eps")  # two signals, and no noise


class Method(NamedTuple):
    """A method under our names.

    roles: its parameters with our argument for each; positional: those without a name, in order;
    by_model: whether a model inside is asked.
    """

    name: str
    function: Callable[..., Any]
    roles: dict[str, str]
    positional: tuple[str, ...] = ()
    by_model: bool = False

    def takes(self, role: str) -> bool:
        """Whether one of its parameters is for this."""
        return role in self.roles.values()


def plain(name: str) -> str:
    """A name without underscores and capitals."""
    return name.lower().replace("_", "")


def operations_named(name: str) -> list[str]:
    """The operations that a method of this name may be."""
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower().strip("_")
    if re.search("loop|progressive|invers|ddim_reverse|timesteps$", snake):
        return []  # many steps, or the way back
    if name in OPERATIONS and name != "loss":
        return [name]
    return [
        name for name, operation in OPERATIONS.items() if re.fullmatch(operation.methods, snake)
    ]


def bind(operation: str, name: str, function: Callable[..., Any], has_model: bool) -> Method | str:
    """The method as this operation, or in words why it is none."""
    if operation == name == "loss" and not isinstance(
        bind("p_losses", name, function, has_model), str
    ):
        return "is used for p_losses"
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except Exception:
        parameters = []
    fixed = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    roles = _roles(operation, fixed, has_model)
    switches = [p for p in fixed if p.default is p.empty and p.name not in roles]
    roles |= {
        p.name: "off" for p in switches if p.annotation in (bool, "bool") or p.name[:4] == "clip"
    }
    strange = [p.name for p in fixed if p.default is p.empty and p.name not in roles]
    given = set(roles.values())
    missing = _missing(operation, name, given, has_model, read(function, "__code__"))
    if strange:
        missing = f"parameter{'s' * (len(strange) > 1)} {', '.join(strange)} not known"
    if missing is None:
        positional = tuple(p.name for p in fixed if p.kind is p.POSITIONAL_ONLY)
        asks = operation == "p_losses" or not given & {"eps", "x_0", "v"}
        return Method(name, function, roles, positional, operation in _OF_MODEL and asks)
    if name != operation:
        return missing
    # Under our own name it is called by position, and says itself what is wrong.
    with_t = operation == "loss" and any(p.name == "t" for p in fixed)
    own = (*OPERATIONS[operation].arguments, *(("t",) if with_t else ()))
    return Method(name, function, {n: n for n in own}, own)


def _missing(operation: str, name: str, given: set[str], has_model: bool, code: Any) -> str | None:
    """What is missing, in words; None where nothing is."""
    optional = {"z", "s", "eta", "noise"}
    draws_t = code is not None and {"randint", "integers", "rand"} & set(code.co_names)
    if operation in ("loss", "p_losses") and (name != "forward" or draws_t):
        optional.add("t")
    if operation in _OF_MODEL and (has_model or given & {"model", "x_0", "v"}) or "v" in given:
        optional.add("eps")
    missing = [role for role in OPERATIONS[operation].arguments if role not in given | optional]
    if missing == ["eps"]:
        return "nothing known gives it eps: no parameter, and no model in the object"
    if missing:
        return f"no parameter is known for {', '.join(missing)}"
    if operation == "ddim_step" and "eta" not in given and "ddim" not in plain(name):
        return "no eta"
    if operation == "reverse_step" and "eta" in given:
        return "a step with eta"
    if operation == "p_losses" and not (has_model or "model" in given):
        return "no model is found that could be asked"
    return None


def _roles(operation: str, parameters: list[inspect.Parameter], has_model: bool) -> dict[str, str]:
    """Our name for each parameter that is understood; the surest ones are given first."""
    ours, roles = OPERATIONS[operation].arguments, dict[str, str]()
    left = [p.name for p in parameters if not isinstance(p.default, (bool, str))]
    optional = {p.name for p in parameters if p.default is not p.empty}
    unset = {p.name for p in parameters if p.default is None}

    def give(role: str, names: list[str]) -> None:
        for name in names:
            roles[name] = role
            left.remove(name)

    def match(role: str, pattern: str = "", needed: bool = False) -> None:
        fits = [n for n in left if re.fullmatch(pattern or _WORDS[role], plain(n))]
        fits = [n for n in fits if not (needed and n in optional)]
        give(role, [*(n for n in fits if plain(n) == plain(role)), *fits][:1])

    left = [n for n in left if n not in unset or not re.fullmatch(_WORDS["rng"], plain(n))]
    if set(ours) <= set(left):
        for name in ours:
            give(name, [name])
    match("rng")
    match("device", needed=True)
    if operation in _OF_MODEL:
        match("model", needed=True)
    for role in ("eta", "s") if operation in STEPS else ():
        match(role)
    if "t" in ours or operation == "loss":
        times = [n for n in left if re.fullmatch(_WORDS["t"], plain(n))]
        # One of several single letters may be something else.
        give("t", times if len(times) < 2 else [n for n in times if len(n) > 1 or n == "t"])
    if operation in _PAIRS:
        match("x_0", r"x?0\w*|x0\w*|\w*start\w*|\w*orig\w*|\w*clean\w*")
    if operation in (*SAMPLING, "predict_x0"):
        match("v")
    if operation in SAMPLING:
        match("x_0", _X_0, needed=True)
    noises = [n for n in left if _NOISE.fullmatch(plain(n)) and not _NO_NOISE.search(plain(n))]
    for role, name in _noise_roles(operation, noises, roles, optional, has_model).items():
        give(role, [name])
    signals = [r for r in ("x_t", "x_prev", "x_0") if r in ours]
    for signal in signals[: 2 if operation in _PAIRS else 1]:
        if signal not in roles.values():
            match(signal)
    needed = [n for n in left if n not in optional]
    if signals and signals[0] not in roles.values() and len(needed) == 1:
        give(signals[0], [n for n in needed if re.match("x(?!t)|im|sa|si|da|ob|fe", plain(n))])
    return roles


def _noise_roles(
    operation: str, names: list[str], roles: dict[str, str], optional: set[str], has_model: bool
) -> dict[str, str]:
    """Which of the parameters that may be noise is which."""
    given = set(roles.values())
    if operation == "loss":
        return dict(zip(("eps_hat", "eps"), names))
    if operation in ("q_sample", "q_step", "p_losses"):
        names.sort(key=lambda n: ("noise" not in n and "eps" not in n, n in optional))
        return dict(zip(("noise",), names))
    if operation in ("predict_x0", "p_mean_variance"):
        return {} if given & {"v", "x_0", "model"} else dict(zip(("eps",), names))
    if operation not in STEPS:
        return {}

    def rank(name: str) -> tuple[bool, bool, bool]:
        short = plain(name)
        return not _PREDICTED.search(short), bool(_FRESH.search(short)), name in optional

    names.sort(key=rank)
    fresh_only = len(names) == 1 and has_model and _FRESH.search(plain(names[0]))
    answered = given & {"model", "x_0", "v"} or fresh_only
    return dict(zip(("z",) if answered else ("eps", "z"), names))


def models_in(obj: Any, functions: list[Any]) -> list[tuple[Any, str]]:
    """Where an object keeps its model: (holder, name) pairs, the likeliest first."""
    pattern = re.compile(_WORDS["model"] + r"|backbone|nn|epstheta|epsmodel|noisepredictor")
    methods = [n for n in dir(type(obj)) if plain(n) in _MODELS]
    attributes = [*(read(obj, "_modules") or {}), *(read(obj, "__dict__") or {}), *methods]
    found: list[tuple[Any, str]] = []
    for name in dict.fromkeys(a for a in attributes if not a.startswith("__")):
        if pattern.fullmatch(plain(name)) and plain(name) != "fn" and callable(read(obj, name)):
            found.append((obj, name))
    for function in functions:
        code, space = read(function, "__code__"), read(function, "__globals__") or {}
        for name in code.co_names if code else ():
            if pattern.fullmatch(plain(name)) and callable(space.get(name)):
                found.append((space, name))
    return found
