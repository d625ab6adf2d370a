"""Adam and AdamW."""

from __future__ import annotations

import math
from typing import Any

from .. import kernels
from .._tensor import Tensor
from . import cautious as caution
from .checks import check_at_least_zero, check_betas, check_flags
from .optimizer import Optimizer

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Adam: steps along the averaged gradient, scaled by the root of its averaged square.

    g = grad + weight_decay * p  (-grad if maximize)
    m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2
    p = p - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    lr: step size >= 0, a number or a one-element Tensor.  betas: each in [0, 1).  eps: >= 0.
    weight_decay: >= 0; added to the gradient, or with decoupled_weight_decay taken from p as
    AdamW does.  amsgrad: divide by the largest v so far.
    foreach, capturable, fused: accepted and without effect: the one implementation is fused.
    cautious: keep of a step what goes the way of the gradient (`optim.cautious`).
    state: `step`, `exp_avg` (m), `exp_avg_sq` (v), with amsgrad `max_exp_avg_sq`.
    Raises ValueError for settings out of range.
    Source: Kingma & Ba 2015, arXiv:1412.6980, Alg. 1; differs: none but rounding. AMSGrad: Reddi et
    al. 2018, arXiv:1904.09237, with the maximum taken of the uncorrected v, as PyTorch does.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Adam([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.9000], requires_grad=True)
    """

    state_names = {"m": "exp_avg", "v": "exp_avg_sq", "w": "max_exp_avg_sq"}  # noqa: RUF012
    late_states = ("w",)

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
        cautious: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad,
            maximize=maximize, foreach=foreach, capturable=capturable,
            differentiable=differentiable, fused=fused,
            decoupled_weight_decay=decoupled_weight_decay, **caution.option(cautious),
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        name = type(self).__name__
        check_at_least_zero(name, "epsilon value", s["eps"])
        check_betas(name, s["betas"])
        check_at_least_zero(name, "weight_decay value", s["weight_decay"])
        check_flags(name, s["foreach"], s["fused"], s["differentiable"])
        if isinstance(s["lr"], Tensor) and s["foreach"] and not s["capturable"]:
            raise ValueError(
                f"{name}: lr as a Tensor is not supported for capturable=False and foreach=True"
            )

    def rule_for(self, group: dict[str, Any]) -> kernels.UpdateRule:
        return kernels.adam_amsgrad if group["amsgrad"] else kernels.adam

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        lr, wd = float(group["lr"]), group["weight_decay"]
        beta1, beta2 = group["betas"]
        coupled, decay = (0.0, 1.0 - lr * wd) if group["decoupled_weight_decay"] else (wd, 1.0)
        sign = -1.0 if group["maximize"] else 1.0
        c1, c2 = 1.0 / (1.0 - beta1**t), 1.0 / math.sqrt(1.0 - beta2**t)
        return sign, coupled, decay, lr, 1.0 - beta1, 1.0 - beta2, group["eps"], c1, c2


class AdamW(Adam):
    """Adam with decoupled weight decay: p shrinks by lr * weight_decay before Adam's step.

    p = (1 - lr * weight_decay) * p, then as Adam without weight decay. The decay is not divided by
    sqrt(v), so that parameters with large gradients decay as much as the others.

    Arguments, state and errors as Adam; weight_decay is 0.01 by default.
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101, Alg. 2, with eta_t folded into lr.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = AdamW([w], lr=0.1, weight_decay=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.8900], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        cautious: bool = False,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
            capturable=capturable, differentiable=differentiable, fused=fused,
            decoupled_weight_decay=True, cautious=cautious,
        )  # fmt: skip
