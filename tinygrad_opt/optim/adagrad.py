"""Adagrad."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import kernels
from ..autograd.graph import wrap_plain
from ..dtypes import get_default_dtype
from .checks import check_at_least_zero, check_flags
from .flat import Run
from .optimizer import Optimizer

__all__ = ["Adagrad"]


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
