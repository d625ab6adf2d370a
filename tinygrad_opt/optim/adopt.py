"""ADOPT."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import kernels
from . import cautious as caution
from .checks import check_at_least_zero, check_betas
from .optimizer import Optimizer

__all__ = ["ADOPT"]


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
