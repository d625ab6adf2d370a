"""NAdam."""

from __future__ import annotations

import math
from typing import Any

from .. import kernels
from . import cautious as caution
from .checks import check_at_least_zero, check_betas, check_flags
from .optimizer import Optimizer

__all__ = ["NAdam"]


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
