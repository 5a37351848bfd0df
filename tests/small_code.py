"""A small diffusion code of the usual make: what the checks are tried on, whole and with bugs.

Its tables are formed with care, in float64 and rounded once, so that every equation holds to a few
ulp. ``betas`` may be NumPy's or PyTorch's, float32 or float64; ``first_step`` 0 or 1.
"""

import numpy as np


class SmallCode:
    first_step = 0

    def __init__(self, betas):
        self.betas = betas
        beta = np.asarray(betas, dtype=np.float64)
        alpha = 1 - beta
        alpha_bar = np.exp(np.cumsum(np.log1p(-beta)))
        noise = -np.expm1(np.cumsum(np.log1p(-beta)))
        before, noise_before = np.append(1.0, alpha_bar[:-1]), np.append(0.0, noise[:-1])
        variance = beta * noise_before / noise
        tables = {
            "beta": beta,
            "alpha": alpha,
            "alpha_bar": alpha_bar,
            "noise": noise,
            "alpha_bar_before": before,
            "noise_before": noise_before,
            "variance": variance,
        }
        for name, table in tables.items():
            setattr(self, name, self.own(table))

    def own(self, table):
        """The table in the kind of array and dtype of betas."""
        if isinstance(self.betas, np.ndarray):
            return table.astype(self.betas.dtype)
        import torch

        return torch.from_numpy(table).to(self.betas.dtype)

    def at(self, t):
        if not self.first_step <= t < len(self.beta) + self.first_step:
            raise IndexError(f"no step {t}")
        return t - self.first_step

    @classmethod
    def from_betas(cls, betas):
        return cls(betas)

    def q_sample(self, x_0, t, noise):
        i = self.at(t)
        return self.alpha_bar[i] ** 0.5 * x_0 + self.noise[i] ** 0.5 * noise

    def q_posterior_mean_variance(self, x_0, x_t, t):
        i = self.at(t)
        from_x_0 = self.beta[i] * self.alpha_bar_before[i] ** 0.5 / self.noise[i]
        from_x_t = self.alpha[i] ** 0.5 * self.noise_before[i] / self.noise[i]
        return from_x_0 * x_0 + from_x_t * x_t, self.variance[i]

    def predict_x0(self, x_t, t, eps):
        i = self.at(t)
        return (x_t - self.noise[i] ** 0.5 * eps) / self.alpha_bar[i] ** 0.5

    def reverse_step(self, x_t, t, eps, z):
        i = self.at(t)
        mean = (x_t - self.beta[i] / self.noise[i] ** 0.5 * eps) / self.alpha[i] ** 0.5
        if t == self.first_step:
            return mean
        return mean + self.variance[i] ** 0.5 * z

    def ddim_step(self, x_t, t, s, eps, z, eta):
        i = self.at(t)
        clean = s == self.first_step - 1
        bar_s = 1.0 + 0 * self.alpha_bar[i] if clean else self.alpha_bar[self.at(s)]
        noise_s = 0 * self.noise[i] if clean else self.noise[self.at(s)]
        beta_ts = self.noise[i] - self.alpha_bar[i] / bar_s * noise_s
        sigma2 = eta**2 * beta_ts * noise_s / self.noise[i]
        direction = (noise_s - sigma2) ** 0.5
        x_0 = self.predict_x0(x_t, t, eps)
        return bar_s**0.5 * x_0 + direction * eps + sigma2**0.5 * z

    def loss(self, eps_hat, eps):
        return ((eps_hat - eps) ** 2).mean()


class OneBased(SmallCode):
    first_step = 1
