"""What the noising kernels are to one another (E1 to E6)."""

from itertools import combinations

from ddpm_np import forward
from ddpm_np.proof.identities.charts import TS, betas, levels, single_steps
from ddpm_np.proof.identities.entry import Sides, V, each_step, each_T, identity

# ---- E2: the schedule ---------------------------------------------------------------------------


@identity("E2", each_T(betas))
def _the_clean_signal(v: V, T: int) -> Sides:
    """beta_0 = 0, alpha_0 = alpha_bar_0 = 1, 1 - alpha_bar_0 = 0, beta_tilde_0 = 0; betas as given.

    What follows from the betas is in the docstring of from_beta.
    """
    s = v.schedule
    entries = [s.beta[0], s.alpha[0], s.alpha_bar[0], s.one_minus_alpha_bar[0], s.beta_tilde[0]]
    return [*entries, *s.beta[1:]], [0, 1, 1, 0, 0, *v.beta]


# ---- E4: several steps as one -------------------------------------------------------------------


@identity(
    "E4",
    {f"{r} to {s} to {t}": (betas(TS[-1]), (r, s, t)) for r, s, t in combinations(range(6), 3)},
)
def _skipping_composes(v: V, route: tuple[int, int, int]) -> Sides:
    """alpha_{t|s} alpha_{s|r} = alpha_{t|r}; alpha_{t|s} beta_{s|r} + beta_{t|s} = beta_{t|r}."""
    r, s, t = route
    (alpha_1, beta_1), (alpha_2, beta_2) = v.schedule.between(r, s), v.schedule.between(s, t)
    return [alpha_2 * alpha_1, alpha_2 * beta_1 + beta_2], v.schedule.between(r, t)


# ---- E1, E4, E6: the kernels --------------------------------------------------------------------


@identity("E4 E6", each_step(levels), x=(2,), eps=(2,))
def _skipping_from_the_signal(v: V, t: int) -> Sides:
    """q_skip from 0 is q_sample."""
    skipped = forward.q_skip(v.schedule, v.x, 0, t, v.eps)
    return skipped, forward.q_sample(v.schedule, v.x, t, v.eps)


@identity("E4 E1", each_step(single_steps), x=(2,), eps=(2,))
def _skipping_one_step(v: V, t: int) -> Sides:
    """q_skip from t - 1 is q_step."""
    skipped = forward.q_skip(v.schedule, v.x, t - 1, t, v.eps)
    return skipped, forward.q_step(v.schedule, v.x, t, v.eps)


# ---- E3, E5: the covariance ---------------------------------------------------------------------


@identity("E3 E5", each_step(betas), Sigma=(2, 2))
def _the_covariance_by_induction(v: V, t: int) -> Sides:
    """(1 - beta_t) Sigma_{t-1} + beta_t I = Sigma_t, both in closed form, and Sigma_0 as given."""
    start, before, now = (forward.covariance_at(v.schedule, v.Sigma, i) for i in (0, t - 1, t))
    return [start, forward.covariance_step(v.schedule, before, t)], [v.Sigma, now]
