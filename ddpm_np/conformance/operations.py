"""The operations that are compared: their arguments, their rows, and what methods are called."""

from typing import NamedTuple

_SPREAD = [("E11", "variance"), ("E11", "log variance")]
_LOSS = "mean square"
STEPS = ("reverse_step", "ddim_step")
SAMPLING = (*STEPS, "p_mean_variance")


class Operation(NamedTuple):
    """One operation.

    arguments: in the order of a call by position; rows: the equation and the coefficient of each,
    "output" being eps, or what stands for it; methods: what a method may be called, a pattern;
    rare: few codes have it, so that it is no gap in the others.
    """

    arguments: tuple[str, ...]
    rows: list[tuple[str, str]]
    methods: str
    rare: bool = False


OPERATIONS = {
    "q_step": Operation(
        ("x_prev", "t", "noise"),
        [("E1", "x_prev"), ("E1", "noise")],
        r"(q|forward|nois(e|ing)|diffusion|diffuse|add_noise|q_sample)_((one|single)_)?step"
        r"|step_forward|one_step_forward",
        rare=True,
    ),
    "q_sample": Operation(
        ("x_0", "t", "noise"),
        [("E6", "x_0"), ("E6", "noise")],
        r"q_sample|q|add_noise\w*|noise_(images?|samples?|data|signal)|noisify|make_noisy"
        r"|forward(_diffusion|_process|_noise|_sample)?(_sample)?|diffuse\w*|perturb\w*|corrupt\w*"
        r"|noising|noise_to|(get|to|apply)_nois\w+|sample_(q|xt|x_t)|noise",
    ),
    "q_mean_variance": Operation(
        ("x_0", "t"),
        [("E6", "x_0"), ("E6", "variance"), ("E6", "log variance")],
        r"q_(mean_var\w*|xt_x0)|marginal(_prob|_mean\w*|_distribution)?",
        rare=True,
    ),
    "q_posterior_mean_variance": Operation(
        ("x_0", "x_t", "t"),
        [*_SPREAD, ("E12", "x_0"), ("E12", "x_t")],
        r"(q_)?posterior(_mean)?(_variance|_var|_mean|_and_variance)?"
        r"|(get|compute|q)_(q_)?posterior\w*|true_posterior\w*",
    ),
    "predict_x0": Operation(
        ("x_t", "t", "eps"),
        [("E13", "x_t"), ("E13", "output")],
        r"(predict|pred|reconstruct|recover|estimate|get|compute|calc|to)_?"
        r"(x_?0|xstart|x_start|start|original|clean|signal|original_sample)(_\w+)?"
        r"|(eps|noise)_to_x_?0|x_?0_(hat|pred|from_\w+)|denoise_to_x_?0|remove_all_noise",
    ),
    "predict_eps": Operation(
        ("x_t", "t", "x_0"),
        [("E13", "x_t"), ("E13", "x_0")],
        r"(predict|pred|get|compute|recover)_(noise|eps|epsilon)(_from_\w+)?",
        rare=True,
    ),
    "p_mean_variance": Operation(
        ("x_t", "t", "eps"),
        [*_SPREAD, ("E14", "x_t"), ("E14", "output")],
        r"p_mean_var\w*|p_mean_and_variance",
        rare=True,
    ),
    "p_losses": Operation(
        ("x_0", "t", "noise"),
        [("E15", _LOSS), ("E16", "x_0"), ("E16", "noise")],
        r"p_loss(es)?|(training|train|diffusion|compute|get|calc|denoising|simple)_loss(es)?"
        r"|loss(_fn|_simple)?|training_step_loss|forward",
        rare=True,
    ),
    "reverse_step": Operation(
        ("x_t", "t", "eps", "z"),
        [("E17", "x_t"), ("E17", "output"), ("E17", "z")],
        r"reverse(_\w*step|_diffusion|_process|_sample)?|p_(sample|step)(_step|_ddpm)?"
        r"|(ddpm|ancestral|denoise|denoising|backward|sampling|sample|strided)(_sample)?_step"
        r"|step|denoise_add_noise|sample_(prev|previous)\w*|step_back(ward)?|denoise|remove_noise"
        r"|sample_(one_step|timestep)|sample_p|prev_sample|backward",
    ),
    "ddim_step": Operation(
        ("x_t", "t", "s", "eps", "z", "eta"),
        [("E18", "x_t"), ("E18", "output"), ("E18", "z")],
        r"(p_sample_)?ddim\w*|(sample|reverse|p_sample|denoise)_ddim(_step)?"
        r"|p_sample|step|denoise_step|sample_step",
    ),
    "loss": Operation(
        ("eps_hat", "eps"),
        [("E15", _LOSS)],
        r"loss(_fn|_simple)?|mse(_loss)?|criterion"
        r"|(eps|noise|denoising|simple|compute|get|calc|train|training)_loss",
    ),
}
_SHORT = {"reverse_step": "step", "ddim_step": "ddim", "alphas_cumprod": "alpha_bar"}


def _rows(operation: str) -> list[tuple[str, str]]:
    """The rows of an operation, or of the table of alpha_bar_t, which is none."""
    return [("E2", "alpha_bar_t")] if operation == "alphas_cumprod" else OPERATIONS[operation].rows


def wanted(operation: str, output: str) -> list[tuple[str, str]]:
    """The rows of an operation that are coefficients: equation and name."""
    rows = _rows(operation)
    return [(e, output if n == "output" else n) for e, n in rows if n != _LOSS]


def check_name(equation: str, operation: str) -> str:
    """The name of a check, such as "E17 step"."""
    if operation == "q_posterior_mean_variance":
        return f"{equation} {'variance' if equation == 'E11' else 'mean'}"
    return f"{equation} {_SHORT.get(operation, operation)}"


def check_names() -> dict[str, str]:
    """The checks by name, each with the operation that it needs."""
    return {
        check_name(equation, operation): operation
        for operation in ("alphas_cumprod", *OPERATIONS)
        for equation, _ in _rows(operation)
    }
