"""RAdam."""

from __future__ import annotations

import math
from typing import Any

from .. import kernels
from . import cautious as caution
from .checks import check_at_least_zero, check_betas, check_flags
from .flat import Run
from .optimizer import Optimizer

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """RAdam: Adam that waits until its averaged square can be trusted, and then warms up by itself.

    g, m and v as in Adam;  rho = 2 / (1 - beta2) - 1;  rho_t = rho - 2 t beta2^t / (1 - beta2^t)
    while rho_t <= 5:  p = p - lr * m / (1 - beta1^t)
    then:  p = p - lr * r * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps)
    r = sqrt((rho_t - 4) (rho_t - 2) rho / ((rho - 4) (rho - 2) rho_t))

    lr: step size >= 0, a number or a one-element Tensor.  betas: each in [0, 1).  eps: >= 0.
    weight_decay: >= 0; added to the gradient, or with decoupled_weight_decay taken from p as
    AdamW does.
    foreach, capturable: accepted and without effect: there is one implementation, and it is fused.
    cautious: keep of a step what goes the way of the gradient (`optim.cautious`).
    state: `step`, `exp_avg` (m), `exp_avg_sq` (v).  Raises ValueError for settings out of range.
    Source: Liu et al. 2020, arXiv:1908.03265, Alg. 2; differs: the bound 5 and eps, as PyTorch.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = RAdam([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.8000], requires_grad=True)
    """

    rule = kernels.adam  # once the variance can be trusted; before that radam_start
    state_names = {"m": "exp_avg", "v": "exp_avg_sq"}  # noqa: RUF012

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        cautious: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize,
            foreach=foreach, capturable=capturable, decoupled_weight_decay=decoupled_weight_decay,
            differentiable=differentiable, **caution.option(cautious),
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_at_least_zero("RAdam", "epsilon value", s["eps"])
        check_betas("RAdam", s["betas"])
        check_at_least_zero("RAdam", "weight_decay value", s["weight_decay"])
        check_flags("RAdam", s["foreach"], None, s["differentiable"])

    def update(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run, t: int) -> None:
        trusted = _rho(group["betas"][1], t) > 5.0
        super().update(group, rule if trusted else kernels.radam_start, run, t)

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        lr, wd = float(group["lr"]), group["weight_decay"]
        beta1, beta2 = group["betas"]
        coupled, decay = (0.0, 1.0 - lr * wd) if group["decoupled_weight_decay"] else (wd, 1.0)
        sign = -1.0 if group["maximize"] else 1.0
        averages, c1 = (1.0 - beta1, beta2, 1.0 - beta2), 1.0 / (1.0 - beta1**t)
        rho, rho_t = 2.0 / (1.0 - beta2) - 1.0, _rho(beta2, t)
        if rho_t <= 5.0:
            return sign, coupled, decay, lr, *averages, c1
        r = (rho_t - 4.0) * (rho_t - 2.0) * rho / ((rho - 4.0) * (rho - 2.0) * rho_t)
        lr *= math.sqrt(r * (1.0 - beta2**t))
        return sign, coupled, decay, lr, *averages, group["eps"], c1, 1.0


def _rho(beta2: float, t: int) -> float:
    """How many gradients, in effect, the variance is made of at step t."""
    return 2.0 / (1.0 - beta2) - 1.0 - 2.0 * t * beta2**t / (1.0 - beta2**t)
