"""Muon."""

from __future__ import annotations

import math
from typing import Any

from .. import kernels
from .._quiet import quiet
from ..backend import array_namespace
from .checks import check_rate
from .flat import Run
from .optimizer import Optimizer

__all__ = ["Muon"]


class Muon(Optimizer):
    """Muon: momentum, made orthogonal; for the matrices of hidden layers.

    b = momentum * b + (1 - momentum) * g;  u = momentum * b + (1 - momentum) * g if nesterov else b
    o = `ns_steps` Newton-Schulz steps x = a x + (b (x x') + c (x x')^2) x from u / |u|
    p = (1 - lr * weight_decay) * p - ratio * lr * o
    o is u with all singular values near 1. The average is one launch for all parameters; matrix
    products and the step along o follow for each.

    lr, weight_decay, momentum: >= 0.  ns_coefficients: (a, b, c).  eps: the least that |u| counts.
    ns_steps: < 100.  adjust_lr_fn: None or "original" for ratio = sqrt(max(1, rows / columns));
    "match_rms_adamw" for 0.2 * sqrt(max(rows, columns)), with which AdamW's lr serves.
    state: `momentum_buffer` (b).  Raises ValueError for settings out of range, and for parameters
    that are not 2-D: leave biases, norms, embeddings and heads to AdamW.
    Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon; Liu et al. 2025,
    arXiv:2502.16982 (match_rms_adamw). Differs from PyTorch, which rounds the products to bfloat16:
    they keep the dtype of p here, so that o is the same everywhere; PyTorch's is within about 1%.

    >>> w = tensor([[3.0, 0.0], [0.0, 4.0]], requires_grad=True)
    >>> optimizer = Muon([w], lr=0.1, weight_decay=0)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([[2.9277, 0.0000],
            [0.0000, 3.8881]], requires_grad=True)
    """

    rule = kernels.average
    state_names = {"b": "momentum_buffer"}  # noqa: RUF012
    more_states = ("b",)
    counts_steps = False

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        check_rate("Muon", lr)
        super().__init__(params, dict(
            lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov,
            ns_coefficients=ns_coefficients, eps=eps, ns_steps=ns_steps, adjust_lr_fn=adjust_lr_fn,
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        for right, text in (
            (s["momentum"] >= 0, f"momentum should be >= 0 but is: {s['momentum']}"),
            (s["weight_decay"] >= 0, f"weight decay should be >= 0 but is: {s['weight_decay']}"),
            (s["adjust_lr_fn"] in (None, *_RATIOS),
             f"Adjust learning rate function {s['adjust_lr_fn']} is not supported, only None, "
             f"{' and '.join(map(repr, _RATIOS))}"),
            (s["ns_steps"] < 100, "Number of steps must be less than 100 for computational "
             f"efficiency, got ns_steps={s['ns_steps']}"),
            (len(s["ns_coefficients"]) == 3, "Coefficients must be a tuple of exactly 3 values, "
             f"got ns_coefficients={s['ns_coefficients']}"),
        ):  # fmt: skip
            if not right:
                raise ValueError(f"Muon: {text}")
        for p in s.get("params", ()):
            if p.ndim != 2:
                raise ValueError(
                    "Muon only supports 2D parameters whereas we found a parameter with size: "
                    f"{tuple(p.shape)}; give the others to another optimizer, such as AdamW"
                )

    @quiet
    def update(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run, t: int) -> None:
        _, g, b = run.arrays
        omb = (1.0 - group["momentum"],)
        rule.launch((b, g), omb)
        u = b
        if group["nesterov"]:
            u = b.copy()
            rule.launch((u, g), omb)
        lr = float(group["lr"])
        decay, ratio = (
            1.0 - lr * group["weight_decay"],
            _RATIOS[group["adjust_lr_fn"] or "original"],
        )
        for tensor, (p, _, _, part) in run.parts(u):
            shape = tensor.array.shape
            o = _orthogonal(part.reshape(shape), group)
            o = array_namespace(o).ascontiguousarray(o).reshape(-1)
            kernels.step_along.launch((p, o), (decay, lr * ratio(*shape)))


_RATIOS = {
    "original": lambda rows, columns: math.sqrt(max(1.0, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
}


def _orthogonal(u: Any, group: dict[str, Any]) -> Any:
    """The Newton-Schulz steps from `u`, a matrix; the shorter side first, which is less work."""
    a, b, c = group["ns_coefficients"]
    tall = u.shape[0] > u.shape[1]
    x = u.T if tall else u
    x = x / max(kernels.norm(u.reshape(-1)), group["eps"])
    for _ in range(group["ns_steps"]):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x
