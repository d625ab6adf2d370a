"""Muon and Adafactor, which see the matrices that parameters are."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY
from typing import Annotated, Any

import numpy as np

from .. import kernels
from ..arrays.quiet import quiet
from ..arrays.xp import array_namespace
from ..arrays.xp import xp as space
from ..kernels.fused import reduce
from .flat import Run
from .optimizer import Optimizer
from .settings import (
    Foreach,
    Maximize,
    NewLearningRate,
    Params,
    declared,
)
from .stacks import Stack, stacked, stacks_of
from .state import free_state

__all__ = ["Adafactor", "Muon"]


@declared
class Muon(Optimizer):
    """Muon: momentum, made orthogonal; for the matrices of hidden layers.

    b = momentum * b + (1 - momentum) * g;  u = momentum * b + (1 - momentum) * g if nesterov else b
    o = `ns_steps` Newton-Schulz steps x = a x + (b (x x') + c (x x')^2) x from u / |u|
    p = (1 - lr * weight_decay) * p - ratio * lr * o
    o is u with all singular values near 1. The average is one launch for all parameters, as the
    step along o; the products are those of all matrices of one shape at once.

    {settings}
    adjust_lr_fn None or "original": ratio = sqrt(max(1, rows / columns)); "match_rms_adamw":
    0.2 * sqrt(max(rows, columns)), with which AdamW's lr serves.
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

    params: Params
    lr: NewLearningRate = 1e-3
    weight_decay: Annotated[float, "how strongly p is drawn to 0, >= 0"] = 0.1
    momentum: Annotated[float, "how slowly the average moves, >= 0"] = 0.95
    nesterov: Annotated[bool, "look ahead"] = True
    ns_coefficients: Annotated[tuple[float, float, float], "(a, b, c)"] = (3.4445, -4.7750, 2.0315)
    eps: Annotated[float, "the least that |u| counts"] = 1e-7
    ns_steps: Annotated[int, "< 100"] = 5
    adjust_lr_fn: Annotated[str | None, "how ratio follows from the shape"] = None

    def check_settings(self, s: dict[str, Any]) -> None:
        super().check_settings(s)
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
        values, g, b = run.arrays
        omb = (1.0 - group["momentum"],)
        rule.launch((b, g), omb)
        u = b
        if group["nesterov"]:
            u = b.copy()
            rule.launch((u, g), omb)
        way, norms = array_namespace(u).empty(u.size, u.dtype), reduce.norms(u, run.offsets)
        for stack in stacks_of(run):
            stack.put(way, _orthogonal(stack.of(u), norms[stack.numbers], group))
        lr, ratio = float(group["lr"]), _RATIOS[group["adjust_lr_fn"] or "original"]
        ratios = np.array([ratio(*p.array.shape) for p in run.params])
        decay = 1.0 - lr * group["weight_decay"]
        kernels.step_along.launch_parts((values, way), run.offsets, (decay, lr * ratios))


_RATIOS = {
    "original": lambda rows, columns: math.sqrt(max(1.0, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
}


def _orthogonal(u: Any, norms: Any, group: dict[str, Any]) -> Any:
    """The Newton-Schulz steps from each matrix of `u`; the shorter side first: less work."""
    a, b, c = group["ns_coefficients"]
    xp = space(u)
    tall = u.shape[1] > u.shape[2]
    x = u.swapaxes(1, 2) if tall else u
    x = x / xp.asarray(np.maximum(norms, group["eps"]), dtype=u.dtype).reshape(-1, 1, 1)
    for _ in range(group["ns_steps"]):
        gram = xp.matmul(x, x.swapaxes(1, 2))
        x = a * x + xp.matmul(b * gram + c * xp.matmul(gram, gram), x)
    return x.swapaxes(1, 2) if tall else x


# Adafactor ----------------------------------------------------------------------------------------


@declared
class Adafactor(Optimizer):
    """Adafactor: Adam without momentum whose variances are kept as row and column means.

    beta = 1 - t^beta2_decay;  R = beta * R + (1 - beta) * mean(g^2 over columns), C over rows
    V = R C / max(mean(R), eps1);  u = g / sqrt(max(V, eps1^2));  u = u / max(1, rms(u) / d)
    p = (1 - lr * weight_decay) * p - max(eps2, rms(p)) * min(lr, 1 / sqrt(t)) * u
    Vectors keep V itself; of Tensors with more dimensions the last two are rows and columns. Means
    are taken of all parameters of one shape at once; the rest is a few launches for all.

    {settings}
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

    params: Params
    lr: Annotated[NewLearningRate, "relative to rms(p); also scales the decay"] = 1e-2
    beta2_decay: Annotated[float, "<= 0"] = -0.8
    eps: Annotated[
        tuple[float | None, float], "(eps1, eps2), eps1 None for the dtype's resolution"
    ] = (None, 1e-3)  # fmt: skip
    d: Annotated[float, "where u is clipped, >= 1"] = 1.0
    weight_decay: Annotated[float, "how strongly p is drawn to 0, >= 0"] = 0.0
    _: KW_ONLY
    foreach: Foreach = None
    maximize: Maximize = False

    def check_settings(self, s: dict[str, Any]) -> None:
        super().check_settings(s)
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

    @quiet
    def update(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run, t: int) -> None:
        values, g = run.arrays
        lr, eps = float(group["lr"]), group["eps"]
        decay, rate = 1.0 - lr * group["weight_decay"], min(lr, 1.0 / math.sqrt(t))
        omb = float(t) ** group["beta2_decay"]
        sign = -1.0 if group["maximize"] else 1.0
        floor = float(np.finfo(values.dtype).eps) if eps[0] is None else eps[0]
        u = array_namespace(g).empty(g.size, g.dtype)
        for stack in stacks_of(run):
            vectors = len(stack.shape) < 2
            variance = self._variance if vectors else self._factored_variance
            stack.put(u, variance(stack, stack.of(g), t, omb, floor))
        kernels.scaled_direction.launch((u, g), (sign, floor * floor))
        roots = np.sqrt(np.diff(run.offsets))
        scales = np.maximum(eps[1], reduce.norms(values, run.offsets) / roots)
        clips = np.maximum(1.0, reduce.norms(u, run.offsets) / (roots * group["d"]))
        rule.launch_parts((values, u), run.offsets, (decay, rate * scales / clips))

    def _variance(self, stack: Stack, g: Any, t: int, omb: float, floor: float) -> Any:
        """The estimate V after these gradients; the state moves on."""
        entries = [self.state[p] for p in stack.params]
        like = g.reshape(-1)
        held = [free_state(entry, "variance", stack.shape, like, t) for entry in entries]
        variance = stacked(held).reshape(-1)
        kernels.average_square.launch((variance, like), (1.0 - omb, omb))
        variance = variance.reshape(g.shape)
        for array, new in zip(held, variance, strict=True):
            array[...] = new
        return variance

    def _factored_variance(self, stack: Stack, g: Any, t: int, omb: float, floor: float) -> Any:
        """Like `_variance`, from means over rows and columns."""
        xp, shape = array_namespace(g), stack.shape
        square = g * g
        row_shape, col_shape = (*shape[:-1], 1), (*shape[:-2], 1, shape[-1])
        row = self._moved("row_var", stack, row_shape, xp.sum(square, -1, True) / shape[-1], t, omb)
        col = self._moved("col_var", stack, col_shape, xp.sum(square, -2, True) / shape[-2], t, omb)
        mean = xp.sum(row, -2, True) / shape[-2]
        return xp.multiply(row, col / xp.maximum(mean, floor), out=square)

    def _moved(
        self, name: str, stack: Stack, shape: tuple[int, ...], mean: Any, t: int, omb: float
    ) -> Any:
        """An average in the state, after it moved towards `mean`; of all parameters, stacked."""
        held = [free_state(self.state[p], name, shape, mean, t) for p in stack.params]
        average = stacked(held)
        average += omb * (mean - average)
        for array, new in zip(held, average, strict=True):
            array[...] = new
        return average
