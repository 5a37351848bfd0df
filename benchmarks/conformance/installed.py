"""Adapters to public code that pip installs; each imports its library only when it is made."""

import sys
import types
from typing import Any
from unittest.mock import MagicMock, patch

import numpy as np

from benchmarks.conformance.entry import Entry
from ddpm_np.conformance import adapt

T, LINEAR = 1000, {"beta_start": 1e-4, "beta_end": 0.02}


# ---- diffusers ----------------------------------------------------------------------------------


def diffusers(kind: str, **settings: Any) -> Any:
    """One of its schedulers, without clipping unless asked for."""
    from diffusers import schedulers

    return adapt(getattr(schedulers, kind)(**({"clip_sample": False} | settings)))


def ddpm(**settings: Any) -> Any:
    """Its ancestral sampler."""
    return diffusers("DDPMScheduler", **settings)


class LearnedVariance:
    """A scheduler whose model also answers for the variance; ``answer(t)`` is what it says."""

    def __init__(self, variance_type: str, answer: Any) -> None:
        from diffusers import DDPMScheduler

        self.scheduler = DDPMScheduler(clip_sample=False, variance_type=variance_type)
        self.betas, self.answer, self.name = self.scheduler.betas, answer, "DDPMScheduler"
        self.step = adapt(self.scheduler)

    def reverse_step(self, x_t: Any, t: int, eps: Any, z: Any) -> Any:
        """Their ancestral step."""
        import torch

        said = torch.full_like(eps, float(self.answer(self.scheduler, t)))
        return self.step.reverse_step(x_t, t, torch.cat([eps, said], dim=1), z)


class TenSteps:
    """DDIM over the steps that set_timesteps(10) lists, the last one to the clean signal."""

    def __init__(self, spacing: str) -> None:
        from diffusers import DDIMScheduler

        self.scheduler = DDIMScheduler(clip_sample=False, timestep_spacing=spacing)
        self.scheduler.set_timesteps(10)
        self.betas, self.name = self.scheduler.betas, "DDIMScheduler"
        steps = [int(t) for t in self.scheduler.timesteps]
        self.ddim_routes = list(zip(steps, [*steps[1:], -1]))

    def ddim_step(self, x_t: Any, t: int, s: int, eps: Any, z: Any, eta: float) -> Any:
        """Their step to s."""
        return self.scheduler.step(eps, t, x_t, eta=eta, variance_noise=z).prev_sample


# ---- denoising-diffusion-pytorch ----------------------------------------------------------------


def without_torchvision() -> None:
    """Puts a stand-in where torchvision does not load: trainers need it, the equations do not."""
    try:
        import torchvision  # noqa: F401
    except Exception:
        for name in ("torchvision", "torchvision.transforms", "torchvision.utils"):
            sys.modules[name] = MagicMock()


def lucidrains(clip: bool) -> Any:
    """Their GaussianDiffusion around a model that has what its constructor asks for."""
    without_torchvision()
    import torch
    from denoising_diffusion_pytorch import GaussianDiffusion

    class Model(torch.nn.Module):
        channels = out_dim = 3
        self_condition = random_or_learned_sinusoidal_cond = False

    made = GaussianDiffusion(
        Model(),
        image_size=8,
        timesteps=T,
        beta_schedule="linear",
        auto_normalize=False,
        objective="pred_noise",
    )
    return adapt(made) if clip else Unclipped(made)


class Unclipped:
    """Its step by p_mean_variance, whose clipping can be switched off."""

    name = "GaussianDiffusion"

    def __init__(self, theirs: Any) -> None:
        self.theirs, self.betas = theirs, theirs.betas
        self.alphas_cumprod = theirs.alphas_cumprod

    def reverse_step(self, x_t: Any, t: int, eps: Any, z: Any) -> Any:
        """Their ancestral step."""
        import torch

        steps = torch.full((len(x_t),), t)
        self.theirs.model.forward = lambda *_: eps
        mean, _, log_variance, _ = self.theirs.p_mean_variance(x_t, steps, clip_denoised=False)
        return mean + (0.5 * log_variance).exp() * z if t > 0 else mean


# ---- smalldiffusion -----------------------------------------------------------------------------


class SmallDiffusion:
    """Its sampler between two of its sigmas, rescaled: x_t = sqrt(alpha_bar_t) (x_0 + sigma eps).

    Its list of sigmas ends in the smallest one twice: that is its step to the clean signal.
    """

    name = "smalldiffusion"

    def __init__(self) -> None:
        without_torchvision()
        import torch
        from smalldiffusion import ScheduleDDPM

        self.sigmas = ScheduleDDPM(T, **LINEAR).sigmas
        self.betas = torch.linspace(LINEAR["beta_start"], LINEAR["beta_end"], T)

    def step(self, x_t: Any, t: int, s: int, eps: Any, z: Any, mu: float) -> Any:
        """One step of theirs, from the sigma of t to that of s."""
        import torch
        from smalldiffusion.diffusion import samples

        pair = torch.stack([self.sigmas[t], self.sigmas[max(s, 0)]])
        model = types.SimpleNamespace(
            eval=lambda: None, predict_eps_cfg=lambda *_: eps, rand_input=lambda n: z
        )
        place = types.SimpleNamespace(device="cpu")
        wide = x_t * torch.sqrt(1 + pair[0] ** 2)
        out = next(samples(model, pair, mu=mu, batchsize=len(x_t), xt=wide, accelerator=place))
        return out / torch.sqrt(1 + pair[1] ** 2)

    def reverse_step(self, x_t: Any, t: int, eps: Any, z: Any) -> Any:
        """Their ancestral step."""
        return self.step(x_t, t, t - 1, eps, z, 0.5)

    def ddim_step(self, x_t: Any, t: int, s: int, eps: Any, z: Any, eta: float) -> Any:
        """Their step to s."""
        if eta not in (0, 1):
            raise NotImplementedError("mu = 0 is eta = 0 and mu = 1/2 is eta = 1")
        return self.step(x_t, t, s, eps, z, eta / 2)


# ---- labml-nn, MONAI, guided-diffusion ----------------------------------------------------------


def labml() -> Any:
    """Their DenoiseDiffusion, which takes images."""
    import torch
    from labml_nn.diffusion.ddpm import DenoiseDiffusion

    made = DenoiseDiffusion(torch.nn.Identity(), T, torch.device("cpu"))
    return adapt(made, axes=2, name="labml")


def monai(kind: str) -> Any:
    """One of its schedulers, without clipping."""
    from monai.networks import schedulers

    made = getattr(schedulers, kind)(num_train_timesteps=T, clip_sample=False)
    return adapt(made)


def openai(package: str, variance: str, clip: bool = False) -> Any:
    """A package's GaussianDiffusion with this kind of variance."""
    import importlib

    theirs = importlib.import_module(f"{package}.gaussian_diffusion")
    made = theirs.GaussianDiffusion(
        betas=np.linspace(LINEAR["beta_start"], LINEAR["beta_end"], T),
        model_mean_type=theirs.ModelMeanType.EPSILON,
        model_var_type=theirs.ModelVarType[variance],
        loss_type=theirs.LossType.MSE,
    )
    return OpenAI(made, clip)


class OpenAI:
    """Their GaussianDiffusion, float64 tables and float32 tensors, with or without clipping."""

    name, dtype = "GaussianDiffusion", "float32"

    def __init__(self, theirs: Any, clip: bool) -> None:
        import torch

        self.theirs, self.clip = theirs, clip
        self.betas, self.alphas_cumprod = torch.from_numpy(theirs.betas), theirs.alphas_cumprod
        plain = adapt(theirs, dtype="float32")
        self.q_sample = plain.q_sample
        self.q_posterior_mean_variance = plain.q_posterior_mean_variance
        self.predict_x0 = plain.predict_x0

    def _sample(self, by: str, x_t: Any, t: int, eps: Any, z: Any, **more: Any) -> Any:
        import torch

        steps = torch.full((len(x_t),), t)
        with patch.object(torch, "randn_like", lambda _: z):
            return getattr(self.theirs, by)(
                lambda *_, **__: eps, x_t, steps, clip_denoised=self.clip, **more
            )["sample"]

    def reverse_step(self, x_t: Any, t: int, eps: Any, z: Any) -> Any:
        """Their ancestral step."""
        return self._sample("p_sample", x_t, t, eps, z)

    def ddim_step(self, x_t: Any, t: int, s: int, eps: Any, z: Any, eta: float) -> Any:
        """Their step to s."""
        if s != t - 1:
            raise NotImplementedError("longer steps need another schedule there")
        return self._sample("ddim_sample", x_t, t, eps, z, eta=eta)


CLIPS = (
    "Convention: x_0 is cut to [-1, 1], because images are. No effect on data in that range while "
    "the prediction stays in it, too."
)
HALF = (
    "In single precision all holds. `add_noise` on float16 samples stores the table in float16, "
    "also for later calls."
)
ENTRIES = [
    Entry("diffusers", "DDPM, no clipping (`fixed_small`)", ddpm),
    Entry("diffusers", "DDPM, defaults", lambda: ddpm(clip_sample=True), ("E17 step",), CLIPS),
    Entry("diffusers", "DDPM `fixed_small_log`", lambda: ddpm(variance_type="fixed_small_log")),
    Entry("diffusers", "DDPM `fixed_large`", lambda: ddpm(variance_type="fixed_large")),
    Entry(
        "diffusers",
        "DDPM `fixed_large_log`",
        lambda: ddpm(variance_type="fixed_large_log"),
        ("E17 step",),
        "Error: the root of a logarithm, which is negative. Every sample is NaN.",
        "https://github.com/huggingface/diffusers/issues/14569",
    ),
    Entry(
        "diffusers",
        "DDPM `learned`, the model says beta",
        lambda: LearnedVariance("learned", lambda s, t: s.betas[t]),
    ),
    Entry(
        "diffusers",
        "DDPM `learned_range`, the model says 1",
        lambda: LearnedVariance("learned_range", lambda s, t: 1.0),
    ),
    Entry(
        "diffusers",
        "DDPM `learned_range`, the model says -1",
        lambda: LearnedVariance("learned_range", lambda s, t: -1.0),
    ),
    Entry("diffusers", "DDIM, `set_alpha_to_one=True`", lambda: diffusers("DDIMScheduler")),
    Entry(
        "diffusers",
        "DDIM, `set_alpha_to_one=False`",
        lambda: diffusers("DDIMScheduler", set_alpha_to_one=False),
        ("E18 ddim",),
        "Convention of Stable Diffusion's configurations: the signal ends at the noise level of "
        "t = 1, so that the last step does nothing.",
    ),
    Entry("diffusers", "DDIM, 10 steps, `leading`", lambda: TenSteps("leading")),
    Entry("diffusers", "DDIM, 10 steps, `trailing`", lambda: TenSteps("trailing")),
    Entry(
        "diffusers",
        "DDIM, 10 steps, `linspace`",
        lambda: TenSteps("linspace"),
        ("E18 ddim",),
        "Error: its list has strides of 111, its step goes 100 down, to a step that is not in the "
        "list.",
        "https://github.com/huggingface/diffusers/issues/12633",
    ),
    Entry(
        "denoising-diffusion-pytorch",
        "defaults",
        lambda: lucidrains(True),
        ("E14 p_mean_variance", "E17 step"),
        CLIPS,
    ),
    Entry("denoising-diffusion-pytorch", "no clipping", lambda: lucidrains(False)),
    Entry(
        "smalldiffusion",
        "`ScheduleDDPM`, mu = 1/2 and mu = 0",
        SmallDiffusion,
        ("E17 step", "E18 ddim"),
        "Convention: its list of sigmas ends with the smallest one twice, so that the last step "
        "does nothing and the noise of t = 1 is left in.",
    ),
    Entry(
        "labml-nn",
        "`DenoiseDiffusion`",
        labml,
        ("E17 step",),
        "Departs from algorithm 2 of Ho et al.: noise also at the last step, of variance beta_1 = "
        "1e-4.",
    ),
    Entry("monai", "DDPM, no clipping", lambda: monai("DDPMScheduler"), ("E6 q_sample",), HALF),
    Entry("monai", "DDIM, no clipping", lambda: monai("DDIMScheduler"), ("E6 q_sample",), HALF),
    Entry(
        "guided-diffusion-sdk",
        "`FIXED_SMALL`, no clipping",
        lambda: openai("guided_diffusion", "FIXED_SMALL"),
    ),
    Entry(
        "guided-diffusion-sdk",
        "`FIXED_LARGE`, no clipping",
        lambda: openai("guided_diffusion", "FIXED_LARGE"),
    ),
    Entry(
        "guided-diffusion-sdk",
        "defaults (clipping)",
        lambda: openai("guided_diffusion", "FIXED_LARGE", True),
        ("E17 step", "E18 ddim"),
        CLIPS,
    ),
    Entry(
        "improved-diffusion-for-smlm",
        "`FIXED_LARGE`, no clipping",
        lambda: openai("improved_diffusion_for_SMLM.improved_diffusion", "FIXED_LARGE"),
    ),
]
