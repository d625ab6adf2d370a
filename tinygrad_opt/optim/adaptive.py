"""RMSprop, Adagrad and Adadelta: each step divided by a root of what gradients were."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Annotated, Any

import numpy as np

from .. import kernels
from ..arrays.dtypes import get_default_dtype
from ..core.tensor import wrap_plain
from .flat import Run
from .optimizer import Optimizer
from .settings import (
    Capturable,
    Cautious,
    Differentiable,
    Epsilon,
    Foreach,
    Fused,
    LearningRate,
    Maximize,
    Momentum,
    NotNegative,
    Params,
    StateDtype,
    WeightDecay,
    declared,
)

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


_RULES = {  # (centered, momentum)
    (False, False): kernels.rmsprop,
    (False, True): kernels.rmsprop_momentum,
    (True, False): kernels.rmsprop_centered,
    (True, True): kernels.rmsprop_centered_momentum,
}


@declared
class RMSprop(Optimizer):
    """RMSprop: divides the gradient by the root of its averaged square.

    g = grad + weight_decay * p  (-grad if maximize);  s = alpha * s + (1 - alpha) * g^2
    p = p - lr * g / (sqrt(s) + eps)
    centered: s - a^2 under the root, a the average of g.  momentum: b = momentum * b + the
    quotient;  p = p - lr * b.

    {settings}
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

    params: Params
    lr: LearningRate = 1e-2
    alpha: Annotated[NotNegative, "how slowly the averages move"] = 0.99
    eps: Epsilon = 1e-8
    weight_decay: WeightDecay = 0
    momentum: Momentum = 0
    centered: Annotated[bool, "divide by the root of the variance"] = False
    capturable: Capturable = False
    foreach: Foreach = None
    maximize: Maximize = False
    differentiable: Differentiable = False
    _: KW_ONLY
    cautious: Cautious = False
    state_dtype: StateDtype = None

    def rule_for(self, group: dict[str, Any]) -> kernels.UpdateRule:
        return _RULES[bool(group["centered"]), group["momentum"] > 0]


# Adagrad ------------------------------------------------------------------------------------------


@declared
class Adagrad(Optimizer):
    """Adagrad: divides the gradient by the root of the sum of all its squares so far.

    g = grad + weight_decay * p  (-grad if maximize);  s = s + g^2
    p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)

    {settings}
    Row-sparse gradients: only their rows are read and written; not with weight_decay.
    state: `step`, `sum` (s), there from the beginning.
    Raises ValueError for settings out of range.
    Source: Duchi, Hazan & Singer 2011, JMLR 12:2121, section 1.1 (diagonal); differs: lr_decay and
    eps, as in PyTorch.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.9000], requires_grad=True)
    """

    own_coefficients = {"lr": "lr / (1.0 + (t - 1) * lr_decay)"}  # noqa: RUF012
    rule = kernels.adagrad
    state_names = {"s": "sum"}  # noqa: RUF012

    params: Params
    lr: LearningRate = 1e-2
    lr_decay: Annotated[NotNegative, "how fast the rate falls"] = 0
    weight_decay: WeightDecay = 0
    initial_accumulator_value: Annotated[NotNegative, "what s starts with"] = 0
    eps: Epsilon = 1e-10
    foreach: Foreach = None
    _: KW_ONLY
    maximize: Maximize = False
    differentiable: Differentiable = False
    fused: Fused = None
    state_dtype: StateDtype = None

    def takes_rows(self, group: dict[str, Any]) -> bool:
        if group["weight_decay"]:
            raise RuntimeError(
                "Adagrad: weight_decay option is not compatible with sparse gradients"
            )
        return True

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        kind = np.float64 if get_default_dtype() == np.float64 else np.float32
        for p in self.param_groups[-1]["params"]:
            total = p.array.copy()
            total[...] = self.defaults["initial_accumulator_value"]
            self.state[p].update(step=wrap_plain(np.zeros((), kind)), sum=wrap_plain(total))

    def begin(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run) -> None:
        """Where the state was cleared, or the parameter exchanged."""
        run.begin_with(2, self.defaults["initial_accumulator_value"])


# Adadelta -----------------------------------------------------------------------------------------


@declared
class Adadelta(Optimizer):
    """Adadelta: steps as long, on average, as the steps before, whatever the gradient's scale.

    g = grad + weight_decay * p  (-grad if maximize);  s = rho * s + (1 - rho) * g^2
    x = sqrt(d + eps) / sqrt(s + eps) * g;  d = rho * d + (1 - rho) * x^2;  p = p - lr * x

    {settings}
    state: `step`, `square_avg` (s), `acc_delta` (d).  Raises ValueError for settings out of range.
    Source: Zeiler 2012, arXiv:1212.5701, Alg. 1; differs: lr, which is 1 in the paper.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Adadelta([w], eps=1e-2)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.6877], requires_grad=True)
    """

    rule = kernels.adadelta
    state_names = {"s": "square_avg", "d": "acc_delta"}  # noqa: RUF012

    params: Params
    lr: LearningRate = 1.0
    rho: Annotated[float, "how slowly the averages move, in [0, 1]"] = 0.9
    eps: Epsilon = 1e-6
    weight_decay: WeightDecay = 0
    foreach: Foreach = None
    _: KW_ONLY
    capturable: Capturable = False
    maximize: Maximize = False
    differentiable: Differentiable = False
    state_dtype: StateDtype = None

    def check_settings(self, s: dict[str, Any]) -> None:
        super().check_settings(s)
        if not 0.0 <= s["rho"] <= 1.0:
            raise ValueError(f"Adadelta: Invalid rho value: {s['rho']} (must be in [0, 1])")
