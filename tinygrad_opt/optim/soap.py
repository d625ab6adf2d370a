"""SOAP."""

from __future__ import annotations

import math
from typing import Any

from .. import kernels
from .._quiet import quiet
from .._tensor import Tensor
from ..autograd.graph import wrap_plain
from ..backend import array_namespace
from .checks import check_at_least_zero, check_betas
from .flat import Run
from .free import fitted
from .optimizer import Optimizer
from .state import bind

__all__ = ["SOAP"]

Bases = list[Any]  # one orthogonal matrix for each axis; None: that axis is left as it is


class SOAP(Optimizer):
    """SOAP: Adam in the eigenbasis of Shampoo's preconditioner.

    L = beta * L + (1 - beta) * g g', R the same with g' g;  QL and QR are their eigenvectors
    Adam's direction u for the rotated gradient QL' g QR, with m and v kept in that basis
    p = (1 - lr * weight_decay) * (p - lr * QL u QR')
    The first step only sets up L, R and their eigenvectors, so that no gradient is seen in a basis
    made from itself. Later the bases follow by one power iteration and a QR decomposition, after
    every `precondition_frequency`-th step. Rotations come first, per parameter; Adam is one launch.

    lr: >= 0.  betas: each in [0, 1).  shampoo_beta: beta of L and R, betas[1] if negative.
    eps, weight_decay: >= 0.  precondition_frequency: >= 1.
    max_precond_dim: longer axes are not rotated: a matrix with one such axis has one basis.
    precondition_1d: rotate vectors too (by default they get Adam).  correct_bias: as Adam's.
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

    rule = kernels.adam_direction
    state_names = {"m": "exp_avg", "v": "exp_avg_sq"}  # noqa: RUF012

    def __init__(
        self,
        params: Any,
        lr: Any = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        shampoo_beta: float = -1,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        precondition_frequency: int = 10,
        max_precond_dim: int = 10000,
        precondition_1d: bool = False,
        correct_bias: bool = True,
    ) -> None:
        super().__init__(params, dict(
            lr=lr, betas=betas, shampoo_beta=shampoo_beta, eps=eps, weight_decay=weight_decay,
            precondition_frequency=precondition_frequency, max_precond_dim=max_precond_dim,
            precondition_1d=precondition_1d, correct_bias=correct_bias,
        ))  # fmt: skip

    def check_settings(self, s: dict[str, Any]) -> None:
        check_betas("SOAP", s["betas"])
        check_at_least_zero("SOAP", "epsilon value", s["eps"])
        check_at_least_zero("SOAP", "weight_decay value", s["weight_decay"])
        if not s["shampoo_beta"] < 1:
            raise ValueError(f"SOAP: Invalid shampoo_beta value: {s['shampoo_beta']} (must be < 1)")
        if not s["precondition_frequency"] >= 1:
            raise ValueError(
                "SOAP: Invalid precondition_frequency value: "
                f"{s['precondition_frequency']} (must be at least 1)"
            )

    def coefficients(self, group: dict[str, Any], t: int, **scalars: Any) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        c1, c2 = 1.0 / (1.0 - beta1**t), 1.0 / math.sqrt(1.0 - beta2**t)
        # The published code corrects the step, not the averages: eps is as small beside either v.
        scale = c1 / c2 if group["correct_bias"] else 1.0
        return 1.0, 0.0, 1.0 - beta1, beta2, 1.0 - beta2, group["eps"], scale, 1.0

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
