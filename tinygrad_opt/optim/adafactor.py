"""Adafactor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import kernels
from .._quiet import quiet
from ..backend import array_namespace
from .checks import check_flags, check_rate
from .flat import Run
from .free import free_state
from .optimizer import Optimizer

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Adafactor: Adam without momentum whose variances are kept as row and column means.

    beta = 1 - t^beta2_decay;  R = beta * R + (1 - beta) * mean(g^2 over columns), C over rows
    V = R C / max(mean(R), eps1);  u = g / sqrt(max(V, eps1^2));  u = u / max(1, rms(u) / d)
    p = (1 - lr * weight_decay) * p - max(eps2, rms(p)) * min(lr, 1 / sqrt(t)) * u
    Vectors keep V itself; of Tensors with more dimensions the last two are rows and columns. The
    norms and means of a parameter come first, then its element-wise launches.

    lr: step size >= 0 relative to rms(p); also scales the decay.  beta2_decay: <= 0.
    eps: (eps1, eps2), eps1 None for the dtype's resolution.  d: >= 1, where u is clipped.
    foreach: accepted and without effect: there is one implementation.  maximize: climb instead.
    state: `step`, and `row_var` and `col_var` (R, C) or `variance` (V).
    Raises ValueError for settings out of range.
    Source: Shazeer & Stern 2018, arXiv:1804.04235, Alg. 4 and 5; as in PyTorch lr and decay are
    there, and eps1 is a floor, not added to g^2.

    >>> w = tensor([[3.0, 4.0]], requires_grad=True)
    >>> optimizer = Adafactor([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([[2.6464, 3.6464]], requires_grad=True)
    """

    rule = kernels.step_along
    free_states = ("row_var", "col_var", "variance")

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        check_rate("Adafactor", lr)
        super().__init__(params, dict(
            lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay,
            foreach=foreach, maximize=maximize,
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        eps1, eps2 = s["eps"]
        for right, text in (
            (s["beta2_decay"] <= 0, f"beta2_decay should be <= 0 but is: {s['beta2_decay']}"),
            (eps1 is None or eps1 >= 0, f"epsilon1 should be >= 0 but is: {eps1}"),
            (eps2 >= 0, f"epsilon2 should be >= 0 but is: {eps2}"),
            (s["d"] >= 1, f"Clipping threshold d should be >= 1 but is: {s['d']}"),
            (s["weight_decay"] >= 0, f"weight_decay should be >= 0 but is: {s['weight_decay']}"),
        ):
            if not right:
                raise ValueError(f"Adafactor: {text}")
        check_flags("Adafactor", s["foreach"], None)

    @quiet
    def update(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run, t: int) -> None:
        lr, eps = float(group["lr"]), group["eps"]
        decay, rate = 1.0 - lr * group["weight_decay"], min(lr, 1.0 / math.sqrt(t))
        omb = float(t) ** group["beta2_decay"]
        sign = -1.0 if group["maximize"] else 1.0
        for tensor, (p, g) in run.parts():
            floor = float(np.finfo(p.dtype).eps) if eps[0] is None else eps[0]
            u = self._variance(self.state[tensor], g, tensor.array.shape, t, omb, floor)
            kernels.scaled_direction.launch((u, g), (sign, floor * floor))
            root = math.sqrt(p.size)
            scale = max(eps[1], kernels.norm(p) / root)
            clip = max(1.0, kernels.norm(u) / (root * group["d"]))
            rule.launch((p, u), (decay, rate * scale / clip))

    def _variance(
        self, entry: Any, g: Any, shape: tuple[int, ...], t: int, omb: float, floor: float
    ) -> Any:
        """The estimate V after this gradient, flat, in new memory; the state moves on."""
        if len(shape) < 2:
            variance = free_state(entry, "variance", shape, g, t).reshape(-1)
            kernels.average_square.launch((variance, g), (1.0 - omb, omb))
            return variance.copy()
        xp = array_namespace(g)
        square = (g * g).reshape(shape)
        row = free_state(entry, "row_var", (*shape[:-1], 1), g, t)  # (..., rows, 1)
        col = free_state(entry, "col_var", (*shape[:-2], 1, shape[-1]), g, t)  # (..., 1, columns)
        row += omb * (xp.sum(square, -1, True) / shape[-1] - row)
        col += omb * (xp.sum(square, -2, True) / shape[-2] - col)
        mean = xp.sum(row, -2, True) / shape[-2]
        xp.multiply(row, col / xp.maximum(mean, floor), out=square)
        return square.reshape(-1)
