"""The notes' experiment with pictures: a U-Net learns rings, and each number has an exact one.

The main training learns the family, whose law is known by quadrature
(:class:`ddpm_np.closed_form.distributions.Rings`). Measuring it trains some more networks, each in
a fraction of the time: an MLP for comparison; a U-Net on 5, 16, 64 and 256 pictures, to see whether
it remembers them or draws new rings (Kadkhodaie et al. 2024); and on the five a network of three
layers, beside the best that any denoiser of its field of view can do (Kamb and Ganguli 2024). The
pictures are in :mod:`ddpm_np.experiments.rings_figures`.

Source: N2 "反扩散的样例".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Empirical, Rings
from ddpm_np.closed_form.distributions.rings import nearest_ring
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.patches import PatchDenoiser
from ddpm_np.experiments.evaluation import Evaluation, Measurement
from ddpm_np.experiments.progress import say
from ddpm_np.forward import q_sample
from ddpm_np.learning.parameters import Network
from ddpm_np.learning.unet import UNet, preconditioning
from ddpm_np.network import MLP, Layer
from ddpm_np.posterior import predict_x0
from ddpm_np.sampling import Denoiser, ancestral_sample
from ddpm_np.schedule import Schedule
from ddpm_np.training import Distribution, TrainingState, train

if TYPE_CHECKING:
    from ddpm_np.experiments.experiment import Experiment, Training


PICTURES = (5, 16, 64, 256)  # trained on so many pictures of the family; a quick run on two
PATCHES = (3, 5, 7, 11)  # fields of view, in pixels
SEEN = 7  # the field of view of three layers
SHOWN = 8  # samples in a picture, all from the same noise
MEMORY_SHARE, SHORT_SHARE = 0.75, 1 / 6  # of the main training's steps


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


def evaluate_rings(training: Training) -> RingsEvaluation:
    """Measures the main network and trains and measures the others."""
    e, schedule, law = training.experiment, training.schedule, training.distribution
    assert isinstance(law, Rings)
    rng, network, n = e.rng("evaluation"), training.state.ema_network(), e.samples
    floor, excess, excess_error = _excess(network, law, schedule, max(2, n // 2), rng)
    seed = int(rng.integers(2**63))
    ideal = IdealDenoiser(law, schedule)
    path, ideal_path = (_chain(d, schedule, SHOWN, seed) for d in (network, ideal))
    samples = ancestral_sample(network, schedule, n, e.dim, rng=rng)
    slower = replace(e, learning_rate=e.learning_rate / 12)  # at a third its samples blow up
    mlp = _trained(slower, "an MLP", _mlp(e, law), law, e.steps)
    mlp_losses = _excess(mlp, law, schedule, max(2, n // 8), rng)
    mlp_samples = ancestral_sample(mlp, schedule, n, e.dim, rng=rng)
    rows = _family_rows(samples, path[0], ideal_path[0], floor, excess, excess_error)
    rows |= _mlp_rows(mlp_samples, mlp_losses)
    memories, networks = [], []
    for k in PICTURES[:2] if e.quick else PICTURES:
        pictures = law.sample(k, rng=e.rng("signals"))
        steps, points = max(1, round(MEMORY_SHARE * e.steps)), Empirical(pictures)
        networks.append(_trained(e, f"a U-Net on {k} pictures", e.network(), points, steps))
        memories.append(_memory(networks[-1], pictures, law, schedule, n, rng))
    rows |= _memory_rows(memories, law.sample(PICTURES[0], rng=e.rng("signals")))
    columns, floors, more = _five(e, law, schedule, networks[0], rng)
    return RingsEvaluation(
        rows | more,
        floor,
        floor + excess,
        excess_error,
        excess,
        excess_error,
        samples,
        ideal_path[0],
        law.sample(n, rng=rng),
        path[:, 0],
        ideal_path[:, 0],
        {},
        tuple(memories),
        columns,
        floors,
        mlp_samples,
        _guesses(network, schedule, path[:, 0]),
        _guesses(ideal, schedule, ideal_path[:, 0]),
    )


# ---- the family ----------------------------------------------------------------------------------


def _excess(
    network: Denoiser, law: Rings, schedule: Schedule, n: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """The floor, the excess over it, and its standard error: (T + 1,) each, entry 0 NaN.

    The excess is E|eps_hat - eps_star|^2 / dim; the loss is their sum. As in
    :func:`~ddpm_np.closed_form.ideal.estimate_floor`, but one quadrature serves both.
    """
    floor, excess, scatter = np.full((3, schedule.T + 1), np.nan)
    for t in range(1, schedule.T + 1):
        kept, noise = schedule.alpha_bar[t], schedule.one_minus_alpha_bar[t]
        noised = law.diffuse(schedule, t)
        x_t = noised.sample(n, rng=rng)
        mean, spread = noised.posterior(x_t)
        floor[t] = kept / noise * spread.mean() / law.dim
        off = np.square(network(x_t, t) - (x_t - np.sqrt(kept) * mean) / np.sqrt(noise)).mean(1)
        excess[t], scatter[t] = off.mean(), off.std(ddof=1) / np.sqrt(n)
    return floor, excess, scatter


def _chain(denoiser: Denoiser, schedule: Schedule, n: int, seed: int) -> Array:
    """The whole way of n samples, (T + 1, n, dim), from the noise of that seed."""
    dim = denoiser.dim  # type: ignore[attr-defined]
    return ancestral_sample(
        denoiser,
        schedule,
        n,
        dim,
        rng=np.random.default_rng(seed),
        trajectory=True,
        dtype=np.float64,
    )


def _guesses(denoiser: Denoiser, schedule: Schedule, path: Array) -> Array:
    """x0_hat on the way of one picture, (T, dim), in the order of t = 1..T."""
    x_t = path[1:, None]
    return np.concatenate(
        [
            predict_x0(schedule, x, t, np.asarray(denoiser(x, t), np.float64))
            for t, x in enumerate(x_t, 1)
        ]
    )


def _family_rows(
    samples: Array, shown: Array, ideal: Array, floor: Array, excess: Array, excess_error: Array
) -> dict[str, Measurement]:
    T, least = len(floor) - 1, float(floor[1:].mean())
    error = float(np.sqrt(np.square(excess_error[1:]).sum()) / T)
    over = float(excess[1:].mean())
    fit, ideal_fit = nearest_ring(samples), nearest_ring(ideal)
    n = len(samples)
    rows = {
        "loss": Measurement(
            "loss, mean over t", least + over, error, least, "beside the Bayes floor"
        ),
        "excess": Measurement(
            "excess of the loss, in floors",
            over / least,
            error / least,
            0.0,
            "mean over t of E|eps_hat - eps_star|^2, over dim times the floor",
        ),
        "ring": Measurement(
            "distance of the samples to the nearest ring",
            *_mean(fit.distance),
            0.0,
            f"root mean square per pixel, {n} samples; rings of any place and size",
        ),
        "ideal_ring": Measurement(
            "the same, ideal denoiser",
            float(ideal_fit.distance.mean()),
            None,
            0.0,
            f"{len(ideal)} samples",
        ),
        "radius": Measurement("radius of the nearest ring", *_mean(fit.radius), 4.4, "in pixels"),
        "radius_sd": Measurement(
            "scatter of that radius", float(fit.radius.std(ddof=1)), None, 0.0, ""
        ),
        "same_noise": Measurement(
            "distance of the network's picture to the exact chain's",
            *_mean(_rms(shown - ideal)),
            0.0,
            f"{len(ideal)} samples, equal noise",
        ),
    }
    for t in sorted({1, max(1, T // 10), max(1, T // 2)}):
        rows[f"excess_at_{t}"] = Measurement(
            f"excess in floors at t = {t}",
            float(excess[t] / floor[t]),
            float(excess_error[t] / floor[t]),
            0.0,
            "of the floor at this t",
        )
    return rows


def _mlp(e: Experiment, law: Rings) -> MLP:
    skip, _ = preconditioning(e.schedule(), law.mean_square)
    layers = [Layer(2 * e.dim, "silu")] * 2
    return MLP(e.dim, e.T, hidden=layers, rng=e.rng("weights"), skip=skip)


def _mlp_rows(samples: Array, losses: tuple[Array, ...]) -> dict[str, Measurement]:
    floor, excess, _ = losses
    over, fit = float(excess[1:].mean() / floor[1:].mean()), nearest_ring(samples)
    return {
        "mlp_excess": Measurement(
            "excess in floors, an MLP", over, None, 0.0, "equal steps and batches"
        ),
        "mlp_ring": Measurement(
            "distance to the nearest ring, the MLP",
            *_mean(fit.distance),
            0.0,
            f"{len(samples)} samples",
        ),
    }


# ---- memorise or generalise ----------------------------------------------------------------------


def _memory(
    network: Network,
    pictures: Array,
    law: Rings,
    schedule: Schedule,
    n: int,
    rng: np.random.Generator,
) -> Memory:
    samples = ancestral_sample(network, schedule, n, law.dim, rng=rng)
    fresh = law.sample(len(pictures), rng=rng)
    new = law.sample(max(2, n // 8), rng=rng)
    family, memory = IdealDenoiser(law, schedule), IdealDenoiser(Empirical(pictures), schedule)
    off = []
    for t in range(1, schedule.T + 1, 7):
        x_t = q_sample(schedule, new, t, rng.standard_normal(new.shape))
        eps_hat = network(x_t, t)
        off.append([np.square(eps_hat - ideal(x_t, t)).mean() for ideal in (family, memory)])
    to_family, to_memory = np.mean(off, axis=0)
    return Memory(
        len(pictures),
        samples,
        _nearest(samples, pictures),
        _nearest(samples, fresh),
        nearest_ring(samples).distance,
        float(to_family),
        float(to_memory),
    )


def _memory_rows(memories: list[Memory], five: Array) -> dict[str, Measurement]:
    rows: dict[str, Measurement] = {}
    for m in memories:
        rows |= {
            f"trained_{m.k}": Measurement(
                f"{m.k} pictures: distance to the nearest of them",
                *_mean(m.trained),
                None,
                "root mean square per pixel",
            ),
            f"fresh_{m.k}": Measurement(
                f"{m.k} pictures: to the nearest of {m.k} others",
                *_mean(m.fresh),
                None,
                "pictures of the family that it never saw",
            ),
            f"ring_{m.k}": Measurement(
                f"{m.k} pictures: to the nearest ring", *_mean(m.ring), 0.0, "any place and size"
            ),
            f"to_family_{m.k}": Measurement(
                f"{m.k} pictures: predictions from the family's ideal ones",
                m.to_family,
                None,
                None,
                "mean square over t, on new pictures",
            ),
            f"to_memory_{m.k}": Measurement(
                f"{m.k} pictures: from the ideal ones of the {m.k}",
                m.to_memory,
                None,
                None,
                "the same",
            ),
        }
    from scipy.stats import chisquare

    which = np.argmin(_distances(memories[0].samples, five), axis=1)
    counts = np.bincount(which, minlength=len(five))
    rows["fair"] = Measurement(
        "five pictures: probability of shares so unequal",
        float(chisquare(counts).pvalue),
        None,
        None,
        f"chi-square test of {', '.join(map(str, counts))} samples nearest to each",
    )
    return rows


# ---- why circles are not round -------------------------------------------------------------------


def _five(
    e: Experiment, law: Rings, schedule: Schedule, long: Network, rng: np.random.Generator
) -> tuple[dict[str, Array], dict[tuple[int, bool], Array], dict[str, Measurement]]:
    """Denoisers of the same five pictures, with more and less of the picture in view."""
    five = law.sample(PICTURES[0], rng=e.rng("signals"))
    points = Empirical(five)
    steps, few = (max(1, round(share * e.steps)) for share in (MEMORY_SHARE, SHORT_SHARE))
    short = _trained(e, "a U-Net on 5 pictures, short", e.network(), points, few)
    three = _trained(e, "three layers on 5 pictures", _three_layers(e, law), points, steps)
    patches = {
        (p, placed): PatchDenoiser(five, schedule, patch=p, placed=placed)
        for p in PATCHES
        for placed in (True, False)
        if p < 2 * law.size
    }
    floors = {key: d.floor(n=max(2, e.samples // 16), rng=rng) for key, d in patches.items()}
    denoisers: dict[str, Denoiser] = {
        "all pixels, exact": IdealDenoiser(points, schedule),
        f"patch {SEEN}, placed": patches[SEEN, True],
        f"patch {SEEN}, anywhere": patches[SEEN, False],
        "three layers": three,
        "U-Net, short": short,
        "U-Net": long,
    }
    seed = int(rng.integers(2**63))
    columns = {name: _chain(d, schedule, SHOWN, seed)[0] for name, d in denoisers.items()}
    rows: dict[str, Measurement] = {}
    for (p, placed), floor in floors.items():
        where = "placed" if placed else "anywhere"
        rows[f"patch_{p}_{where}"] = Measurement(
            f"five pictures: least loss with a patch of {p}, {where}",
            float(floor[1:].mean()),
            None,
            None,
            "exact given the draws of x_t",
        )
    loss = _empirical_loss(three, points, schedule, max(2, e.samples // 4), rng)
    rows["three_layers"] = Measurement(
        "five pictures: loss of three layers",
        *loss,
        float(floors[SEEN, False][1:].mean()),
        f"beside the least with a patch of {SEEN}, anywhere",
    )
    for name, samples in columns.items():
        key = name.replace(" ", "_").replace(",", "")
        rows[f"shown_{key}"] = Measurement(
            f"five pictures: distance to the nearest ring, {name}",
            *_mean(nearest_ring(samples).distance),
            0.0,
            f"{len(samples)} samples, equal noise",
        )
    return {"five": five, **columns}, floors, rows


def _three_layers(e: Experiment, law: Rings) -> UNet:
    """Convolutions at full size only, twice as wide: each sees 2 pixels more, SEEN in all."""
    network = e.network()
    assert isinstance(network, UNet)
    return UNet(
        law.size,
        e.T,
        widths=(2 * e.hidden[0],),
        layers=SEEN // 2,
        rng=e.rng("weights"),
        skip=network.skip,
        gain=network.gain,
        basis=network.basis,
    )


def _empirical_loss(
    network: Network, points: Empirical, schedule: Schedule, n: int, rng: np.random.Generator
) -> tuple[float, float]:
    """The mean over t of the network's loss on the points, and its standard error.

    The loss is the floor plus what the prediction is off the ideal one; both scatter little.
    """
    ideal, parts = IdealDenoiser(points, schedule), []
    for t in range(1, schedule.T + 1):
        kept, noise = schedule.alpha_bar[t], schedule.one_minus_alpha_bar[t]
        x_t = points.diffuse(schedule, t).sample(n, rng=rng)
        left = 1 - np.sqrt(noise) * ideal.divergence(x_t, kept, noise) / points.dim
        parts.append(left + np.square(network(x_t, t) - ideal(x_t, t)).mean(1))
    losses = np.array(parts)
    error = np.sqrt((losses.var(axis=1, ddof=1) / n).sum()) / schedule.T
    return float(losses.mean()), float(error)


# ---- the parts of all ----------------------------------------------------------------------------


def _trained(
    e: Experiment, name: str, network: Network, source: Distribution, steps: int
) -> Network:
    """The averaged network after so many steps; a line says what is being trained."""
    say(f"{e.name}: training {name}, {steps} steps")
    state = TrainingState(network, rng=e.rng("training"), ema_decay=e.ema_decay)
    records = train(
        network,
        source,
        e.schedule(),
        steps=steps,
        batch_size=e.batch_size,
        learning_rate=e.learning_rate,
        max_norm=e.max_norm,
        state=state,
    )
    for _ in records:
        pass
    return state.ema_network()


def _rms(off: Array) -> Array:
    return np.sqrt(np.square(off).mean(-1))


def _distances(samples: Array, pictures: Array) -> Array:
    """Root mean square per pixel between each sample and each picture, (n, k)."""
    return np.stack([_rms(samples - picture) for picture in pictures], axis=1)


def _nearest(samples: Array, pictures: Array) -> Array:
    return _distances(samples, pictures).min(axis=1)


def _mean(values: Array) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
