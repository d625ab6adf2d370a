"""Adan."""

from __future__ import annotations

import math
from typing import Any

from .. import kernels
from . import cautious as caution
from .checks import check_at_least_zero, check_betas
from .flat import Run
from .optimizer import Optimizer

__all__ = ["Adan"]


class Adan(Optimizer):
    """Adan: Adam with Nesterov's look ahead, estimated from how the gradient changes.

    g = grad  (-grad if maximize);  c = g - last g, 0 in the first step;  n = g + beta2 * c
    m = beta1 * m + (1 - beta1) * g;  d = beta2 * d + (1 - beta2) * c
    v = beta3 * v + (1 - beta3) * n^2;  each divided by 1 - beta^t:  M, D, V
    p = (p - lr * (M + beta2 * D) / (sqrt(V) + eps)) / (1 + lr * weight_decay)

    lr: step size >= 0, a number or a one-element Tensor.  betas: each in [0, 1); the paper's are
    1 - these.  eps, weight_decay: >= 0.
    cautious: keep of a step what goes the way of the gradient (`optim.cautious`).
    state: `step`, `exp_avg` (m), `exp_avg_diff` (d), `exp_avg_sq` (v), `pre_grad` (last g).
    Raises ValueError for settings out of range.
    Source: Xie et al. 2022, arXiv:2208.06677v4, Alg. 1; differs: the averages' start at 0 is
    corrected, as in the authors' code, and there is no restart.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Adan([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.9000], requires_grad=True)
    """

    rule = kernels.adan
    state_names = {  # noqa: RUF012
        "m": "exp_avg", "d": "exp_avg_diff", "v": "exp_avg_sq", "b": "pre_grad",
    }  # fmt: skip

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        cautious: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize,
            **caution.option(cautious),
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_betas("Adan", s["betas"])
        check_at_least_zero("Adan", "epsilon value", s["eps"])
        check_at_least_zero("Adan", "weight_decay value", s["weight_decay"])

    def begin(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run) -> None:
        gradient, last = run.arrays[1], run.arrays[5]
        last[...] = -gradient if group["maximize"] else gradient

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        lr, (beta1, beta2, beta3) = float(group["lr"]), group["betas"]
        sign = -1.0 if group["maximize"] else 1.0
        decay = 1.0 / (1.0 + lr * group["weight_decay"])
        cm, cd = lr / (1.0 - beta1**t), lr * beta2 / (1.0 - beta2**t)
        c3 = 1.0 / math.sqrt(1.0 - beta3**t)
        averages = 1.0 - beta1, beta2, 1.0 - beta2, beta3, 1.0 - beta3
        return sign, decay, *averages, group["eps"], cm, cd, c3
