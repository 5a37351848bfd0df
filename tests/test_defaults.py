"""What a caller gets who leaves an argument out: the numbers are part of the interface."""

import inspect
import pkgutil
from importlib import import_module

import ddpm_np

DEFAULTS = """
closed_form.arguments.checked_points: name='x' exact=False
closed_form.covariance.error_of_mean: correlation=0.0 bias=0.0
closed_form.covariance.variance_of_mean: correlation=0.0
closed_form.distribution.Distribution.sample: dtype=float64
closed_form.distributions.empirical.Empirical.sample: dtype=float64
closed_form.distributions.mixtures.GaussianMixture.sample: dtype=float64
closed_form.distributions.ring_pictures.drawn: slopes=False
closed_form.distributions.ring_pictures.least_squares: prior=0.0 updates=40
closed_form.distributions.rings.Rings.sample: dtype=float64
closed_form.distributions.rings.Rings: size=16 radius=4.4 spread=1.2
closed_form.gaussian.Gaussian.from_factor: noise=0.0
closed_form.gaussian.Gaussian.sample: dtype=float64
closed_form.guidance.GuidedDenoiser: spread='exact'
closed_form.latent.LinearDecoder.posterior: broaden=1.0
closed_form.latent.quadrature: nodes=401
closed_form.likelihood.vlb_terms: variance='posterior'
closed_form.patches.PatchDenoiser: placed=False
closed_form.reverse.sampler_distribution: variance='posterior'
learning.convolution.neighbours: wrap=False
learning.layers.Layer: activation='leaky_relu' step='gate' leak=0.1
learning.optimizer.AdamW: dtype=float32 beta_1=0.9 beta_2=0.999 eps=1e-08 weight_decay=0.0
learning.optimizer.EMA: decay=0.999
learning.optimizer.Muon: dtype=float32 momentum=0.95
learning.optimizer.warmup_cosine: warmup=0 final=0.0
learning.state.TrainingState: ema_decay=0.999 weight_decay=0.0 beta_1=0.9 beta_2=0.999 eps=1e-08
 muon_rate=0.0
learning.unet.UNet: widths=(16, 32, 64) layers=2 dtype=float32 wrap=False
network.MLP.notes: dim=50 T=100 dtype=float32
network.MLP: hidden=(128, 128) dtype=float32 zero_output=True mirrored=False
sampling.ancestral_sample: variance='posterior' trajectory=False
sampling.ancestral_step: variance='posterior'
sampling.ancestral_steps: variance='posterior'
sampling.ddim_sample: eta=0.0 trajectory=False
sampling.ddim_step: eta=0.0
sampling.ddim_steps: eta=0.0
schedule.Schedule.cosine: T=1000 s=0.008 beta_max=0.999
schedule.Schedule.linear: T=1000 beta_min=0.0001 beta_max=0.02
schedule.Schedule.sigmoid: T=100 beta_max=0.1 beta_min=0.0 span=6.0
signals.MultiSine.random: n_frequencies=5 dim=50
signals.MultiSine.sample: dtype=float64
signals.MultiSine: dim=50 noise=0.0
signals.multi_sine_curve: dim=50 n_frequencies=5
training.train: max_norm=1.0 balanced=True
training.trained: ema_decay=0.999 beta_2=0.999
"""
PARTS = ("closed_form", "learning", "schedule", "sampling", "signals", "network", "training")


def callables(module):
    """The public functions of a module, and the methods of its classes, by name."""
    for name, found in vars(module).items():
        if getattr(found, "__module__", None) == module.__name__ and name[0] != "_":
            if callable(found) and name != "Divergence":  # an exception has no signature
                yield name, found
            for key in vars(found) if inspect.isclass(found) else ():
                method = getattr(found, key)
                if callable(method) and key[0] != "_":
                    yield f"{name}.{key}", method


def given(value):
    return value.__name__ if isinstance(value, type) else repr(value)


def test_the_defaults_stay():
    found = []
    for module in pkgutil.walk_packages(ddpm_np.__path__, "ddpm_np."):
        part = module.name.removeprefix("ddpm_np.")
        if part.partition(".")[0] not in PARTS:
            continue
        for name, function in callables(import_module(module.name)):
            parameters = inspect.signature(function).parameters.values()
            told = [
                f"{p.name}={given(p.default)}"
                for p in parameters
                if p.default not in (p.empty, None)
            ]
            if told and name != "VLBTerms":
                found.append(f"{part}.{name}: {' '.join(told)}")
    assert sorted(found) == DEFAULTS.replace("\n ", " ").strip().splitlines()
