"""AdaBelief."""

from __future__ import annotations

import math
from typing import Any

from .. import kernels
from . import cautious as caution
from .checks import check_at_least_zero, check_betas
from .optimizer import Optimizer

__all__ = ["AdaBelief"]


class AdaBelief(Optimizer):
    """AdaBelief: Adam that steps far where gradients are as expected, and little where they differ.

    g = grad + weight_decay * p  (-grad if maximize);  m = beta1 * m + (1 - beta1) * g
    s = beta2 * s + (1 - beta2) * (g - m)^2 + eps
    p = p - lr * (m / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + eps)

    lr: step size >= 0, a number or a one-element Tensor.  betas: each in [0, 1).  eps: >= 0.
    weight_decay: >= 0; taken from p as AdamW does, or with decoupled_weight_decay=False added to
    the gradient.
    cautious: keep of a step what goes the way of the gradient (`optim.cautious`).
    state: `step`, `exp_avg` (m), `exp_avg_var` (s).  Raises ValueError for settings out of range.
    Source: Zhuang et al. 2020, arXiv:2010.07468v5, Alg. 2; differs: none. The authors' code can
    rectify besides, as RAdam does; this does not.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = AdaBelief([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.8889], requires_grad=True)
    """

    rule = kernels.adabelief
    state_names = {"m": "exp_avg", "s": "exp_avg_var"}  # noqa: RUF012

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = True,
        *,
        maximize: bool = False,
        cautious: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
            **caution.option(cautious),
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_at_least_zero("AdaBelief", "epsilon value", s["eps"])
        check_betas("AdaBelief", s["betas"])
        check_at_least_zero("AdaBelief", "weight_decay value", s["weight_decay"])

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        lr, wd = float(group["lr"]), group["weight_decay"]
        beta1, beta2 = group["betas"]
        coupled, decay = (0.0, 1.0 - lr * wd) if group["decoupled_weight_decay"] else (wd, 1.0)
        sign = -1.0 if group["maximize"] else 1.0
        c1, c2 = 1.0 / (1.0 - beta1**t), 1.0 / math.sqrt(1.0 - beta2**t)
        return sign, coupled, decay, lr, 1.0 - beta1, beta2, 1.0 - beta2, group["eps"], c1, c2
