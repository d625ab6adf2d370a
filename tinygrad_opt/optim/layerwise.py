"""LAMB and LARS: the length of a layer's step follows from that of its parameters."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Annotated, Any

import numpy as np

from .. import kernels
from ..arrays.quiet import quiet
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
    (for biases and norms: then it is Adam). A step is Adam's averages and u, all norms, then the
    step along u: a few launches, however many parameters there are.

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
        bounds = run.offsets
        sizes, lengths = reduce.norms(values, bounds), reduce.norms(direction, bounds)
        ratios = _trust_ratios(sizes, lengths, group["trust_clip"])
        kernels.step_along.launch_parts((values, direction), bounds, (1.0, lr * ratios))


@quiet
def _trust_ratios(sizes: Any, lengths: Any, limit: float | None) -> Any:
    """|p| / |u| of each parameter, or 1 where that says nothing."""
    ratios = np.where((sizes > 0) & (lengths > 0), sizes / lengths, 1.0)
    return ratios if limit is None else np.minimum(ratios, limit)


# LARS ---------------------------------------------------------------------------------------------


@declared
class LARS(Optimizer):
    """LARS: SGD with momentum whose rate follows, in each parameter Tensor, |p| / |g|.

    rate = lr * trust_coefficient * |p| / (|g| + weight_decay * |p| + eps)
    b = momentum * b + rate * (g + weight_decay * p);  p = p - b
    The rate is lr alone where |p| or |g| is 0, and everywhere in a group with adapt=False (for
    biases and norms). A step is all norms, then one launch with a rate for each parameter.

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
        bounds = run.offsets
        sizes, slopes = (reduce.norms(array, bounds) for array in run.arrays[:2])
        rates = lr * _rate_ratios(sizes, slopes, group)
        rule.launch_parts(run.arrays, bounds, self.usual(group, t, lr=rates))


@quiet
def _rate_ratios(sizes: Any, slopes: Any, group: dict[str, Any]) -> Any:
    """Equation 6 for each parameter, or 1 where that says nothing."""
    scales = slopes + group["weight_decay"] * sizes + group["eps"]
    return np.where((sizes > 0) & (slopes > 0), group["trust_coefficient"] * sizes / scales, 1.0)
