"""`cautious=True`: of a step, only what goes the way of the gradient.

The option of the element-wise optimizers, for any update rule. The rule runs as it is; then, for
each parameter, the elements whose step goes against the gradient are taken back, and the others
are stretched by size / count of those kept, at most a thousandfold. Decoupled weight decay stays
as it was. The gradient is the one that the rule sees, a coupled weight decay included.

It costs a copy of the parameters, and the time of another step: three passes over the vectors, one
of them a count in each parameter.

Source: Liang et al. 2024, arXiv:2411.16085v2, Algorithm 1, with the clamp of the authors' code,
mask / max(mean(mask), 0.001).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import kernels
from ..kernels.fused import reduce
from .flat import Run

_LEAST_SHARE = 1e-3


def option(cautious: bool) -> dict[str, bool]:
    """What the option adds to an optimizer's defaults: nothing, if it is off, as in PyTorch."""
    return {"cautious": True} if cautious else {}


def refuse(name: str, settings: dict[str, Any]) -> None:
    """Raises for optimizers whose step is more than a step along one direction."""
    if settings.get("cautious"):
        raise ValueError(
            f"{name}: cautious=True is not possible: its step has no direction to mask"
        )


def launch(rule: kernels.UpdateRule, run: Run, coefficients: tuple[float, ...], t: int) -> None:
    """`run.launch`, keeping of each parameter's step what goes the way of the gradient."""
    before = run.arrays[0].copy()
    run.launch(rule, coefficients, t)
    known = dict(zip(rule.coefficients, coefficients, strict=True))
    sign, wd, decay = known.get("sign", 1.0), known.get("wd", 0.0), known.get("decay", 1.0)
    p, g = run.arrays[:2]
    kernels.cautious.launch((p, g, before), (sign, wd, decay))
    bounds = run.offsets
    kept, sizes = reduce.nonzeros(before, bounds), np.maximum(np.diff(bounds), 1)
    stretch = 1.0 / np.maximum(kept / sizes, _LEAST_SHARE)
    kernels.step_along.launch_parts((p, before), bounds, (1.0, stretch))
