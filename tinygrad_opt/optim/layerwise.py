"""LAMB."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Annotated, Any

from .. import kernels
from ..kernels.fused import reduce
from .flat import Run
from .optimizer import Optimizer
from .settings import (
    Betas,
    Epsilon,
    LearningRate,
    Maximize,
    Momentum,
    NotNegative,
    Params,
    WeightDecay,
    at_least_zero,
    declared,
)

__all__ = ["LAMB", "LARS"]


@declared
class LAMB(Optimizer):
    """LAMB: Adam whose step has, in each parameter Tensor, a length in proportion to |p|.

    u = Adam's direction + weight_decay * p;  p = p - lr * |p| / |u| * u
    The ratio |p| / |u| is 1 where one of the norms is 0, and everywhere in a group with adapt=False
    (for biases and norms: then it is Adam). A step needs both norms: Adam's averages and u are one
    launch, the norms follow for each parameter, then the step along u.

    {settings}
    state: `step`, `exp_avg` (m), `exp_avg_sq` (v).  Raises ValueError for settings out of range.
    Source: You et al. 2019, arXiv:1904.00962v5, Alg. 2, with phi(z) = z as in its experiments;
    trust_clip as in NVIDIA's and timm's code.

    >>> w = tensor([3.0, 4.0], requires_grad=True)
    >>> optimizer = LAMB([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([2.6464, 3.6464], requires_grad=True)
    """

    own_coefficients = {  # noqa: RUF012
        "c1": "1.0 / (1.0 - beta1**t) if bias_correction else 1.0",
        "c2": "1.0 / sqrt(1.0 - beta2**t) if bias_correction else 1.0",
    }
    rule = kernels.adam_direction
    state_names = {"m": "exp_avg", "v": "exp_avg_sq"}  # noqa: RUF012

    params: Params
    lr: Annotated[LearningRate, "relative to |p|"] = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-6
    weight_decay: WeightDecay = 0
    _: KW_ONLY
    bias_correction: Annotated[bool, "as Adam's; False is the first revisions of the paper"] = True
    adapt: Annotated[bool, "False: the ratio is 1"] = True
    trust_clip: Annotated[float | None, "the largest ratio |p| / |u|; None for no limit"] = None
    maximize: Maximize = False

    def check_settings(self, s: dict[str, Any]) -> None:
        super().check_settings(s)
        if s["trust_clip"] is not None:
            at_least_zero("LAMB", "trust_clip", s["trust_clip"])

    def update(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run, t: int) -> None:
        values, *rest = run.arrays
        direction = values.copy()  # the rule reads p here, and leaves u
        rule.launch((direction, *rest), self.coefficients_of(group, run, t))
        lr = float(group["lr"])
        if not group["adapt"]:
            kernels.step_along.launch((values, direction), (1.0, lr))
            return
        bounds, limit = run.bounds(), group["trust_clip"]
        norms = zip(reduce.norms(values, bounds), reduce.norms(direction, bounds), strict=True)
        for (_, (p, *_, u)), (size, length) in zip(run.parts(direction), norms, strict=True):
            kernels.step_along.launch((p, u), (1.0, lr * _trust_ratio(size, length, limit)))


def _trust_ratio(size: float, length: float, limit: float | None) -> float:
    """|p| / |u|, or 1 where that says nothing."""
    ratio = size / length if size > 0 and length > 0 else 1.0
    return ratio if limit is None else min(ratio, limit)


# LARS ---------------------------------------------------------------------------------------------


@declared
class LARS(Optimizer):
    """LARS: SGD with momentum whose rate follows, in each parameter Tensor, |p| / |g|.

    rate = lr * trust_coefficient * |p| / (|g| + weight_decay * |p| + eps)
    b = momentum * b + rate * (g + weight_decay * p);  p = p - b
    The rate is lr alone where |p| or |g| is 0, and everywhere in a group with adapt=False (for
    biases and norms). A step needs both norms first, so each parameter is a launch of its own.

    {settings}
    state: `momentum_buffer` (b), which holds steps, not gradients.
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

    params: Params
    lr: LearningRate = 1.0
    momentum: Momentum = 0.9
    weight_decay: WeightDecay = 0
    trust_coefficient: Annotated[NotNegative, "factor of the rate"] = 1e-3
    eps: Epsilon = 0
    _: KW_ONLY
    adapt: Annotated[bool, "False: the rate is lr"] = True
    maximize: Maximize = False

    def update(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run, t: int) -> None:
        lr = float(group["lr"])
        if not group["adapt"]:
            rule.launch(run.arrays, self.usual(group, t, lr=lr))
            return
        norms = (reduce.norms(array, run.bounds()) for array in run.arrays[:2])
        for (_, arrays), size, slope in zip(run.parts(), *norms, strict=True):
            rate = lr * _rate_ratio(size, slope, group)
            rule.launch(arrays, self.usual(group, t, lr=rate))


def _rate_ratio(size: float, slope: float, group: dict[str, Any]) -> float:
    """Equation 6, or 1 where that says nothing."""
    if not (size > 0 and slope > 0):
        return 1.0
    scale = slope + group["weight_decay"] * size + group["eps"]
    return float(group["trust_coefficient"] * size / scale)
