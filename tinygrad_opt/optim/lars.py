"""LARS."""

from __future__ import annotations

from typing import Any

from .. import kernels
from .checks import check_at_least_zero
from .flat import Run
from .optimizer import Optimizer

__all__ = ["LARS"]


class LARS(Optimizer):
    """LARS: SGD with momentum whose rate follows, in each parameter Tensor, |p| / |g|.

    rate = lr * trust_coefficient * |p| / (|g| + weight_decay * |p| + eps)
    b = momentum * b + rate * (g + weight_decay * p);  p = p - b
    The rate is lr alone where |p| or |g| is 0, and everywhere in a group with adapt=False (for
    biases and norms). A step needs both norms first, so each parameter is a launch of its own.

    lr: >= 0, a schedule's value included.  momentum, weight_decay, trust_coefficient, eps: >= 0.
    maximize: climb instead.  state: `momentum_buffer` (b), which holds steps, not gradients.
    Raises ValueError for settings out of range.
    Source: You, Gitman & Ginsburg 2017, arXiv:1708.03888v3, Alg. 1 and eq. 6; eps is later code's.

    >>> w = tensor([3.0, 4.0], requires_grad=True)
    >>> optimizer = LARS([w], lr=100.0)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([2.7000, 3.6000], requires_grad=True)
    """

    rule = kernels.lars
    state_names = {"b": "momentum_buffer"}  # noqa: RUF012
    counts_steps = False

    def __init__(
        self,
        params: Any,
        lr: Any = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0,
        trust_coefficient: float = 1e-3,
        eps: float = 0,
        *,
        adapt: bool = True,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, momentum=momentum, weight_decay=weight_decay,
            trust_coefficient=trust_coefficient, eps=eps, adapt=adapt, maximize=maximize,
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_at_least_zero("LARS", "momentum value", s["momentum"])
        check_at_least_zero("LARS", "weight_decay value", s["weight_decay"])
        check_at_least_zero("LARS", "trust_coefficient value", s["trust_coefficient"])
        check_at_least_zero("LARS", "epsilon value", s["eps"])

    def update(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run, t: int) -> None:
        sign = -1.0 if group["maximize"] else 1.0
        for _, (p, g, b) in run.parts():
            rate = float(group["lr"]) * (_trust_ratio(p, g, group) if group["adapt"] else 1.0)
            rule.launch((p, g, b), (sign, group["weight_decay"], rate, group["momentum"]))


def _trust_ratio(p: Any, g: Any, group: dict[str, Any]) -> float:
    """Equation 6, or 1 where that says nothing."""
    size, slope = kernels.norm(p), kernels.norm(g)
    if not (size > 0 and slope > 0):
        return 1.0
    scale = slope + group["weight_decay"] * size + group["eps"]
    return float(group["trust_coefficient"] * size / scale)
