"""Circles that are not round: denoisers of five pictures that see more and less of them (E24)."""

import textwrap

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np._measurement import Measurement, computed, sampled
from ddpm_np.closed_form.distributions import Empirical, Rings
from ddpm_np.closed_form.distributions.rings import nearest_ring
from ddpm_np.closed_form.ideal import IdealDenoiser, estimate_floor
from ddpm_np.closed_form.patches import PatchDenoiser
from ddpm_np.demos import Shown
from ddpm_np.demos.points import nearest, share_at_points
from ddpm_np.learning.parameters import Network
from ddpm_np.learning.unet import UNet, preconditioning
from ddpm_np.sampling import Denoiser, ancestral_sample
from ddpm_np.schedule import Schedule
from ddpm_np.training import trained

SCHEDULE = Schedule.sigmoid(40, beta_min=1e-3)
FAMILY = Rings(12, radius=3.4, spread=1.0)
PATCH = 5
SEEN = f"sees {PATCH} x {PATCH}"


def show(
    *,
    rng: np.random.Generator,
    k: int = 5,
    n: int = 8,
    steps: int = 400,
    schedule: Schedule = SCHEDULE,
) -> Shown:
    """The numbers. k: pictures; n: samples of each denoiser; steps: of training."""
    pictures = FAMILY.sample(k, rng=rng)
    points = Empirical(pictures)
    denoisers: dict[str, Denoiser] = {
        "sees all pixels": IdealDenoiser(points, schedule),
        f"{SEEN}, and where": PatchDenoiser(pictures, schedule, patch=PATCH, placed=True),
        f"{SEEN}, not where": PatchDenoiser(pictures, schedule, patch=PATCH),
        f"a U-Net, {steps} steps": _trained(points, schedule, steps, rng),
        "all rings, exact": IdealDenoiser(FAMILY, schedule),
    }
    seed = int(rng.integers(2**63))
    rows, drawn = [], {f"{k} pictures": pictures}
    for name, denoiser in denoisers.items():
        noise = np.random.default_rng(seed)  # the same for all
        path = ancestral_sample(
            denoiser, schedule, n, FAMILY.dim, rng=noise, trajectory=True, dtype=np.float64
        )
        samples = drawn[name] = path[0]
        distance, what = nearest_ring(samples).distance, f"distance to the nearest ring: {name}"
        if name == "sees all pixels":  # one of the pictures, to rounding
            rows.append(computed(what, distance.max(), 0.0))
            copies = float(share_at_points(samples, pictures, within=1e-6))
            rows.append(computed("... share that are copies of the pictures", copies, 1.0))
            used = len(set(nearest(samples, pictures)[1].flat))
            rows.append(Measurement(f"... how many of the {k}", float(used)))
        else:
            rows.append(sampled(what, distance))
    times = np.linspace(schedule.T, 0, n).astype(int)
    at = textwrap.fill(f"the first of them, at t = {', '.join(map(str, times))}", 22)
    drawn[at] = path[times, 0]
    for placed, where in ((True, "and where"), (False, "not where")):
        floor = PatchDenoiser(pictures, schedule, patch=PATCH, placed=placed).floor(n=4, rng=rng)
        rows.append(Measurement(f"least loss, {SEEN}, {where}", float(floor[1:].mean())))
    floor, _ = estimate_floor(points, schedule, n=100, rng=rng)
    rows.append(Measurement("least loss, all pixels of the five", float(floor[1:].mean())))
    first = Schedule.from_beta([1e-4])
    floor, error = estimate_floor(FAMILY, first, n=16, rng=rng)
    what = f"least loss of the family at little noise, in 1/{FAMILY.dim}"
    rows.append(Measurement(what, float(FAMILY.dim * floor[1]), 2.0))
    return Shown(rows, drawn)


def _trained(
    points: Empirical, schedule: Schedule, steps: int, rng: np.random.Generator
) -> Network:
    """A small U-Net after a second or two on the pictures."""
    skip, gain = preconditioning(schedule, float(np.square(points.points).mean()))
    network = UNet(FAMILY.size, schedule.T, widths=(12, 24), rng=rng, skip=skip, gain=gain)
    settings = {"steps": steps, "batch_size": 16, "learning_rate": 5e-3}
    return trained(network, points, schedule, rng=rng, ema_decay=0.98, **settings)


def draw(drawn: dict[str, Array]) -> style.Figure:
    """One row of pictures for each denoiser, by its name, and one column for each noise."""
    return style.picture_grid(drawn, title="Circles that are not round", aside=2.4)
