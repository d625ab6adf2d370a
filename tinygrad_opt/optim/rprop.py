"""Rprop."""

from __future__ import annotations

from typing import Any

from .. import kernels
from . import cautious as caution
from .checks import check_flags
from .flat import Run
from .optimizer import Optimizer

__all__ = ["Rprop"]


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
