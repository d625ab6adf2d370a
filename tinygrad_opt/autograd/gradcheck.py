"""Comparing derivatives with finite differences, along random directions.

A full Jacobian costs two evaluations per element; a directional check costs two per direction and
still sees every entry, since an error in any of them shifts the random combination. The error
bound is tight (relative 1e-5 by default): a derivative that is 0.1% wrong fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .engine import grad
from .graph import Variable, wrap_plain

if TYPE_CHECKING:
    from .._tensor import Tensor

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """A derivative disagrees with the finite difference along some direction."""


def gradcheck(
    func: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Tensor | Sequence[Tensor],
    *,
    eps: float = 1e-6,
    atol: float = 1e-7,
    rtol: float = 1e-5,
    raise_exception: bool = True,
    directions: int = 3,
    seed: int = 0,
) -> bool:
    """Whether `func`'s backward agrees with central differences along random directions.

    For random u (output space) and d (input space) it compares u . J d from backward with
    (u . f(x + eps d) - u . f(x - eps d)) / (2 eps), to `atol + rtol * |value|`, for each input
    that requires a gradient on its own (so that one cannot hide behind another).

    `func`: takes `inputs`, returns a Tensor or several. `inputs`: float64 Tensors.
    Raises GradcheckError on disagreement (or returns False if not `raise_exception`), and
    ValueError for inputs that are not float64 or where none requires a gradient.
    """
    tensors = _checked([inputs] if isinstance(inputs, Variable) else list(inputs))
    rng = np.random.default_rng(seed)
    for i, x in enumerate(tensors):
        if not (isinstance(x, Variable) and x.requires_grad):
            continue
        for _ in range(directions):
            message = _compare(func, tensors, i, rng, eps, atol, rtol)
            if message and raise_exception:
                raise GradcheckError(message)
            if message:
                return False
    return True


def gradgradcheck(
    func: Callable[..., Any], inputs: Any, *, grad_outputs: Any = None, **kwargs: Any
) -> bool:
    """`gradcheck` of the gradient of `func`: checks second derivatives (arguments as gradcheck)."""
    tensors = _checked([inputs] if isinstance(inputs, Variable) else list(inputs))
    rng = np.random.default_rng(1)
    outputs = _outputs(func, tensors)
    if grad_outputs is None:
        grad_outputs = [wrap_plain(rng.standard_normal(y.shape)) for y in outputs]
        for w in grad_outputs:  # so that a gradient which lost its own history is still compared
            w.requires_grad = True
    count = len(tensors)

    def first_derivative(*xs: Any) -> Any:
        ys = _outputs(func, xs[:count])
        wanted: Any = [x for x in xs[:count] if isinstance(x, Variable) and x.requires_grad]
        found = grad(ys, wanted, list(xs[count:]), create_graph=True, materialize_grads=True)
        return tuple(g for g in found if g is not None and g.requires_grad)

    if not first_derivative(*tensors, *grad_outputs):
        return True  # a constant gradient: nothing to differentiate
    return gradcheck(first_derivative, [*tensors, *grad_outputs], **kwargs)


def _checked(tensors: list[Any]) -> list[Any]:
    wanted = [x for x in tensors if isinstance(x, Variable) and x.requires_grad]
    if not wanted:
        raise ValueError("gradcheck: at least one input must have requires_grad=True")
    for x in wanted:
        if x.array.dtype != np.float64:
            raise ValueError(
                "gradcheck: inputs must be float64 (finite differences need it), "
                f"got {x.array.dtype}"
            )
    return tensors


def _outputs(func: Callable[..., Any], inputs: Sequence[Any]) -> list[Any]:
    y = func(*inputs)
    return [y] if isinstance(y, Variable) else list(y)


def _compare(
    func: Any, tensors: list[Any], i: int, rng: Any, eps: float, atol: float, rtol: float
) -> str:
    """The disagreement along one random direction, in words; empty if there is none."""
    x = tensors[i]
    outputs = _outputs(func, tensors)
    u = [rng.standard_normal(y.shape) for y in outputs]
    d = rng.standard_normal(x.shape)
    pairs = [(y, wrap_plain(w)) for y, w in zip(outputs, u, strict=True) if y.requires_grad]
    analytic = 0.0
    if pairs:
        ys, ws = zip(*pairs, strict=True)
        (g,) = grad(list(ys), [x], list(ws), allow_unused=True)
        analytic = 0.0 if g is None else float((g.array * d).sum())

    def along(step: float) -> float:
        moved = wrap_plain(x.array + step * d)
        moved.requires_grad = True
        ys = _outputs(func, [*tensors[:i], moved, *tensors[i + 1 :]])
        return sum(float((y.array * w).sum()) for y, w in zip(ys, u, strict=True))

    numeric = (along(eps) - along(-eps)) / (2 * eps)
    if abs(analytic - numeric) <= atol + rtol * max(abs(analytic), abs(numeric)):
        return ""  # also false, and so reported, for NaN
    return (
        f"gradcheck: input {i} of shape {tuple(x.shape)}: backward gives {analytic:.10g} along a "
        f"random direction, finite differences give {numeric:.10g}"
    )
