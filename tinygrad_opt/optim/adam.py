"""Adam and AdamW."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import kernels
from ..core.tensor import Tensor
from . import cautious as caution
from .flat import Run
from .optimizer import Optimizer
from .settings import check_at_least_zero, check_betas, check_flags

__all__ = ["ADOPT", "AdaBelief", "Adam", "AdamW", "Adamax", "Adan", "NAdam", "RAdam", "SparseAdam"]


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
        return sign, coupled, decay, lr, 1.0 - beta1, beta2, 1.0 - beta2, group["eps"], c1, c2


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


# Adamax -------------------------------------------------------------------------------------------


class Adamax(Optimizer):
    """Adamax: Adam that divides by the largest recent gradient, not by a root of averaged squares.

    g = grad + weight_decay * p  (-grad if maximize);  m = beta1 * m + (1 - beta1) * g
    u = max(beta2 * u, |g| + eps);  p = p - lr / (1 - beta1^t) * m / u

    lr: step size >= 0, a number or a one-element Tensor.  betas: each in [0, 1).
    eps, weight_decay: >= 0.
    foreach, capturable: accepted and without effect: there is one implementation, and it is fused.
    cautious: keep of a step what goes the way of the gradient (`optim.cautious`).
    state: `step`, `exp_avg` (m), `exp_inf` (u).  Raises ValueError for settings out of range.
    Source: Kingma & Ba 2015, arXiv:1412.6980, Alg. 2; differs: eps, as in PyTorch.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Adamax([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.9000], requires_grad=True)
    """

    rule = kernels.adamax
    state_names = {"m": "exp_avg", "u": "exp_inf"}  # noqa: RUF012

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
        cautious: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, foreach=foreach,
            maximize=maximize, differentiable=differentiable, capturable=capturable,
            **caution.option(cautious),
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_at_least_zero("Adamax", "epsilon value", s["eps"])
        check_betas("Adamax", s["betas"])
        check_at_least_zero("Adamax", "weight_decay value", s["weight_decay"])
        check_flags("Adamax", s["foreach"], None, s["differentiable"])

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        sign = -1.0 if group["maximize"] else 1.0
        c1 = 1.0 / (1.0 - beta1**t)
        lr, wd = float(group["lr"]), group["weight_decay"]
        return sign, wd, lr, 1.0 - beta1, beta2, group["eps"], c1


# NAdam --------------------------------------------------------------------------------------------


class NAdam(Optimizer):
    """NAdam: Adam with Nesterov's momentum, which grows from beta1 / 2 towards beta1.

    g, m and v as in Adam;  mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2)
    p = p - lr * (c_t * g + d_t * m) / (sqrt(v / (1 - beta2^t)) + eps)
    c_t = (1 - mu_t) / (1 - mu_1...mu_t);  d_t = mu_t+1 / (1 - mu_1...mu_t+1)

    lr: step size >= 0, a number or a one-element Tensor.  betas: each in [0, 1).
    eps, momentum_decay: >= 0.  weight_decay: >= 0; added to the gradient, or with
    decoupled_weight_decay taken from p as AdamW does.
    foreach, capturable: accepted and without effect: there is one implementation, and it is fused.
    cautious: keep of a step what goes the way of the gradient (`optim.cautious`).
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

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        cautious: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize, foreach=foreach,
            capturable=capturable, differentiable=differentiable, **caution.option(cautious),
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_at_least_zero("NAdam", "epsilon value", s["eps"])
        check_betas("NAdam", s["betas"])
        check_at_least_zero("NAdam", "weight_decay value", s["weight_decay"])
        check_at_least_zero("NAdam", "momentum_decay value", s["momentum_decay"])
        check_flags("NAdam", s["foreach"], None, s["differentiable"])

    def coefficients(
        self, group: dict[str, Any], t: int, mu_product: Any = 1.0
    ) -> tuple[float, ...]:
        lr, wd = float(group["lr"]), group["weight_decay"]
        beta1, beta2 = group["betas"]
        coupled, decay = (0.0, 1.0 - lr * wd) if group["decoupled_weight_decay"] else (wd, 1.0)
        sign = -1.0 if group["maximize"] else 1.0
        mu, mu_next = _momentum(group, t), _momentum(group, t + 1)
        product = float(mu_product * mu)  # rounded to the type of the state, as in PyTorch
        cg = lr * (1.0 - mu) / (1.0 - product)
        cm = lr * mu_next / (1.0 - product * mu_next)
        c2 = 1.0 / math.sqrt(1.0 - beta2**t)
        return sign, coupled, decay, 1.0 - beta1, beta2, 1.0 - beta2, group["eps"], c2, cg, cm

    def next_scalars(self, group: dict[str, Any], t: int, **scalars: Any) -> dict[str, Any]:
        return {"mu_product": scalars["mu_product"] * _momentum(group, t)}


def _momentum(group: dict[str, Any], t: int) -> float:
    return float(group["betas"][0] * (1.0 - 0.5 * 0.96 ** (t * group["momentum_decay"])))


# RAdam --------------------------------------------------------------------------------------------


class RAdam(Optimizer):
    """RAdam: Adam that waits until its averaged square can be trusted, and then warms up by itself.

    g, m and v as in Adam;  rho = 2 / (1 - beta2) - 1;  rho_t = rho - 2 t beta2^t / (1 - beta2^t)
    while rho_t <= 5:  p = p - lr * m / (1 - beta1^t)
    then:  p = p - lr * r * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps)
    r = sqrt((rho_t - 4) (rho_t - 2) rho / ((rho - 4) (rho - 2) rho_t))

    lr: step size >= 0, a number or a one-element Tensor.  betas: each in [0, 1).  eps: >= 0.
    weight_decay: >= 0; added to the gradient, or with decoupled_weight_decay taken from p as
    AdamW does.
    foreach, capturable: accepted and without effect: there is one implementation, and it is fused.
    cautious: keep of a step what goes the way of the gradient (`optim.cautious`).
    state: `step`, `exp_avg` (m), `exp_avg_sq` (v).  Raises ValueError for settings out of range.
    Source: Liu et al. 2020, arXiv:1908.03265, Alg. 2; differs: the bound 5 and eps, as PyTorch.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = RAdam([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.8000], requires_grad=True)
    """

    rule = kernels.adam  # once the variance can be trusted; before that radam_start
    state_names = {"m": "exp_avg", "v": "exp_avg_sq"}  # noqa: RUF012

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        cautious: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize,
            foreach=foreach, capturable=capturable, decoupled_weight_decay=decoupled_weight_decay,
            differentiable=differentiable, **caution.option(cautious),
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_at_least_zero("RAdam", "epsilon value", s["eps"])
        check_betas("RAdam", s["betas"])
        check_at_least_zero("RAdam", "weight_decay value", s["weight_decay"])
        check_flags("RAdam", s["foreach"], None, s["differentiable"])

    def update(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run, t: int) -> None:
        trusted = _rho(group["betas"][1], t) > 5.0
        super().update(group, rule if trusted else kernels.radam_start, run, t)

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        lr, wd = float(group["lr"]), group["weight_decay"]
        beta1, beta2 = group["betas"]
        coupled, decay = (0.0, 1.0 - lr * wd) if group["decoupled_weight_decay"] else (wd, 1.0)
        sign = -1.0 if group["maximize"] else 1.0
        averages, c1 = (1.0 - beta1, beta2, 1.0 - beta2), 1.0 / (1.0 - beta1**t)
        rho, rho_t = 2.0 / (1.0 - beta2) - 1.0, _rho(beta2, t)
        if rho_t <= 5.0:
            return sign, coupled, decay, lr, *averages, c1
        r = (rho_t - 4.0) * (rho_t - 2.0) * rho / ((rho - 4.0) * (rho - 2.0) * rho_t)
        lr *= math.sqrt(r * (1.0 - beta2**t))
        return sign, coupled, decay, lr, *averages, group["eps"], c1, 1.0


def _rho(beta2: float, t: int) -> float:
    """How many gradients, in effect, the variance is made of at step t."""
    return 2.0 / (1.0 - beta2) - 1.0 - 2.0 * t * beta2**t / (1.0 - beta2**t)


# AdaBelief ----------------------------------------------------------------------------------------


class AdaBelief(Optimizer):
    """AdaBelief: Adam that steps far where gradients are as expected, and little where they differ.

    g = grad + weight_decay * p  (-grad if maximize);  m = beta1 * m + (1 - beta1) * g
    s = beta2 * s + (1 - beta2) * (g - m)^2 + eps
    p = p - lr * (m / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + eps)

    lr: step size >= 0, a number or a one-element Tensor.  betas: each in [0, 1).  eps: >= 0.
    weight_decay: >= 0; taken from p as AdamW does, or with decoupled_weight_decay=False added to
    the gradient.
    cautious: keep of a step what goes the way of the gradient (`optim.cautious`).
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

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = True,
        *,
        maximize: bool = False,
        cautious: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
            **caution.option(cautious),
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_at_least_zero("AdaBelief", "epsilon value", s["eps"])
        check_betas("AdaBelief", s["betas"])
        check_at_least_zero("AdaBelief", "weight_decay value", s["weight_decay"])

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        lr, wd = float(group["lr"]), group["weight_decay"]
        beta1, beta2 = group["betas"]
        coupled, decay = (0.0, 1.0 - lr * wd) if group["decoupled_weight_decay"] else (wd, 1.0)
        sign = -1.0 if group["maximize"] else 1.0
        c1, c2 = 1.0 / (1.0 - beta1**t), 1.0 / math.sqrt(1.0 - beta2**t)
        return sign, coupled, decay, lr, 1.0 - beta1, beta2, 1.0 - beta2, group["eps"], c1, c2


# ADOPT --------------------------------------------------------------------------------------------


def _fourth_root(step: int) -> float:
    """step^(1/4): how far, in ADOPT's step 1, 2, ..., a scaled gradient may reach."""
    return float(step**0.25)


class ADOPT(Optimizer):
    """ADOPT: Adam that scales each gradient by the past ones alone, so that any beta2 converges.

    g = grad + weight_decay * p  (-grad if maximize);  the first step only sets v = g^2; then
    n = g / max(sqrt(v), eps), clipped to [-c, c];  m = beta1 * m + (1 - beta1) * n
    p = p - lr * m;  v = beta2 * v + (1 - beta2) * g^2

    lr: step size >= 0, a number or a one-element Tensor.  betas: each in [0, 1).  eps: >= 0.
    clip_lambda: function from the step (1 for the first that moves p) to c; None: no clipping;
    "fourth_root": c = step^(1/4). A function of one's own is no part of state dicts.
    weight_decay: >= 0; added to the gradient, or with `decouple` taken from p as AdamW does.
    cautious: keep of a step what goes the way of the gradient (`optim.cautious`).
    state: `step`, `exp_avg` (m), `exp_avg_sq` (v).  Raises ValueError for settings out of range.
    Source: Taniguchi et al. 2024, arXiv:2411.02853v3, Alg. 2, the revision that clips; decay as in
    the authors' code.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = ADOPT([w], lr=0.1)
    >>> for _ in range(2): optimizer.zero_grad(); (w * w).sum().backward(); optimizer.step(); w
    tensor([1.], requires_grad=True)
    tensor([0.9900], requires_grad=True)
    """

    rule = kernels.adopt
    state_names = {"m": "exp_avg", "v": "exp_avg_sq"}  # noqa: RUF012

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.9999),
        eps: float = 1e-6,
        clip_lambda: Callable[[int], float] | str | None = "fourth_root",
        weight_decay: float = 0.0,
        decouple: bool = False,
        *,
        maximize: bool = False,
        cautious: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, clip_lambda=clip_lambda,
            decouple=decouple, maximize=maximize, **caution.option(cautious),
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_at_least_zero("ADOPT", "epsilon value", s["eps"])
        check_betas("ADOPT", s["betas"])
        check_at_least_zero("ADOPT", "weight_decay value", s["weight_decay"])
        _clip(s["clip_lambda"])

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        lr, wd = float(group["lr"]), group["weight_decay"]
        sign = -1.0 if group["maximize"] else 1.0
        coupled, decay = (0.0, 1.0 - lr * wd) if group["decouple"] else (wd, 1.0)
        if t == 1:  # v becomes g^2, and nothing else happens
            return sign, coupled, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0
        beta1, beta2 = group["betas"]
        clip = _clip(group["clip_lambda"])(t - 1)
        return sign, coupled, decay, lr, 1.0 - beta1, beta2, 1.0 - beta2, group["eps"], clip


_CLIPS = {"fourth_root": _fourth_root, None: lambda step: math.inf}


def _clip(clip_lambda: Any) -> Callable[[int], float]:
    """The function from the step to c."""
    function = clip_lambda if callable(clip_lambda) else _CLIPS.get(clip_lambda)
    if function is None:
        raise ValueError(
            f"ADOPT: Invalid clip_lambda value: {clip_lambda!r} (must be a function of the step, "
            "'fourth_root' or None)"
        )
    return function


# Adam for row-sparse gradients --------------------------------------------------------------------


class SparseAdam(Optimizer):
    """Adam on the rows that the gradient names; other rows and their averages stand still.

    m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2  (-g if maximize)
    p = p - lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps)
    t counts the steps of the parameter, not of the row. Repeated rows of a gradient are added up.

    lr: step size > 0, a number or a one-element Tensor.  betas: each in [0, 1).  eps: > 0.
    state: `step`, in state dicts a Python int; `exp_avg` (m), `exp_avg_sq` (v), both dense.
    Raises ValueError for settings out of range and for parameters that are sparse themselves,
    RuntimeError for a dense gradient.
    Source: PyTorch's SparseAdam, after Kingma & Ba 2015, arXiv:1412.6980, the end of section 2
    ("efficiency can be improved ..."); eps is not divided by sqrt(1 - beta2^t).

    >>> from tinygrad_opt import sparse_coo_tensor
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = SparseAdam([w], lr=0.1)
    >>> w.grad = sparse_coo_tensor([[1, 1]], [3.0, 4.0], (2,))
    >>> optimizer.step(); w
    tensor([1.0000, 1.9000], requires_grad=True)
    """

    rule = kernels.adam
    state_names = {"m": "exp_avg", "v": "exp_avg_sq"}  # noqa: RUF012

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, maximize=maximize))

    def check_settings(self, s: dict[str, Any]) -> None:
        if not float(s["lr"]) > 0:
            raise ValueError(f"SparseAdam: Invalid learning rate: {s['lr']} (must be positive)")
        if not s["eps"] > 0:
            raise ValueError(f"SparseAdam: Invalid epsilon value: {s['eps']} (must be positive)")
        check_betas("SparseAdam", s["betas"])

    def takes_rows(self, group: dict[str, Any]) -> bool:
        return True

    def runs(self) -> Any:
        for i, group in enumerate(self.param_groups):
            for j, p in enumerate(group["params"]):
                if p._grad is not None and not p._grad.is_sparse:
                    raise RuntimeError(
                        "SparseAdam does not support dense gradients, please consider Adam "
                        f"instead: param_groups[{i}]['params'][{j}] has one"
                    )
        return super().runs()

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        sign = -1.0 if group["maximize"] else 1.0
        c1 = math.sqrt(1.0 - beta2**t) / (1.0 - beta1**t)
        averages = 1.0 - beta1, beta2, 1.0 - beta2
        return sign, 0.0, 1.0, float(group["lr"]), *averages, group["eps"], c1, 1.0

    def state_dict(self) -> dict[str, Any]:
        """As of all optimizers; with the step count as a Python int, as PyTorch has it here."""
        saved = super().state_dict()
        for entry in saved["state"].values():
            if "step" in entry:
                entry["step"] = int(entry["step"])
        return saved


# Adan ---------------------------------------------------------------------------------------------


class Adan(Optimizer):
    """Adan: Adam with Nesterov's look ahead, estimated from how the gradient changes.

    g = grad  (-grad if maximize);  c = g - last g, 0 in the first step;  n = g + beta2 * c
    m = beta1 * m + (1 - beta1) * g;  d = beta2 * d + (1 - beta2) * c
    v = beta3 * v + (1 - beta3) * n^2;  each divided by 1 - beta^t:  M, D, V
    p = (p - lr * (M + beta2 * D) / (sqrt(V) + eps)) / (1 + lr * weight_decay)

    lr: step size >= 0, a number or a one-element Tensor.  betas: each in [0, 1); the paper's are
    1 - these.  eps, weight_decay: >= 0.
    cautious: keep of a step what goes the way of the gradient (`optim.cautious`).
    state: `step`, `exp_avg` (m), `exp_avg_diff` (d), `exp_avg_sq` (v), `pre_grad` (last g).
    Raises ValueError for settings out of range.
    Source: Xie et al. 2022, arXiv:2208.06677v4, Alg. 1; differs: the averages' start at 0 is
    corrected, as in the authors' code, and there is no restart.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Adan([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.9000], requires_grad=True)
    """

    rule = kernels.adan
    state_names = {  # noqa: RUF012
        "m": "exp_avg", "d": "exp_avg_diff", "v": "exp_avg_sq", "b": "pre_grad",
    }  # fmt: skip

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        cautious: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize,
            **caution.option(cautious),
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_betas("Adan", s["betas"])
        check_at_least_zero("Adan", "epsilon value", s["eps"])
        check_at_least_zero("Adan", "weight_decay value", s["weight_decay"])

    def begin(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run) -> None:
        gradient, last = run.arrays[1], run.arrays[5]
        last[...] = -gradient if group["maximize"] else gradient

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        lr, (beta1, beta2, beta3) = float(group["lr"]), group["betas"]
        sign = -1.0 if group["maximize"] else 1.0
        decay = 1.0 / (1.0 + lr * group["weight_decay"])
        cm, cd = lr / (1.0 - beta1**t), lr * beta2 / (1.0 - beta2**t)
        c3 = 1.0 / math.sqrt(1.0 - beta3**t)
        averages = 1.0 - beta1, beta2, 1.0 - beta2, beta3, 1.0 - beta3
        return sign, decay, *averages, group["eps"], cm, cd, c3
