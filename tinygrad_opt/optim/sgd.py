"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from .. import kernels
from . import cautious as caution
from .flat import Run
from .optimizer import Optimizer
from .settings import check_at_least_zero, check_betas, check_flags

__all__ = ["ASGD", "SGD", "Lion", "Rprop"]


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


# ASGD ---------------------------------------------------------------------------------------------


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


# Lion ---------------------------------------------------------------------------------------------


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


# Rprop --------------------------------------------------------------------------------------------


class Rprop(Optimizer):
    """Rprop: each element has a step size of its own; of the gradient only the sign counts.

    s grows by etas[1] where the gradient kept its sign since the last step, and shrinks by etas[0]
    where it changed, within step_sizes;  p = p - s * sign(g)
    Where the sign changed, g counts as 0: no step now, and no comparison in the next step.
    Made for gradients of the whole data set: the noise of mini-batches changes signs by chance.

    lr: the first step size, >= 0, a number or a one-element Tensor.
    etas: (shrink, grow), 0 < shrink < 1 < grow.  step_sizes: (smallest, largest).
    foreach, capturable: accepted and without effect: there is one implementation, and it is fused.
    state: `step`, `prev` (the last gradient), `step_size` (s).
    Raises ValueError for settings out of range. A gradient near 0 may round to another sign in
    float32 than in float64, and from there on the two go different ways.
    Source: Riedmiller & Braun 1993, IEEE ICNN; no step back after a change of sign (iRprop-, Igel &
    Huesken 2000), as in PyTorch; differs: a NaN gradient makes p NaN, where PyTorch takes no step.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Rprop([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.9000], requires_grad=True)
    """

    rule = kernels.rprop
    state_names = {"b": "prev", "s": "step_size"}  # noqa: RUF012

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, etas=etas, step_sizes=step_sizes, foreach=foreach, maximize=maximize,
            differentiable=differentiable, capturable=capturable,
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        shrink, grow = s["etas"]
        if not 0.0 < shrink < 1.0 < grow:
            raise ValueError(
                f"Rprop: Invalid eta values: {shrink}, {grow} (must be below and above 1)"
            )
        check_flags("Rprop", s["foreach"], None, s["differentiable"])
        caution.refuse("Rprop", s)

    def begin(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run) -> None:
        step_size = run.arrays[3]
        step_size[...] = float(group["lr"])

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        return (-1.0 if group["maximize"] else 1.0, *group["etas"], *group["step_sizes"])
