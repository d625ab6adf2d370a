"""LAMB."""

from __future__ import annotations

import math
from typing import Any

from .. import kernels
from .flat import Run
from .optimizer import Optimizer
from .settings import check_at_least_zero, check_betas

__all__ = ["LAMB", "LARS"]


class LAMB(Optimizer):
    """LAMB: Adam whose step has, in each parameter Tensor, a length in proportion to |p|.

    u = Adam's direction + weight_decay * p;  p = p - lr * |p| / |u| * u
    The ratio |p| / |u| is 1 where one of the norms is 0, and everywhere in a group with adapt=False
    (for biases and norms: then it is Adam). A step needs both norms: Adam's averages and u are one
    launch, the norms follow for each parameter, then the step along u.

    lr: step size >= 0, relative to |p|.  betas: each in [0, 1).  eps, weight_decay: >= 0.
    bias_correction: as Adam's; False is the first revisions of the paper.
    trust_clip: the largest ratio |p| / |u|; None for no limit.  maximize: climb instead.
    state: `step`, `exp_avg` (m), `exp_avg_sq` (v).  Raises ValueError for settings out of range.
    Source: You et al. 2019, arXiv:1904.00962v5, Alg. 2, with phi(z) = z as in its experiments;
    trust_clip as in NVIDIA's and timm's code.

    >>> w = tensor([3.0, 4.0], requires_grad=True)
    >>> optimizer = LAMB([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([2.6464, 3.6464], requires_grad=True)
    """

    rule = kernels.adam_direction
    state_names = {"m": "exp_avg", "v": "exp_avg_sq"}  # noqa: RUF012

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        bias_correction: bool = True,
        adapt: bool = True,
        trust_clip: float | None = None,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay,
            bias_correction=bias_correction, adapt=adapt, trust_clip=trust_clip, maximize=maximize,
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_at_least_zero("LAMB", "epsilon value", s["eps"])
        check_betas("LAMB", s["betas"])
        check_at_least_zero("LAMB", "weight_decay value", s["weight_decay"])
        if s["trust_clip"] is not None:
            check_at_least_zero("LAMB", "trust_clip value", s["trust_clip"])

    def coefficients(self, group: dict[str, Any], t: int, **scalars: Any) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        sign = -1.0 if group["maximize"] else 1.0
        c1, c2 = 1.0 / (1.0 - beta1**t), 1.0 / math.sqrt(1.0 - beta2**t)
        if not group["bias_correction"]:
            c1 = c2 = 1.0
        return sign, group["weight_decay"], 1.0 - beta1, beta2, 1.0 - beta2, group["eps"], c1, c2

    def update(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run, t: int) -> None:
        values, *rest = run.arrays
        direction = values.copy()  # the rule reads p here, and leaves u
        rule.launch((direction, *rest), self.coefficients_of(group, run, t))
        lr = float(group["lr"])
        for _, (p, *_, u) in run.parts(direction):
            ratio = _trust_ratio(p, u, group["trust_clip"]) if group["adapt"] else 1.0
            kernels.step_along.launch((p, u), (1.0, lr * ratio))


def _trust_ratio(p: Any, u: Any, limit: float | None) -> float:
    """|p| / |u|, or 1 where that says nothing."""
    size, length = kernels.norm(p), kernels.norm(u)
    ratio = size / length if size > 0 and length > 0 else 1.0
    return ratio if limit is None else min(ratio, limit)


# LARS ---------------------------------------------------------------------------------------------


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
            rate = float(group["lr"]) * (_rate_ratio(p, g, group) if group["adapt"] else 1.0)
            rule.launch((p, g, b), (sign, group["weight_decay"], rate, group["momentum"]))


def _rate_ratio(p: Any, g: Any, group: dict[str, Any]) -> float:
    """Equation 6, or 1 where that says nothing."""
    size, slope = kernels.norm(p), kernels.norm(g)
    if not (size > 0 and slope > 0):
        return 1.0
    scale = slope + group["weight_decay"] * size + group["eps"]
    return float(group["trust_coefficient"] * size / scale)
