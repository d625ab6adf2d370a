"""Adam and those that differ from it in one thing; `adam_relatives.py` has the further ones."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, field
from typing import Annotated, Any

from .. import kernels
from ..core.tensor import Tensor
from .flat import Run
from .optimizer import Optimizer
from .settings import (
    Betas,
    Capturable,
    Cautious,
    Decoupled,
    Differentiable,
    Epsilon,
    Foreach,
    Fused,
    LearningRate,
    Maximize,
    NotNegative,
    Params,
    StateDtype,
    WeightDecay,
    declared,
)

__all__ = ["AdaBelief", "Adam", "AdamW", "Adamax", "NAdam", "RAdam"]


@declared
class Adam(Optimizer):
    """Adam: steps along the averaged gradient, scaled by the root of its averaged square.

    g = grad + weight_decay * p  (-grad if maximize)
    m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2
    p = p - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    {settings}
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

    params: Params
    lr: LearningRate = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8
    weight_decay: WeightDecay = 0
    amsgrad: Annotated[bool, "divide by the largest v so far"] = False
    _: KW_ONLY
    foreach: Foreach = None
    maximize: Maximize = False
    capturable: Capturable = False
    differentiable: Differentiable = False
    fused: Fused = None
    decoupled_weight_decay: Decoupled = False
    cautious: Cautious = False
    state_dtype: StateDtype = None

    def check_settings(self, s: dict[str, Any]) -> None:
        super().check_settings(s)
        if isinstance(s["lr"], Tensor) and s["foreach"] and not s["capturable"]:
            raise ValueError(
                f"{type(self).__name__}: lr as a Tensor is not supported for capturable=False and "
                "foreach=True"
            )

    def rule_for(self, group: dict[str, Any]) -> kernels.UpdateRule:
        return kernels.adam_amsgrad if group["amsgrad"] else kernels.adam


@declared
class AdamW(Adam):
    """Adam with decoupled weight decay: p shrinks by lr * weight_decay before Adam's step.

    p = (1 - lr * weight_decay) * p, then as Adam without weight decay. The decay is not divided by
    sqrt(v), so that parameters with large gradients decay as much as the others.

    {settings}
    state and errors as Adam.
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101, Alg. 2, with eta_t folded into lr.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = AdamW([w], lr=0.1, weight_decay=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.8900], requires_grad=True)
    """

    weight_decay: WeightDecay = 1e-2
    decoupled_weight_decay: Decoupled = field(default=True, init=False)


# Adamax -------------------------------------------------------------------------------------------


@declared
class Adamax(Optimizer):
    """Adamax: Adam that divides by the largest recent gradient, not by a root of averaged squares.

    g = grad + weight_decay * p  (-grad if maximize);  m = beta1 * m + (1 - beta1) * g
    u = max(beta2 * u, |g| + eps);  p = p - lr / (1 - beta1^t) * m / u

    {settings}
    state: `step`, `exp_avg` (m), `exp_inf` (u).  Raises ValueError for settings out of range.
    Source: Kingma & Ba 2015, arXiv:1412.6980, Alg. 2; differs: eps, as in PyTorch.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Adamax([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.9000], requires_grad=True)
    """

    rule = kernels.adamax
    state_names = {"m": "exp_avg", "u": "exp_inf"}  # noqa: RUF012

    params: Params
    lr: LearningRate = 2e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8
    weight_decay: WeightDecay = 0
    foreach: Foreach = None
    _: KW_ONLY
    maximize: Maximize = False
    differentiable: Differentiable = False
    capturable: Capturable = False
    cautious: Cautious = False
    state_dtype: StateDtype = None


# NAdam --------------------------------------------------------------------------------------------


@declared
class NAdam(Optimizer):
    """NAdam: Adam with Nesterov's momentum, which grows from beta1 / 2 towards beta1.

    g, m and v as in Adam;  mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2)
    p = p - lr * (c_t * g + d_t * m) / (sqrt(v / (1 - beta2^t)) + eps)
    c_t = (1 - mu_t) / (1 - mu_1...mu_t);  d_t = mu_t+1 / (1 - mu_1...mu_t+1)

    {settings}
    state: `step`, `mu_product` (mu_1...mu_t), `exp_avg` (m), `exp_avg_sq` (v).
    Raises ValueError for settings out of range.
    Source: Dozat 2016, ICLR workshop, Alg. 2, as PyTorch has it.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = NAdam([w], lr=0.1, betas=(0.8, 0.9))
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.8905], requires_grad=True)
    """

    rule = kernels.nadam
    state_names = {"m": "exp_avg", "v": "exp_avg_sq"}  # noqa: RUF012
    scalar_states = {"mu_product": 1.0}  # noqa: RUF012

    params: Params
    lr: LearningRate = 2e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8
    weight_decay: WeightDecay = 0
    momentum_decay: Annotated[NotNegative, "how fast the momentum grows"] = 4e-3
    decoupled_weight_decay: Decoupled = False
    _: KW_ONLY
    foreach: Foreach = None
    maximize: Maximize = False
    capturable: Capturable = False
    differentiable: Differentiable = False
    cautious: Cautious = False
    state_dtype: StateDtype = None

    def coefficients(
        self, group: dict[str, Any], t: int, mu_product: Any = 1.0
    ) -> tuple[float, ...]:
        lr, mu, mu_next = float(group["lr"]), _momentum(group, t), _momentum(group, t + 1)
        product = float(mu_product * mu)  # rounded to the type of the state, as in PyTorch
        cg = lr * (1.0 - mu) / (1.0 - product)
        cm = lr * mu_next / (1.0 - product * mu_next)
        return self.usual(group, t, cg=cg, cm=cm)

    def next_scalars(self, group: dict[str, Any], t: int, **scalars: Any) -> dict[str, Any]:
        return {"mu_product": scalars["mu_product"] * _momentum(group, t)}


def _momentum(group: dict[str, Any], t: int) -> float:
    return float(group["betas"][0] * (1.0 - 0.5 * 0.96 ** (t * group["momentum_decay"])))


# RAdam --------------------------------------------------------------------------------------------


@declared
class RAdam(Optimizer):
    """RAdam: Adam that waits until its averaged square can be trusted, and then warms up by itself.

    g, m and v as in Adam;  rho = 2 / (1 - beta2) - 1;  rho_t = rho - 2 t beta2^t / (1 - beta2^t)
    while rho_t <= 5:  p = p - lr * m / (1 - beta1^t)
    then:  p = p - lr * r * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps)
    r = sqrt((rho_t - 4) (rho_t - 2) rho / ((rho - 4) (rho - 2) rho_t))

    {settings}
    state: `step`, `exp_avg` (m), `exp_avg_sq` (v).  Raises ValueError for settings out of range.
    Source: Liu et al. 2020, arXiv:1908.03265, Alg. 2; differs: the bound 5 and eps, as PyTorch.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = RAdam([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.8000], requires_grad=True)
    """

    rule = kernels.adam  # once the variance can be trusted; before that radam_start
    state_names = {"m": "exp_avg", "v": "exp_avg_sq"}  # noqa: RUF012

    params: Params
    lr: LearningRate = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8
    weight_decay: WeightDecay = 0
    decoupled_weight_decay: Decoupled = False
    _: KW_ONLY
    foreach: Foreach = None
    maximize: Maximize = False
    capturable: Capturable = False
    differentiable: Differentiable = False
    cautious: Cautious = False
    state_dtype: StateDtype = None

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        beta2 = group["betas"][1]
        rho, rho_t = 2.0 / (1.0 - beta2) - 1.0, _rho(beta2, t)
        if rho_t <= 5.0:
            return self.usual(group, t, kernels.radam_start)
        r = (rho_t - 4.0) * (rho_t - 2.0) * rho / ((rho - 4.0) * (rho - 2.0) * rho_t)
        lr = float(group["lr"]) * math.sqrt(r * (1.0 - beta2**t))
        return self.usual(group, t, lr=lr, c2=1.0)

    def update(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run, t: int) -> None:
        trusted = _rho(group["betas"][1], t) > 5.0
        super().update(group, rule if trusted else kernels.radam_start, run, t)


def _rho(beta2: float, t: int) -> float:
    """How many gradients, in effect, the variance is made of at step t."""
    return 2.0 / (1.0 - beta2) - 1.0 - 2.0 * t * beta2**t / (1.0 - beta2**t)


# AdaBelief ----------------------------------------------------------------------------------------


@declared
class AdaBelief(Optimizer):
    """AdaBelief: Adam that steps far where gradients are as expected, and little where they differ.

    g = grad + weight_decay * p  (-grad if maximize);  m = beta1 * m + (1 - beta1) * g
    s = beta2 * s + (1 - beta2) * (g - m)^2 + eps
    p = p - lr * (m / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + eps)

    {settings}
    state: `step`, `exp_avg` (m), `exp_avg_var` (s).  Raises ValueError for settings out of range.
    Source: Zhuang et al. 2020, arXiv:2010.07468v5, Alg. 2; differs: none. The authors' code can
    rectify besides, as RAdam does; this does not.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = AdaBelief([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.8889], requires_grad=True)
    """

    rule = kernels.adabelief
    state_names = {"m": "exp_avg", "s": "exp_avg_var"}  # noqa: RUF012

    params: Params
    lr: LearningRate = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-16
    weight_decay: WeightDecay = 0.0
    decoupled_weight_decay: Decoupled = True
    _: KW_ONLY
    maximize: Maximize = False
    cautious: Cautious = False
    state_dtype: StateDtype = None
