"""Muon."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY
from typing import Annotated, Any

import numpy as np

from .. import kernels
from ..arrays.quiet import quiet
from ..arrays.xp import array_namespace
from ..core.tensor import Tensor, wrap_plain
from .flat import Run
from .optimizer import Optimizer
from .settings import (
    Betas,
    Epsilon,
    Foreach,
    LearningRate,
    Maximize,
    NewLearningRate,
    Params,
    WeightDecay,
    declared,
)
from .state import bind, fitted, free_state

__all__ = ["SOAP", "Adafactor", "Muon"]


@declared
class Muon(Optimizer):
    """Muon: momentum, made orthogonal; for the matrices of hidden layers.

    b = momentum * b + (1 - momentum) * g;  u = momentum * b + (1 - momentum) * g if nesterov else b
    o = `ns_steps` Newton-Schulz steps x = a x + (b (x x') + c (x x')^2) x from u / |u|
    p = (1 - lr * weight_decay) * p - ratio * lr * o
    o is u with all singular values near 1. The average is one launch for all parameters; matrix
    products and the step along o follow for each.

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


# SOAP ---------------------------------------------------------------------------------------------


Bases = list[Any]  # one orthogonal matrix for each axis; None: that axis is left as it is


@declared
class SOAP(Optimizer):
    """SOAP: Adam in the eigenbasis of Shampoo's preconditioner.

    L = beta * L + (1 - beta) * g g', R the same with g' g;  QL and QR are their eigenvectors
    Adam's direction u for the rotated gradient QL' g QR, with m and v kept in that basis
    p = (1 - lr * weight_decay) * (p - lr * QL u QR')
    The first step only sets up L, R and their eigenvectors, so that no gradient is seen in a basis
    made from itself. Later the bases follow by one power iteration and a QR decomposition, after
    every `precondition_frequency`-th step. Rotations come first, per parameter; Adam is one launch.

    {settings}
    state: `step`, `exp_avg` and `exp_avg_sq` (rotated), `GG` and `Q`: lists with a matrix for each
    axis, or None.  Raises ValueError for settings out of range.
    Source: Vyas et al. 2024, arXiv:2409.11321v2, Alg. 3, as in the authors' code without merge_dims
    and normalize_grads; differs: the QR decomposition is in the parameter's dtype.

    >>> w = tensor([[3.0, 0.0], [0.0, 4.0]], requires_grad=True)
    >>> optimizer = SOAP([w], lr=0.1, weight_decay=0)
    >>> for _ in range(2):
    ...     optimizer.zero_grad(); (w * w).sum().backward(); optimizer.step()
    >>> w
    tensor([[2.9000, 0.0000],
            [0.0000, 3.9000]], requires_grad=True)
    """

    # The published code corrects the step, not the averages: eps is as small beside either v.
    own_coefficients = {  # noqa: RUF012
        "sign": "1.0",
        "wd": "0.0",
        "c1": "1.0 / (1.0 - beta1**t) / (1.0 / sqrt(1.0 - beta2**t)) if correct_bias else 1.0",
        "c2": "1.0",
    }
    rule = kernels.adam_direction
    state_names = {"m": "exp_avg", "v": "exp_avg_sq"}  # noqa: RUF012

    params: Params
    lr: LearningRate = 3e-3
    betas: Betas = (0.95, 0.95)
    shampoo_beta: Annotated[float, "beta of L and R, < 1; betas[1] if negative"] = -1
    eps: Epsilon = 1e-8
    weight_decay: WeightDecay = 0.01
    precondition_frequency: Annotated[int, "steps from one change of the bases to the next"] = 10
    max_precond_dim: Annotated[
        int, "longer axes are not rotated: a matrix with one such axis has one basis"
    ] = 10000
    precondition_1d: Annotated[bool, "rotate vectors too (by default they get Adam)"] = False
    correct_bias: Annotated[bool, "as Adam's"] = True

    def check_settings(self, s: dict[str, Any]) -> None:
        super().check_settings(s)
        if not s["shampoo_beta"] < 1:
            raise ValueError(f"SOAP: Invalid shampoo_beta value: {s['shampoo_beta']} (must be < 1)")
        if not s["precondition_frequency"] >= 1:
            raise ValueError(
                "SOAP: Invalid precondition_frequency value: "
                f"{s['precondition_frequency']} (must be at least 1)"
            )

    @quiet
    def update(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run, t: int) -> None:
        if t == 1:
            for p, (_, g, *_) in run.parts():
                self._begin_bases(group, p, g)
            return
        values, g, m, v = run.arrays
        rotated, u = g.copy(), values.copy()
        for p, part in run.parts(rotated):
            part[-1][...] = _rotated(part[-1], p, self._held(p, "Q", part[0]))
        rule.launch((u, rotated, m, v), self.coefficients(group, t - 1))
        lr = float(group["lr"])
        decay = 1.0 - lr * group["weight_decay"]
        for p, (value, gradient, average, square, direction) in run.parts(u):
            way = _rotated(direction, p, self._held(p, "Q", value), back=True)
            kernels.step_along.launch((value, way), (decay, lr * decay))
            self._follow(group, p, gradient, average, square, t - 1)

    def _held(self, p: Tensor, name: str, like: Any) -> Bases:
        """The matrices of `state[p][name]`, fitted to the array `like`."""
        held = self.state[p][name]
        arrays = [None if x is None or len(x) == 0 else fitted(x, like) for x in held]
        bind(self.state[p], name, [None if a is None else wrap_plain(a) for a in arrays])
        return arrays

    def _begin_bases(self, group: dict[str, Any], p: Tensor, g: Any) -> None:
        xp, shape = array_namespace(g), p.array.shape
        turned = len(shape) > 1 or group["precondition_1d"]
        most = group["max_precond_dim"]
        grams = [
            wrap_plain(xp.zeros((n, n), g.dtype)) if turned and n <= most else None for n in shape
        ]
        bind(self.state[p], "GG", grams)
        self._average_grams(group, p, g)
        bases = [None if gram is None else xp.linalg.eigh(gram.array)[1] for gram in grams]
        bind(self.state[p], "Q", [None if q is None else wrap_plain(_falling(q)) for q in bases])

    def _average_grams(self, group: dict[str, Any], p: Tensor, g: Any) -> Bases:
        beta = group["shampoo_beta"] if group["shampoo_beta"] >= 0 else group["betas"][1]
        xp, grams = array_namespace(g), self._held(p, "GG", g)
        for axis, gram in enumerate(grams):
            if gram is not None:
                rows = _rows(g.reshape(p.array.shape), axis)
                # Products beyond the largest number say nothing of axes, and would stay.
                change = (1.0 - beta) * (rows @ rows.T - gram)
                gram += xp.where(xp.isfinite(change).all(), change, 0.0)
        return grams

    def _follow(
        self, group: dict[str, Any], p: Tensor, g: Any, average: Any, square: Any, t: int
    ) -> None:
        """L and R move on; now and then the bases, and with them m and v."""
        grams = self._average_grams(group, p, g)
        if t % group["precondition_frequency"]:
            return
        old = self._held(p, "Q", g)
        straight = _rotated(average, p, old, back=True)
        new, squares = _power_iteration(grams, old, square.reshape(p.array.shape))
        bind(self.state[p], "Q", [None if q is None else wrap_plain(q) for q in new])
        square[...] = squares.reshape(-1)
        average[...] = _rotated(straight, p, new)


def _rows(x: Any, axis: int) -> Any:
    """(the length of an axis, all else): the rows whose products make that axis's matrix."""
    return x.swapaxes(0, axis).reshape(x.shape[axis], -1)


def _falling(q: Any) -> Any:
    """Eigenvectors by falling eigenvalues, where eigh has them rise."""
    return array_namespace(q).ascontiguousarray(q[:, ::-1])


def _rotated(flat: Any, p: Tensor, bases: Bases, back: bool = False) -> Any:
    """Every axis of `flat`, taken in the shape of `p`, times its basis (its transpose for back)."""
    xp = array_namespace(flat)
    x = flat.reshape(p.array.shape)
    for q in bases:  # each turn takes the first axis and puts it last: the order ends as it began
        rest = x.shape[1:]
        x = x.reshape(len(x), -1).T
        if q is not None:
            x = x @ (q.T if back else q)
        x = x.reshape(*rest, -1)
    return xp.ascontiguousarray(x).reshape(-1)


def _power_iteration(grams: Bases, bases: Bases, square: Any) -> tuple[Bases, Any]:
    """The bases after one power iteration, by falling eigenvalues, and v in that order."""
    xp = array_namespace(square)
    new: Bases = []
    for axis, (gram, q) in enumerate(zip(grams, bases, strict=True)):
        if gram is None:
            new.append(None)
            continue
        product = gram @ q
        order = xp.argsort(-xp.sum(q * product, 0))
        square = xp.take(square, order, axis=axis)
        new.append(xp.linalg.qr(product[:, order])[0])
    return new, square


# Adafactor ----------------------------------------------------------------------------------------


@declared
class Adafactor(Optimizer):
    """Adafactor: Adam without momentum whose variances are kept as row and column means.

    beta = 1 - t^beta2_decay;  R = beta * R + (1 - beta) * mean(g^2 over columns), C over rows
    V = R C / max(mean(R), eps1);  u = g / sqrt(max(V, eps1^2));  u = u / max(1, rms(u) / d)
    p = (1 - lr * weight_decay) * p - max(eps2, rms(p)) * min(lr, 1 / sqrt(t)) * u
    Vectors keep V itself; of Tensors with more dimensions the last two are rows and columns. The
    norms and means of a parameter come first, then its element-wise launches.

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
