"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from .. import kernels
from . import cautious as caution
from .checks import check_at_least_zero, check_flags
from .optimizer import Optimizer

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's variant.

    g = grad + weight_decay * p  (-grad if maximize);  b = momentum * b + (1 - dampening) * g;
    p = p - lr * b, or with nesterov p = p - lr * (g + momentum * b). The first step has b = g.

    lr: step size >= 0, a number or a one-element Tensor.  momentum, weight_decay: >= 0.
    nesterov: needs momentum > 0 and dampening = 0.
    foreach, fused: accepted and without effect: there is one implementation, and it is fused.
    cautious: keep of a step what goes the way of the gradient (`optim.cautious`).
    Row-sparse gradients: without momentum and weight_decay only their rows are read and written;
    else they are made dense.
    state: `momentum_buffer`, if momentum is not 0.
    Raises ValueError for settings out of range.
    Source: PyTorch's SGD; Nesterov as in Sutskever et al. 2013, ICML, section 2.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = SGD([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.8000], requires_grad=True)
    """

    state_names = {"b": "momentum_buffer"}  # noqa: RUF012
    counts_steps = False

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        cautious: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
            nesterov=nesterov, maximize=maximize, foreach=foreach, differentiable=differentiable,
            fused=fused, **caution.option(cautious),
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_at_least_zero("SGD", "momentum value", s["momentum"])
        check_at_least_zero("SGD", "weight_decay value", s["weight_decay"])
        if s["nesterov"] and (s["momentum"] <= 0 or s["dampening"] != 0):
            raise ValueError(
                "SGD: Nesterov momentum requires a momentum and zero dampening, got "
                f"momentum={s['momentum']}, dampening={s['dampening']}"
            )
        check_flags("SGD", s["foreach"], s["fused"], s["differentiable"])

    def rule_for(self, group: dict[str, Any]) -> kernels.UpdateRule:
        if group["momentum"] == 0:
            return kernels.sgd
        return kernels.sgd_nesterov if group["nesterov"] else kernels.sgd_momentum

    def takes_rows(self, group: dict[str, Any]) -> bool:
        return not (group["momentum"] or group["weight_decay"] or group.get("cautious"))

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        sign = -1.0 if group["maximize"] else 1.0
        common = sign, group["weight_decay"], float(group["lr"])
        mu = group["momentum"]
        if mu == 0:
            return common
        if group["nesterov"]:
            return *common, mu
        return *common, mu, 1.0 if t == 1 else 1.0 - group["dampening"]
