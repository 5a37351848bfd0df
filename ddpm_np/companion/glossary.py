"""Symbols, terms and captions of the page, in English and in Chinese."""

from __future__ import annotations

__all__ = ["CAPTIONS", "SYMBOLS", "TERMS"]

SYMBOLS = (
    ("x_0", "x_0", "the clean signal", "原始信号"),
    ("x_t", "x_t", "the signal after t noising steps", "加噪 t 步之后的信号"),
    ("T", "schedule.T", "the number of steps; t runs from 1 to T, and 0 is the clean signal",
     "总步数；t 从 1 到 T，0 表示原始信号"),
    ("beta_t", "beta[t]", "noise variance added by step t", "第 t 步加入的噪声方差"),
    ("alpha_t", "alpha[t]", "$1 - beta_t$", "$1 - beta_t$"),
    ("alpha_bar_t", "alpha_bar[t]", "product of the alphas up to t",
     "$alpha_1$ 至 $alpha_t$ 的乘积"),
    ("beta_tilde_t", "beta_tilde[t]", "variance of the step back when $x_0$ is known",
     "已知 $x_0$ 时反向一步的方差"),
    ("psi_1", "psi_1", "linear coefficient of the exponent", "指数中的一次项系数"),
    ("psi_2", "psi_2", "quadratic coefficient of the exponent", "指数中的二次项系数"),
    ("eps", "eps", "the noise in $x_t$", "$x_t$ 中所含的噪声"),
    ("eps_hat", "eps_hat", "its prediction", "对它的预测"),
    ("x0_hat", "x0_hat", "the estimate of $x_0$ that follows from $eps_hat$",
     "由预测噪声得到的 $x_0$ 的估计"),
    ("z", "z", "fresh noise of a reverse step", "反向一步新加入的噪声"),
    ("Sigma_t", "Sigma", "covariance of $x_t$", "$x_t$ 的协方差矩阵"),
    ("eta", "eta", "share of randomness in a DDIM step", "DDIM 一步中随机性的比例"),
    ("theta", "network.params", "weights of the network", "网络的参数"),
)

TERMS = (
    ("diffusion model", "扩散模型"), ("forward process", "前向过程（扩散过程）"),
    ("reverse process", "反向过程（逆扩散过程）"), ("noise schedule", "噪声序列"),
    ("Markov chain", "马尔可夫链"), ("transition kernel", "转移核"),
    ("Gaussian distribution", "高斯分布（正态分布）"), ("covariance matrix", "协方差矩阵"),
    ("precision", "精度（方差的倒数）"), ("posterior", "后验分布"), ("prior", "先验分布"),
    ("Bayes' rule", "贝叶斯公式"), ("completing the square", "配方"),
    ("denoiser", "去噪器"), ("score", "得分函数"), ("loss function", "损失函数"),
    ("gradient", "梯度"), ("back-propagation", "反向传播"), ("Bayes floor", "贝叶斯下界"),
    ("ancestral sampling", "祖先采样"), ("probability flow", "概率流"),
    ("variational bound", "变分下界"), ("KL divergence", "KL 散度（相对熵）"),
    ("maximum likelihood", "极大似然"), ("law of total probability", "全概率公式"),
    ("effective rank", "有效秩"), ("identity (proved)", "恒等式（已证明）"),
    ("unit in the last place (ulp)", "末位单位（ulp）"), ("counterexample", "反例"),
)

CAPTIONS = {
    "averaging": "n 次观测的平均：1/n 能去掉什么，哪两样去不掉。",
    "covariance": "一条信号、噪声与打乱后的信号各自的核矩阵；以及秩确实很低的信号总体。",
    "reshape": "给噪声以指定的协方差，以及信号是否因此更可能被采到。",
    "forward": "协方差一步步被替换：特征值趋于 1，KL 散度单调下降，熵则可增可减。",
    "posterior": "用实际数值配方；以及真实的反向核，它是一个混合分布。",
    "variance": "方差取 β̃、β 还是最优值：采样器输出的精确分布。",
    "noise-target": "网络学到的是什么：给定 x_t 时噪声的条件均值及损失的下界，而不是扩散的终点。",
    "likelihood": "极大似然即最小 KL 散度；用四种方法计算积分 P(x)，并与扩散模型的变分下界对照。",
    "moon": "满月与半月之间：最优去噪器、高斯拟合与训练出的网络各给出什么。",
    "multiply": "密度乘以一次测量：去噪与补全，精确后验与引导采样对照。",
    "memory": "一条、几条、许多条信号：采样器是记住数据，还是产生新的信号。",
}
"""What the demos' pictures show, in Chinese; in English it is their own description."""
