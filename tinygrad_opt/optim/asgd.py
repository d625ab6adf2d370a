"""ASGD."""

from __future__ import annotations

from typing import Any

from .. import kernels
from . import cautious as caution
from .checks import check_at_least_zero, check_flags
from .flat import Run
from .optimizer import Optimizer

__all__ = ["ASGD"]


class ASGD(Optimizer):
    """Averaged stochastic gradient descent: SGD with a falling rate, and the average of its path.

    g = grad + weight_decay * p  (-grad if maximize);  p = (1 - lambd * eta) * p - eta * g
    ax = ax + mu * (p - ax);  then eta = lr / (1 + lambd * lr * t)^alpha,  mu = 1 / max(1, t - t0)
    The average is for you to read: `state[p]["ax"]`, the mean of the p's from step t0 + 2 on.

    lr: first rate >= 0, a number or a one-element Tensor.  lambd: decay of p and of the rate.
    alpha: power of the rate's fall.  t0: the step at which averaging starts.  weight_decay: >= 0.
    foreach, capturable: accepted and without effect: there is one implementation, and it is fused.
    state: `step`, `eta`, `mu` (as the next step uses them), `ax`.
    Raises ValueError for settings out of range.
    Source: Polyak & Juditsky 1992, SIAM J. Control Optim. 30(4); rate as Bottou 2012, "Stochastic
    gradient descent tricks", section 5; as PyTorch has it.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = ASGD([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.8000], requires_grad=True)
    """

    rule = kernels.asgd
    state_names = {"a": "ax"}  # noqa: RUF012
    scalar_states = {"eta": 0.0, "mu": 1.0}  # noqa: RUF012

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, foreach=foreach,
            maximize=maximize, differentiable=differentiable, capturable=capturable,
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_at_least_zero("ASGD", "weight_decay value", s["weight_decay"])
        check_flags("ASGD", s["foreach"], None, s["differentiable"])
        caution.refuse("ASGD", s)

    def begin(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run) -> None:
        run.scalars["eta"].fill(float(group["lr"]))

    def coefficients(
        self, group: dict[str, Any], t: int, eta: Any = 0.0, mu: Any = 1.0
    ) -> tuple[float, ...]:
        sign = -1.0 if group["maximize"] else 1.0
        decay = 1.0 - group["lambd"] * float(eta)
        return sign, group["weight_decay"], decay, float(eta), float(mu), 1.0 - float(mu)

    def next_scalars(self, group: dict[str, Any], t: int, **scalars: Any) -> dict[str, Any]:
        lr = float(group["lr"])
        eta = lr / (1.0 + group["lambd"] * lr * t) ** group["alpha"]
        return {"eta": eta, "mu": 1.0 / max(1, t - group["t0"])}
