"""What the networks of the rings experiment have learned: numbers, samples and floors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np._measurement import mean_and_error
from ddpm_np.closed_form.distributions import Empirical, Rings
from ddpm_np.closed_form.distributions.rings import nearest_ring
from ddpm_np.closed_form.ideal import IdealDenoiser, Losses, estimate_losses
from ddpm_np.closed_form.patches import PatchDenoiser
from ddpm_np.experiments.evaluation import Evaluation, mean_loss, mean_over_t, rms_distance
from ddpm_np.experiments.training import Training
from ddpm_np.experiments.words import Rows
from ddpm_np.forward import q_sample
from ddpm_np.posterior import predict_x0
from ddpm_np.sampling import Denoiser, ancestral_sample
from ddpm_np.schedule import Schedule

PICTURES = (5, 16, 64, 256)  # trained on so many pictures of the family; a quick run on two
SEEN = 7  # the field of view of three layers, in pixels
PATCHES = (3, 5, 7, 11)  # fields of view, in pixels
# The MLP's learning rate: its samples are finite, and at four times that they blow up.
MLP_RATE, WHY = 5e-4, "at four times that its samples blow up"
SHOWN = 8  # samples in a picture, all from the same noise


class Memory(NamedTuple):
    """What a network trained on k pictures returns.

    samples : (n, dim)
    trained, fresh : (n,) each sample's distance to the nearest trained picture, and to the nearest
        of k pictures of the family that it was not trained on
    ring : (n,) its distance to the nearest ring of any place and size
    to_family, to_memory : mean over t of the squared distance of its predictions, on new pictures,
        from the ideal denoiser of the family, and from that of the k pictures
    """

    k: int
    samples: Array
    trained: Array
    fresh: Array
    ring: Array
    to_family: float
    to_memory: float


@dataclass(frozen=True)
class RingsEvaluation(Evaluation):
    """What is known of the networks; the fields of Evaluation are those of the main one.

    memories : one for each number of pictures
    columns : name -> (SHOWN, dim), samples of denoisers of the same five pictures, from equal noise
    patch_floors : (patch, placed) -> (T + 1,), the least loss with that field of view, on the five
    mlp_samples : (n, dim)
    guesses, ideal_guesses : (T, dim), x0_hat of the first chain at t = 1..T, network and exact
    """

    memories: tuple[Memory, ...]
    columns: dict[str, Array]
    patch_floors: dict[tuple[int, bool], Array]
    mlp_samples: Array
    guesses: Array
    ideal_guesses: Array


def evaluate_rings(
    training: Training, dist: Rings, some: Callable[[int], Array], networks: Mapping[str, Denoiser]
) -> RingsEvaluation:
    """Measures the main network and those of the further trainings.

    some: gives as many pictures of the family as it is asked for, the same on which they learned.
    """
    e, schedule = training.experiment, training.schedule
    rng, n = e.rng("evaluation"), e.samples
    network, ideal = training.denoiser(), IdealDenoiser(dist, schedule)
    losses = estimate_losses(network, dist, schedule, n=max(2, n // 4), rng=rng)
    seed = int(rng.integers(2**63))
    (path, guesses), (ideal_path, ideal_guesses) = (
        _chain(d, schedule, dist.dim, seed) for d in (network, ideal)
    )
    samples = ancestral_sample(network, schedule, n, e.dim, rng=rng)
    mlp = networks["mlp"]
    mlp_losses = estimate_losses(mlp, dist, schedule, n=max(2, n // 16), rng=rng)
    mlp_samples = ancestral_sample(mlp, schedule, n, e.dim, rng=rng)
    rows = Rows(e.name)
    _add_family(rows, dist, samples, path[0], ideal_path[0], losses)
    over = mlp_losses.excess[1:].mean() / mlp_losses.floor[1:].mean()
    rows.add("mlp_excess", over, None, 0.0, rate=MLP_RATE, why=WHY)
    rows.add("mlp_ring", *mean_and_error(nearest_ring(mlp_samples).distance), 0.0, n=n)
    asked = _asked(dist, ideal, max(2, n // 8), rng)
    memories = [
        _memory(networks[f"unet-{k}"], some(k), dist, schedule, asked, n, rng)
        for k in PICTURES
        if f"unet-{k}" in networks
    ]
    _add_memories(rows, some(PICTURES[0]), memories)
    columns, floors = _five(rows, some(PICTURES[0]), schedule, networks, n, rng)
    return RingsEvaluation(
        rows,
        losses,
        samples,
        ideal_path[0],
        dist.sample(n, rng=rng),
        path[:, 0],
        ideal_path[:, 0],
        {},
        tuple(memories),
        columns,
        floors,
        mlp_samples,
        guesses,
        ideal_guesses,
    )


def _chain(denoiser: Denoiser, schedule: Schedule, dim: int, seed: int) -> tuple[Array, Array]:
    """The whole way of SHOWN samples from the noise of that seed, (T + 1, SHOWN, dim), and x0_hat
    on the way of the first, (T, dim), in the order of t = 1..T.
    """
    eps_hat = np.empty((schedule.T, dim))

    def watched(x_t: Array, t: int) -> Array:
        found = denoiser(x_t, t)
        eps_hat[t - 1] = found[0]
        return found

    options: dict[str, Any] = {"trajectory": True, "dtype": np.float64}
    rng = np.random.default_rng(seed)
    path = ancestral_sample(watched, schedule, SHOWN, dim, rng=rng, **options)
    return path, predict_x0(schedule, path[1:, 0], np.arange(1, schedule.T + 1), eps_hat)


def _add_family(
    rows: Rows, dist: Rings, samples: Array, shown: Array, ideal: Array, losses: Losses
) -> None:
    floor, excess = losses.floor, losses.excess
    least, (over, error) = float(floor[1:].mean()), mean_over_t(excess, losses.excess_error)
    fit, same = nearest_ring(samples), mean_and_error(rms_distance(shown, ideal))
    rows.add("loss", least + over, error, least)
    rows.add("excess", over / least, error / least, 0.0)
    rows.add("ring", *mean_and_error(fit.distance), 0.0, n=len(samples))
    rows.add("ideal_ring", nearest_ring(ideal).distance.mean(), None, 0.0, shown=len(ideal))
    rows.add("radius", *mean_and_error(fit.radius), dist.radius)
    rows.add("radius_sd", fit.radius.std(ddof=1), None, 0.0)
    rows.add("same_noise", *same, 0.0, shown=len(ideal))
    T = len(floor) - 1
    for t in sorted({1, max(1, T // 10), max(1, T // 2)}):
        at, off = (float(values[t] / floor[t]) for values in (excess, losses.excess_error))
        rows.add("excess_at", at, off, 0.0, key=f"excess_at_{t}", t=t)


# ---- memorise or generalise ----------------------------------------------------------------------


Asked = list[tuple[int, Array, Array]]  # t, x_t of new pictures, and their eps_star in the family


def _asked(dist: Rings, family: IdealDenoiser, n: int, rng: np.random.Generator) -> Asked:
    schedule, new, asked = family.schedule, dist.sample(n, rng=rng), []
    for t in range(1, schedule.T + 1, 7):
        x_t = q_sample(schedule, new, t, rng.standard_normal(new.shape))
        asked.append((t, x_t, family(x_t, t)))
    return asked


def _memory(
    network: Denoiser,
    pictures: Array,
    dist: Rings,
    schedule: Schedule,
    asked: Asked,
    n: int,
    rng: np.random.Generator,
) -> Memory:
    samples = ancestral_sample(network, schedule, n, dist.dim, rng=rng)
    fresh = dist.sample(len(pictures), rng=rng)
    memory, off = IdealDenoiser(Empirical(pictures), schedule), []
    for t, x_t, eps_star in asked:
        eps_hat = network(x_t, t)
        off.append([np.square(eps_hat - known).mean() for known in (eps_star, memory(x_t, t))])
    to_family, to_memory = np.mean(off, axis=0)
    return Memory(
        len(pictures),
        samples,
        _distances(samples, pictures).min(axis=1),
        _distances(samples, fresh).min(axis=1),
        nearest_ring(samples).distance,
        float(to_family),
        float(to_memory),
    )


def _add_memories(rows: Rows, five: Array, memories: list[Memory]) -> None:
    from scipy.stats import chisquare

    for m in memories:
        k = m.k
        rows.add("trained", *mean_and_error(m.trained), key=f"trained_{k}", k=k)
        rows.add("fresh", *mean_and_error(m.fresh), key=f"fresh_{k}", k=k)
        rows.add("ring_of", *mean_and_error(m.ring), 0.0, key=f"ring_{k}", k=k)
        rows.add("to_family", m.to_family, key=f"to_family_{k}", k=k)
        rows.add("to_memory", m.to_memory, key=f"to_memory_{k}", k=k)
    counts = np.bincount(_distances(memories[0].samples, five).argmin(axis=1), minlength=len(five))
    rows.add("fair", chisquare(counts).pvalue, counts=", ".join(map(str, counts)))


# ---- why circles are not round -------------------------------------------------------------------


def _five(
    rows: Rows,
    five: Array,
    schedule: Schedule,
    networks: Mapping[str, Denoiser],
    n: int,
    rng: np.random.Generator,
) -> tuple[dict[str, Array], dict[tuple[int, bool], Array]]:
    """Denoisers of the same five pictures, with more and less of the picture in view."""
    points, three = Empirical(five), networks["three-layers"]
    patches = {
        (p, placed): PatchDenoiser(five, schedule, patch=p, placed=placed)
        for p in PATCHES
        for placed in (True, False)
        if p < 2 * round(points.dim**0.5)
    }
    floors = {key: d.floor(n=max(2, n // 16), rng=rng) for key, d in patches.items()}
    denoisers: dict[str, Denoiser] = {
        "all pixels, exact": IdealDenoiser(points, schedule),
        f"patch {SEEN}, placed": patches[SEEN, True],
        f"patch {SEEN}, anywhere": patches[SEEN, False],
        "three layers": three,
        "U-Net, short": networks["short"],
        "U-Net": networks[f"unet-{PICTURES[0]}"],
    }
    seed = int(rng.integers(2**63))
    columns = {name: _chain(d, schedule, points.dim, seed)[0][0] for name, d in denoisers.items()}
    for (p, placed), floor in floors.items():
        where = "placed" if placed else "anywhere"
        rows.add("patch", floor[1:].mean(), key=f"patch_{p}_{where}", patch=p, where=where)
    found = estimate_losses(three, points, schedule, n=max(2, n // 4), rng=rng)
    least = float(floors[SEEN, False][1:].mean())
    rows.add("three_layers", *mean_loss(found), least, seen=SEEN)
    for name, samples in columns.items():
        off = mean_and_error(nearest_ring(samples).distance)
        key = f"shown_{name.replace(' ', '_').replace(',', '')}"
        rows.add("shown", *off, 0.0, key=key, name=name, n=len(samples))
    return {"five": five, **columns}, floors


def _distances(samples: Array, pictures: Array) -> Array:
    """Root mean square per pixel between each sample and each picture, (n, k)."""
    return np.stack([rms_distance(samples, picture) for picture in pictures], axis=1)
