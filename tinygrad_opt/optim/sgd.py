"""SGD, and what is like it but for one thing: signs (Lion, Rprop), an averaged path (ASGD)."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Annotated, Any

from .. import kernels
from . import cautious as caution
from .flat import Run
from .optimizer import Optimizer
from .settings import (
    Betas,
    Capturable,
    Cautious,
    Differentiable,
    Foreach,
    Fused,
    LearningRate,
    Maximize,
    Momentum,
    Params,
    StateDtype,
    WeightDecay,
    declared,
)

__all__ = ["ASGD", "SGD", "Lion", "Rprop"]


@declared
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's variant.

    g = grad + weight_decay * p  (-grad if maximize);  b = momentum * b + (1 - dampening) * g;
    p = p - lr * b, or with nesterov p = p - lr * (g + momentum * b). The first step has b = g.

    {settings}
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

    params: Params
    lr: LearningRate = 1e-3
    momentum: Momentum = 0
    dampening: Annotated[float, "the gradient counts 1 - dampening times"] = 0
    weight_decay: WeightDecay = 0
    nesterov: Annotated[bool, "look ahead; needs momentum > 0 and dampening = 0"] = False
    _: KW_ONLY
    maximize: Maximize = False
    foreach: Foreach = None
    differentiable: Differentiable = False
    fused: Fused = None
    cautious: Cautious = False
    state_dtype: StateDtype = None

    def check_settings(self, s: dict[str, Any]) -> None:
        super().check_settings(s)
        if s["nesterov"] and (s["momentum"] <= 0 or s["dampening"] != 0):
            raise ValueError(
                "SGD: Nesterov momentum requires a momentum and zero dampening, got "
                f"momentum={s['momentum']}, dampening={s['dampening']}"
            )

    def rule_for(self, group: dict[str, Any]) -> kernels.UpdateRule:
        if group["momentum"] == 0:
            return kernels.sgd
        return kernels.sgd_nesterov if group["nesterov"] else kernels.sgd_momentum

    def takes_rows(self, group: dict[str, Any]) -> bool:
        return not (group["momentum"] or group["weight_decay"] or group.get("cautious"))


# ASGD ---------------------------------------------------------------------------------------------


@declared
class ASGD(Optimizer):
    """Averaged stochastic gradient descent: SGD with a falling rate, and the average of its path.

    g = grad + weight_decay * p  (-grad if maximize);  p = (1 - lambd * eta) * p - eta * g
    ax = ax + mu * (p - ax);  then eta = lr / (1 + lambd * lr * t)^alpha,  mu = 1 / max(1, t - t0)
    The average is for you to read: `state[p]["ax"]`, the mean of the p's from step t0 + 2 on.

    {settings}
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

    params: Params
    lr: LearningRate = 1e-2
    lambd: Annotated[float, "decay of p and of the rate"] = 1e-4
    alpha: Annotated[float, "power of the rate's fall"] = 0.75
    t0: Annotated[float, "the step at which averaging starts"] = 1e6
    weight_decay: WeightDecay = 0
    foreach: Foreach = None
    maximize: Maximize = False
    differentiable: Differentiable = False
    capturable: Capturable = False

    def check_settings(self, s: dict[str, Any]) -> None:
        super().check_settings(s)
        caution.refuse("ASGD", s)

    def coefficients(
        self, group: dict[str, Any], t: int, eta: Any = 0.0, mu: Any = 1.0
    ) -> tuple[float, ...]:
        lr, mu = float(eta), float(mu)
        decay = 1.0 - group["lambd"] * lr
        return self.usual(group, t, decay=decay, lr=lr, mu=mu, omm=1.0 - mu)

    def begin(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run) -> None:
        run.scalars["eta"].fill(float(group["lr"]))

    def next_scalars(self, group: dict[str, Any], t: int, **scalars: Any) -> dict[str, Any]:
        lr = float(group["lr"])
        eta = lr / (1.0 + group["lambd"] * lr * t) ** group["alpha"]
        return {"eta": eta, "mu": 1.0 / max(1, t - group["t0"])}


# Lion ---------------------------------------------------------------------------------------------


@declared
class Lion(Optimizer):
    """Lion: steps of one size, along the sign of an average of gradients.

    g = grad  (-grad if maximize);  p = p - lr * (sign(beta1 * m + (1 - beta1) * g) + wd * p)
    m = beta2 * m + (1 - beta2) * g

    {settings}
    The paper takes 3 to 10 times less lr than for AdamW, and as many times more weight_decay (wd).
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

    params: Params
    lr: LearningRate = 1e-4
    betas: Betas = (0.9, 0.99)
    weight_decay: WeightDecay = 0.0
    _: KW_ONLY
    maximize: Maximize = False
    cautious: Cautious = False
    state_dtype: StateDtype = None


# Rprop --------------------------------------------------------------------------------------------


@declared
class Rprop(Optimizer):
    """Rprop: each element has a step size of its own; of the gradient only the sign counts.

    s grows by etas[1] where the gradient kept its sign since the last step, and shrinks by etas[0]
    where it changed, within step_sizes;  p = p - s * sign(g)
    Where the sign changed, g counts as 0: no step now, and no comparison in the next step.
    Made for gradients of the whole data set: the noise of mini-batches changes signs by chance.

    {settings}
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

    params: Params
    lr: Annotated[LearningRate, "(the first)"] = 1e-2
    etas: Annotated[tuple[float, float], "(shrink, grow), 0 < shrink < 1 < grow"] = (0.5, 1.2)
    step_sizes: Annotated[tuple[float, float], "(smallest, largest)"] = (1e-6, 50)
    _: KW_ONLY
    capturable: Capturable = False
    foreach: Foreach = None
    maximize: Maximize = False
    differentiable: Differentiable = False

    def check_settings(self, s: dict[str, Any]) -> None:
        super().check_settings(s)
        shrink, grow = s["etas"]
        if not 0.0 < shrink < 1.0 < grow:
            raise ValueError(
                f"Rprop: Invalid eta values: {shrink}, {grow} (must be below and above 1)"
            )
        caution.refuse("Rprop", s)

    def begin(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run) -> None:
        step_size = run.arrays[3]
        step_size[...] = float(group["lr"])
