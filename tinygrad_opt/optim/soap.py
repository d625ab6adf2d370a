"""SOAP."""

from __future__ import annotations

from typing import Annotated, Any

from .. import kernels
from ..arrays.quiet import quiet
from ..arrays.xp import array_namespace
from ..arrays.xp import xp as space
from ..core.tensor import wrap_plain
from .flat import Run
from .optimizer import Optimizer
from .settings import Betas, Epsilon, LearningRate, Params, WeightDecay, declared
from .stacks import Stack, stacked, stacks_of
from .state import bind, fitted

__all__ = ["SOAP"]


Bases = list[Any]  # for each axis its matrices, stacked; None: that axis is left as it is


@declared
class SOAP(Optimizer):
    """SOAP: Adam in the eigenbasis of Shampoo's preconditioner.

    L = beta * L + (1 - beta) * g g', R the same with g' g;  QL and QR are their eigenvectors
    Adam's direction u for the rotated gradient QL' g QR, with m and v kept in that basis
    p = (1 - lr * weight_decay) * (p - lr * QL u QR')
    The first step only sets up L, R and their eigenvectors, so that no gradient is seen in a basis
    made from itself. Later the bases follow by one power iteration and a QR decomposition, after
    every `precondition_frequency`-th step. Adam is one launch, rotations are of all matrices of one
    shape at once.

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
        values, g, m, v = run.arrays
        stacks = list(stacks_of(run))
        if t == 1:
            for stack in stacks:
                self._begin_bases(group, stack, stack.of(g))
            return
        rotated, u = g.copy(), values.copy()
        for stack in stacks:
            stack.put(rotated, _rotated(stack.of(g), self._held(stack, "Q", g)))
        rule.launch((u, rotated, m, v), self.coefficients(group, t - 1))
        for stack in stacks:
            stack.put(u, _rotated(stack.of(u), self._held(stack, "Q", g), back=True))
        lr = float(group["lr"])
        decay = 1.0 - lr * group["weight_decay"]
        kernels.step_along.launch((values, u), (decay, lr * decay))
        for stack in stacks:
            self._follow(group, stack, g, m, v, t - 1)

    def _held(self, stack: Stack, name: str, like: Any) -> Bases:
        """The matrices of `state[p][name]` of all p, stacked, fitted to the array `like`."""
        held = [self.state[p][name] for p in stack.params]
        return [
            None if first is None or len(first) == 0
            else stacked([fitted(own[axis], like) for own in held])
            for axis, first in enumerate(held[0])
        ]  # fmt: skip

    def _keep(self, stack: Stack, name: str, matrices: Bases) -> None:
        """Put stacked matrices into the state of each parameter."""
        for k, p in enumerate(stack.params):
            own = [None if x is None else wrap_plain(x[k]) for x in matrices]
            bind(self.state[p], name, own)

    def _begin_bases(self, group: dict[str, Any], stack: Stack, g: Any) -> None:
        xp, shape = array_namespace(g), stack.shape
        turned = len(shape) > 1 or group["precondition_1d"]
        most = group["max_precond_dim"]
        grams = [xp.zeros((len(g), n, n), g.dtype) if turned and n <= most else None for n in shape]
        grams = self._averaged(group, grams, g)
        self._keep(stack, "GG", grams)
        bases = [None if gram is None else xp.linalg.eigh(gram)[1] for gram in grams]
        self._keep(stack, "Q", [None if q is None else _falling(q) for q in bases])

    def _averaged(self, group: dict[str, Any], grams: Bases, g: Any) -> Bases:
        """L and R after these gradients."""
        beta = group["shampoo_beta"] if group["shampoo_beta"] >= 0 else group["betas"][1]
        new: Bases = []
        for axis, gram in enumerate(grams):
            if gram is not None:
                xp, rows = space(g), _rows(g, axis)
                # Products beyond the largest number say nothing of axes, and would stay.
                change = (1.0 - beta) * (xp.matmul(rows, rows.swapaxes(1, 2)) - gram)
                known = xp.isfinite(change).all(axis=(1, 2)).reshape(-1, 1, 1)
                gram = gram + xp.where(known, change, 0.0)
            new.append(gram)
        return new

    def _follow(self, group: dict[str, Any], stack: Stack, g: Any, m: Any, v: Any, t: int) -> None:
        """L and R move on; now and then the bases, and with them m and v."""
        grams = self._averaged(group, self._held(stack, "GG", g), stack.of(g))
        self._keep(stack, "GG", grams)
        if t % group["precondition_frequency"]:
            return
        old = self._held(stack, "Q", g)
        straight = _rotated(stack.of(m), old, back=True)
        new, squares = _power_iteration(grams, old, stack.of(v))
        self._keep(stack, "Q", new)
        stack.put(v, squares)
        stack.put(m, _rotated(straight, new))


def _rows(x: Any, axis: int) -> Any:
    """(parameters, the length of an axis, all else): rows whose products make its matrix."""
    return x.swapaxes(1, axis + 1).reshape(len(x), x.shape[axis + 1], -1)


def _falling(q: Any) -> Any:
    """Eigenvectors by falling eigenvalues, where eigh has them rise."""
    return array_namespace(q).ascontiguousarray(q[..., ::-1])


def _rotated(x: Any, bases: Bases, back: bool = False) -> Any:
    """Every axis of each parameter in `x` times its basis (its transpose for back)."""
    for q in bases:  # each turn takes the first axis and puts it last: the order ends as it began
        count, first, *rest = x.shape
        x = x.reshape(count, first, -1).swapaxes(1, 2)
        if q is not None:
            x = space(x).matmul(x, q.swapaxes(1, 2) if back else q)
        x = x.reshape(count, *rest, first)
    return x


def _power_iteration(grams: Bases, bases: Bases, square: Any) -> tuple[Bases, Any]:
    """The bases after one power iteration, by falling eigenvalues, and v in that order."""
    xp = space(square)
    new: Bases = []
    for axis, (gram, q) in enumerate(zip(grams, bases, strict=True)):
        if gram is None:
            new.append(None)
            continue
        product = xp.matmul(gram, q)
        order = xp.argsort(-xp.sum(q * product, 1), axis=1)  # (parameters, the axis's length)
        along = [1] * square.ndim
        along[0], along[axis + 1] = order.shape
        square = xp.take_along_axis(square, order.reshape(along), axis=axis + 1)
        columns = xp.take_along_axis(product, order[:, None, :], axis=2)
        new.append(xp.linalg.qr(columns)[0])
    return new, square
