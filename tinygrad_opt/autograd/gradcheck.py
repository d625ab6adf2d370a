"""Comparing derivatives with finite differences, along random directions.

A full Jacobian costs two evaluations per element; a directional check costs two per direction and
still sees every entry, since an error in any of them shifts the random combination. The error
bound is tight (relative 1e-5 by default): a derivative that is 0.1% wrong fails.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.node import Variable
from ..core.tensor import Tensor, wrap_plain
from .grad import grad

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
    nondet_tol: float = 0.0,
    directions: int = 3,
    seed: int = 0,
    **accepted: Any,
) -> bool:
    """Whether `func`'s backward agrees with central differences along random directions.

    For random u (output space) and d (input space) it compares u . J d from backward with
    (u . f(x + eps d) - u . f(x - eps d)) / (2 eps), to `atol + rtol * |value|`, for each input
    that requires a gradient on its own (so that one cannot hide behind another).

    `func`: takes `inputs`, returns a Tensor or several. `inputs`: float64 Tensors; others warn.
    `nondet_tol`: how far two backward passes may differ. PyTorch's further switches (`fast_mode`,
    `check_undefined_grad`, `check_batched_grad`, `masked`, ...) are accepted, and what they choose
    between does not exist here. Tighter than PyTorch, whose `atol=1e-5, rtol=1e-3` can be given.
    Raises GradcheckError on disagreement (or returns False if not `raise_exception`), and
    ValueError where no input requires a gradient.
    """
    _check_switches(accepted)
    tensors = _checked([inputs] if isinstance(inputs, Variable) else list(inputs))
    rng = np.random.default_rng(seed)
    for i, x in enumerate(tensors):
        if not (isinstance(x, Variable) and x.requires_grad):
            continue
        for k in range(directions):
            message = _compare(func, tensors, i, rng, eps, atol, rtol, None if k else nondet_tol)
            if message and raise_exception:
                raise GradcheckError(message)
            if message:
                return False
    return True


_SWITCHES = {
    "check_undefined_grad", "check_grad_dtypes", "check_batched_grad", "check_fwd_over_rev",
    "check_batched_forward_grad", "check_forward_ad", "check_backward_ad", "check_rev_over_rev",
    "fast_mode", "masked", "gen_non_contig_grad_outputs",
}  # fmt: skip


def _check_switches(accepted: dict[str, Any]) -> None:
    for name, value in accepted.items():
        if name not in _SWITCHES:
            raise TypeError(f"gradcheck() got an unexpected keyword argument '{name}'")
        if value and name in ("check_forward_ad", "check_fwd_over_rev"):
            raise NotImplementedError(f"gradcheck: {name}=True, but there is no forward mode")


def gradgradcheck(
    func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, **kwargs: Any
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
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them "
            "have requires_grad=True."
        )
    for i, x in enumerate(tensors):
        if any(x is w for w in wanted) and x.array.dtype != np.float64:
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point "
                f"({x.array.dtype}). This check will likely fail if all the inputs are not of "
                "double precision floating point.",
                stacklevel=3,
            )
    return tensors


def _outputs(func: Callable[..., Any], inputs: Sequence[Any]) -> list[Any]:
    y = func(*inputs)
    return [y] if isinstance(y, Variable) else list(y)


def _compare(
    func: Any,
    tensors: list[Any],
    i: int,
    rng: Any,
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float | None,
) -> str:
    """The disagreement along one random direction, in words; empty if there is none.

    `nondet_tol`: None, or run backward twice and compare.
    """
    x = tensors[i]
    outputs = _outputs(func, tensors)
    u = [rng.standard_normal(y.shape) for y in outputs]
    d = rng.standard_normal(x.shape)
    pairs = [(y, wrap_plain(w)) for y, w in zip(outputs, u, strict=True) if y.requires_grad]
    analytic = 0.0
    if pairs:
        ys, ws = zip(*pairs, strict=True)
        (g,) = grad(list(ys), [x], list(ws), retain_graph=True, allow_unused=True)
        analytic = 0.0 if g is None else float((g.array * d).sum())
        if nondet_tol is not None and g is not None:
            (again,) = grad(list(ys), [x], list(ws), allow_unused=True)
            second = None if again is None else again.array
            if second is None or not np.allclose(second, g.array, 0, nondet_tol, equal_nan=True):
                return (
                    f"gradcheck: Backward is not reentrant, i.e., running backward with same input "
                    f"and grad_output multiple times gives different values for input {i}"
                )

    def along(step: float) -> float:
        moved = wrap_plain((x.array + step * d).astype(x.array.dtype))
        moved.requires_grad = True
        ys = _outputs(func, [*tensors[:i], moved, *tensors[i + 1 :]])
        return sum(float((y.array * w).sum()) for y, w in zip(ys, u, strict=True))

    numeric = (along(eps) - along(-eps)) / (2 * eps)
    if abs(analytic - numeric) <= atol + rtol * max(abs(analytic), abs(numeric)):
        return ""  # also false, and so reported, for NaN
    return (
        f"gradcheck: Jacobian mismatch with respect to input {i} of shape "
        f"{tuple(x.shape)}: backward gives {analytic:.10g} along a random direction, "
        f"finite differences give {numeric:.10g}"
    )
