"""Adamax."""

from __future__ import annotations

from typing import Any

from .. import kernels
from . import cautious as caution
from .checks import check_at_least_zero, check_betas, check_flags
from .optimizer import Optimizer

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Adamax: Adam that divides by the largest recent gradient, not by a root of averaged squares.

    g = grad + weight_decay * p  (-grad if maximize);  m = beta1 * m + (1 - beta1) * g
    u = max(beta2 * u, |g| + eps);  p = p - lr / (1 - beta1^t) * m / u

    lr: step size >= 0, a number or a one-element Tensor.  betas: each in [0, 1).
    eps, weight_decay: >= 0.
    foreach, capturable: accepted and without effect: there is one implementation, and it is fused.
    cautious: keep of a step what goes the way of the gradient (`optim.cautious`).
    state: `step`, `exp_avg` (m), `exp_inf` (u).  Raises ValueError for settings out of range.
    Source: Kingma & Ba 2015, arXiv:1412.6980, Alg. 2; differs: eps, as in PyTorch.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Adamax([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.9000], requires_grad=True)
    """

    rule = kernels.adamax
    state_names = {"m": "exp_avg", "u": "exp_inf"}  # noqa: RUF012

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
        cautious: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, foreach=foreach,
            maximize=maximize, differentiable=differentiable, capturable=capturable,
            **caution.option(cautious),
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_at_least_zero("Adamax", "epsilon value", s["eps"])
        check_betas("Adamax", s["betas"])
        check_at_least_zero("Adamax", "weight_decay value", s["weight_decay"])
        check_flags("Adamax", s["foreach"], None, s["differentiable"])

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        sign = -1.0 if group["maximize"] else 1.0
        c1 = 1.0 / (1.0 - beta1**t)
        lr, wd = float(group["lr"]), group["weight_decay"]
        return sign, wd, lr, 1.0 - beta1, beta2, group["eps"], c1
