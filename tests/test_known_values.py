"""A dozen values worked out by hand in decimals, away from the formulas.

A wrong function and a wrong docstring that agree pass every proof; these do not move with them.
With beta = 0.19, 0.36, 0.51 the alphas are 0.81, 0.64, 0.49, whose roots are 0.9, 0.8, 0.7, and
alpha_bar is 0.81, 0.5184, 0.254016, with roots 0.9, 0.72, 0.504.
"""

import numpy as np
import pytest

from ddpm_np import forward, posterior, sampling
from ddpm_np.closed_form import ideal, reverse
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.proof import prove
from ddpm_np.proof.theorems import forget, theorems
from ddpm_np.schedule import Schedule

S = Schedule.from_beta([0.19, 0.36, 0.51])
ONE, ZERO = [1.0], [0.0]


def close(actual, expected):
    return bool(np.allclose(actual, expected, rtol=1e-14, atol=1e-300))  # type: ignore[arg-type]


@pytest.mark.E2
def test_the_tables():
    assert close(S.alpha_bar, [1, 0.81, 0.5184, 0.254016])
    assert close(S.one_minus_alpha_bar, [0, 0.19, 0.4816, 0.745984])
    # 0.36 * 0.19 / 0.4816 = 0.0684 / 0.4816, 0.51 * 0.4816 / 0.745984 = 0.245616 / 0.745984
    assert close(S.beta_tilde, [0, 0, 0.142026578073089701, 0.32925102951269732])
    assert close(S.log_snr[1], 1.45001017550599831)  # ln(81 / 19)


@pytest.mark.E1
@pytest.mark.E4
@pytest.mark.E6
def test_the_noising_kernels():
    assert close(forward.q_step(S, [10.0], 2, [5.0]), [11.0])  # 0.8 * 10 + 0.6 * 5
    assert close(forward.q_sample(S, [100.0], 3, ZERO), [50.4])
    assert close(forward.q_sample(S, ZERO, 1, [1.0]), [0.43588989435406736])  # sqrt(0.19)
    assert close(S.between(1, 3), [0.3136, 0.6864])  # 0.8^2 * 0.7^2 = 0.56^2
    assert close(forward.q_skip(S, [1.0], 1, 3, ZERO), [0.56])


@pytest.mark.E3
@pytest.mark.E5
def test_the_covariances():
    Sigma = [[4.0, 1.0], [1.0, 2.0]]
    assert close(forward.covariance_step(S, Sigma, 2), [[2.92, 0.64], [0.64, 1.64]])
    assert close(forward.covariance_at(S, Sigma, 2), [[2.5552, 0.5184], [0.5184, 1.5184]])


@pytest.mark.E7
@pytest.mark.E8
def test_the_exponent():
    # (1 - 0.8 * 2)^2 / 0.36 + (2 - 0.9)^2 / 0.19 - (1 - 0.72)^2 / 0.4816
    at = posterior.posterior_exponent(2.0, 1.0, 1.0, S.alpha[2], S.beta[2], *S.alpha_bar[1:3])
    assert close(at, 7.2056303549571603)


@pytest.mark.E9
@pytest.mark.E10
@pytest.mark.E11
@pytest.mark.E12
def test_the_step_back():
    # psi_1 = 0.8 / 0.36 x_t + 0.9 / 0.19 x_0, psi_2 = 1 / 0.19 + 0.64 / 0.36
    assert close(posterior.psi_1(S, ONE, ONE, 2), [6.9590643274853801])
    assert close(posterior.psi_2(S, 2), 7.0409356725146199)
    mean, variance = posterior.posterior_mean_variance(S, ONE, ONE, 2)
    assert close(mean, [0.98837209302325581]) and close(variance, 0.142026578073089701)
    mean, _ = posterior.posterior_mean_variance(S, ONE, ZERO, 2)
    assert close(mean, [0.67275747508305648])  # 0.36 * 0.9 / 0.4816 = 0.324 / 0.4816


@pytest.mark.E13
@pytest.mark.E14
def test_the_signal_and_the_mean_from_the_noise():
    assert close(posterior.predict_x0(S, [0.72], 2, ZERO), ONE)
    assert close(posterior.predict_eps(S, [0.9 + 0.43588989435406736], 1, ONE), ONE)
    assert close(posterior.posterior_mean_from_eps(S, [0.8], 2, ZERO), ONE)
    # -0.36 / (0.8 sqrt(0.4816))
    assert close(posterior.posterior_mean_from_eps(S, ZERO, 2, ONE), [-0.6484392199172643])


@pytest.mark.E17
@pytest.mark.E18
def test_the_reverse_steps():
    step = sampling.ancestral_step(S, 2, 1)
    assert close(step, [1.25, -0.6484392199172643, 0.37686413741969359])
    # DDIM without noise: sqrt(0.19) - sqrt(0.4816) / 0.8
    step = sampling.ddim_step(S, 2, 1, eta=0.0)
    assert close(step, [1.25, 0.43588989435406736 - 0.86746757864487362, 0])


@pytest.mark.E25
@pytest.mark.E26
def test_the_Gaussian_world():
    data = Gaussian([0.0, 0.0], np.diag([2.0, 1.0]))
    # lambda 2: 1.62 / 1.81; lambda 1: 0.81
    assert close(ideal.optimal_loss(data, S)[1], (1.62 / 1.81 + 0.81) / 2)
    # beta_2 v_1 / v_2: 0.36 * 1.81 / 1.5184 along the first axis
    assert close(np.sort(reverse.reverse_variance(data, S, 2)), [0.36, 0.6516 / 1.5184])


def test_a_wrong_function_and_a_wrong_docstring_that_agree_are_caught_here(monkeypatch):
    def psi_2_simplified(beta_t, one_minus_alpha_bar_t, one_minus_alpha_bar_prev):
        """psi_2, wrongly (E10).

        psi_2 = (1 - alpha_bar_t) / (beta_t (1 - alpha_bar_{t-1})^2)
        """
        return one_minus_alpha_bar_t / (beta_t * one_minus_alpha_bar_prev**2)

    right = posterior.psi_2.__doc__ or ""
    monkeypatch.setattr(posterior, "psi_2_simplified", psi_2_simplified)
    agreeing = right.replace("(1 - alpha_bar_{t-1}))", "(1 - alpha_bar_{t-1})^2)")
    monkeypatch.setattr(posterior.psi_2, "__doc__", agreeing)
    forget()
    proofs = [prove(i) for i in theorems("posterior.psi_2")]
    assert agreeing != right and proofs and all(proof.proved for proof in proofs)
    with pytest.raises(AssertionError):
        test_the_step_back()
