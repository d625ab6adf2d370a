"""RMSprop."""

from __future__ import annotations

from typing import Any

from .. import kernels
from . import cautious as caution
from .checks import check_at_least_zero, check_flags
from .optimizer import Optimizer

__all__ = ["RMSprop"]

_RULES = {  # (centered, momentum)
    (False, False): kernels.rmsprop,
    (False, True): kernels.rmsprop_momentum,
    (True, False): kernels.rmsprop_centered,
    (True, True): kernels.rmsprop_centered_momentum,
}


class RMSprop(Optimizer):
    """RMSprop: divides the gradient by the root of its averaged square.

    g = grad + weight_decay * p  (-grad if maximize);  s = alpha * s + (1 - alpha) * g^2
    p = p - lr * g / (sqrt(s) + eps)
    centered: s - a^2 under the root, a the average of g.  momentum: b = momentum * b + the
    quotient;  p = p - lr * b.

    lr, alpha, eps, weight_decay, momentum: >= 0; lr a number or a one-element Tensor.
    foreach, capturable: accepted and without effect: there is one implementation, and it is fused.
    cautious: keep of a step what goes the way of the gradient (`optim.cautious`).
    state: `step`, `square_avg` (s), with momentum `momentum_buffer` (b), centered `grad_avg` (a).
    Raises ValueError for settings out of range.
    Source: Tieleman & Hinton 2012, lecture 6e; centered: Graves 2013, arXiv:1308.0850. As PyTorch,
    eps outside the root; differs: a variance that rounding made negative counts as zero.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = RMSprop([w], lr=0.01)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.9000], requires_grad=True)
    """

    state_names = {"s": "square_avg", "b": "momentum_buffer", "a": "grad_avg"}  # noqa: RUF012
    late_states = ("b", "a")

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        *,
        cautious: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, momentum=momentum, alpha=alpha, eps=eps, centered=centered,
            weight_decay=weight_decay, capturable=capturable, foreach=foreach, maximize=maximize,
            differentiable=differentiable, **caution.option(cautious),
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_at_least_zero("RMSprop", "epsilon value", s["eps"])
        check_at_least_zero("RMSprop", "momentum value", s["momentum"])
        check_at_least_zero("RMSprop", "weight_decay value", s["weight_decay"])
        check_at_least_zero("RMSprop", "alpha value", s["alpha"])
        check_flags("RMSprop", s["foreach"], None, s["differentiable"])

    def rule_for(self, group: dict[str, Any]) -> kernels.UpdateRule:
        return _RULES[bool(group["centered"]), group["momentum"] > 0]

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        sign = -1.0 if group["maximize"] else 1.0
        common = (
            sign, group["weight_decay"], float(group["lr"]), 1.0 - group["alpha"], group["eps"],
        )  # fmt: skip
        return (*common, group["momentum"]) if group["momentum"] > 0 else common
