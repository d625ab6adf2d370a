"""Lion."""

from __future__ import annotations

from typing import Any

from .. import kernels
from . import cautious as caution
from .checks import check_at_least_zero, check_betas
from .optimizer import Optimizer

__all__ = ["Lion"]


class Lion(Optimizer):
    """Lion: steps of one size, along the sign of an average of gradients.

    g = grad  (-grad if maximize);  p = p - lr * (sign(beta1 * m + (1 - beta1) * g) + wd * p)
    m = beta2 * m + (1 - beta2) * g

    lr: step size >= 0, a number or a one-element Tensor; the paper takes 3 to 10 times less than
    for AdamW, and as many times more weight_decay (wd, >= 0).  betas: each in [0, 1).
    cautious: keep of a step what goes the way of the gradient (`optim.cautious`).
    state: `exp_avg` (m).  Raises ValueError for settings out of range. A sum near 0 may round to
    another sign in float32 than in float64, which is a step in the other direction.
    Source: Chen et al. 2023, arXiv:2302.06675v4, Alg. 2; differs: none.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Lion([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.9000], requires_grad=True)
    """

    rule = kernels.lion
    state_names = {"m": "exp_avg"}  # noqa: RUF012
    counts_steps = False

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        cautious: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize,
            **caution.option(cautious),
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_betas("Lion", s["betas"])
        check_at_least_zero("Lion", "weight_decay value", s["weight_decay"])

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        lr, (beta1, beta2) = float(group["lr"]), group["betas"]
        sign = -1.0 if group["maximize"] else 1.0
        return sign, 1.0 - lr * group["weight_decay"], lr, 1.0 - beta1, 1.0 - beta2
