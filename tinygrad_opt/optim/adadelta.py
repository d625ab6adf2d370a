"""Adadelta."""

from __future__ import annotations

from typing import Any

from .. import kernels
from .checks import check_at_least_zero, check_flags
from .optimizer import Optimizer

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Adadelta: steps as long, on average, as the steps before, whatever the gradient's scale.

    g = grad + weight_decay * p  (-grad if maximize);  s = rho * s + (1 - rho) * g^2
    x = sqrt(d + eps) / sqrt(s + eps) * g;  d = rho * d + (1 - rho) * x^2;  p = p - lr * x

    lr: factor of the step, >= 0, a number or a one-element Tensor.  rho: in [0, 1].
    eps, weight_decay: >= 0.
    foreach, capturable: accepted and without effect: there is one implementation, and it is fused.
    state: `step`, `square_avg` (s), `acc_delta` (d).  Raises ValueError for settings out of range.
    Source: Zeiler 2012, arXiv:1212.5701, Alg. 1; differs: lr, which is 1 in the paper.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Adadelta([w], eps=1e-2)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.6877], requires_grad=True)
    """

    rule = kernels.adadelta
    state_names = {"s": "square_avg", "d": "acc_delta"}  # noqa: RUF012

    def __init__(
        self,
        params: Any,
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize,
            capturable=capturable, foreach=foreach, differentiable=differentiable,
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        if not 0.0 <= s["rho"] <= 1.0:
            raise ValueError(f"Adadelta: Invalid rho value: {s['rho']} (must be in [0, 1])")
        check_at_least_zero("Adadelta", "epsilon value", s["eps"])
        check_at_least_zero("Adadelta", "weight_decay value", s["weight_decay"])
        check_flags("Adadelta", s["foreach"], None, s["differentiable"])

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        sign = -1.0 if group["maximize"] else 1.0
        lr, wd = float(group["lr"]), group["weight_decay"]
        return sign, wd, lr, group["rho"], 1.0 - group["rho"], group["eps"]
