"""RMSprop."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import kernels
from ..arrays.dtypes import get_default_dtype
from ..core.tensor import wrap_plain
from . import cautious as caution
from .flat import Run
from .optimizer import Optimizer
from .settings import check_at_least_zero, check_flags

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


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
            sign, group["weight_decay"], float(group["lr"]), group["alpha"], 1.0 - group["alpha"],
            group["eps"],
        )  # fmt: skip
        return (*common, group["momentum"]) if group["momentum"] > 0 else common


# Adagrad ------------------------------------------------------------------------------------------


class Adagrad(Optimizer):
    """Adagrad: divides the gradient by the root of the sum of all its squares so far.

    g = grad + weight_decay * p  (-grad if maximize);  s = s + g^2
    p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)

    lr: step size >= 0, a number or a one-element Tensor.  lr_decay, weight_decay, eps: >= 0.
    initial_accumulator_value: what s starts with, >= 0.
    foreach, fused: accepted and without effect: there is one implementation, and it is fused.
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

    rule = kernels.adagrad
    state_names = {"s": "sum"}  # noqa: RUF012

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value, foreach=foreach,
            maximize=maximize, differentiable=differentiable, fused=fused,
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_at_least_zero("Adagrad", "lr_decay value", s["lr_decay"])
        check_at_least_zero("Adagrad", "weight_decay value", s["weight_decay"])
        start = s["initial_accumulator_value"]
        check_at_least_zero("Adagrad", "initial_accumulator_value value", start)
        check_at_least_zero("Adagrad", "epsilon value", s["eps"])
        check_flags("Adagrad", s["foreach"], s["fused"], s["differentiable"])

    def takes_rows(self, group: dict[str, Any]) -> bool:
        if group["weight_decay"]:
            raise RuntimeError(
                "Adagrad: weight_decay option is not compatible with sparse gradients"
            )
        return True

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        sign = -1.0 if group["maximize"] else 1.0
        lr = float(group["lr"]) / (1.0 + (t - 1) * group["lr_decay"])
        return sign, group["weight_decay"], lr, group["eps"]

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        kind = np.float64 if get_default_dtype() == np.float64 else np.float32
        for p in self.param_groups[-1]["params"]:
            total = p.array.copy()
            total[...] = self.defaults["initial_accumulator_value"]
            self.state[p].update(step=wrap_plain(np.zeros((), kind)), sum=wrap_plain(total))

    def begin(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run) -> None:
        """Where the state was cleared, or the parameter exchanged."""
        run.arrays[2][...] = self.defaults["initial_accumulator_value"]


# Adadelta -----------------------------------------------------------------------------------------


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
