"""Forward-mode derivatives, as `torch.autograd.forward_ad`, by two reverse passes.

The pullback of y is linear in the gradient v of y: v -> J^T v. Differentiated by v, along the
tangents, it gives J t, the derivative of y along them. So there is no second set of rules, it holds
whatever backward holds for, and costs about as much as two backward passes. It needs recording:
under `no_grad` a dual tensor has no tangent.

>>> with dual_level():
...     x = make_dual(tensor([1.0, 2.0]), tensor([1.0, 0.0]))
...     unpack_dual(x * x).tangent
tensor([2., 0.])
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from .. import ops
from ..core.tensor import Tensor, wrap_plain
from .grad import grad
from .modes import enable_grad

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual",
           "unpack_dual"]  # fmt: skip


class UnpackedDualTensor(NamedTuple):
    """What `unpack_dual` returns: a value, and its derivative along the tangents, or None."""

    primal: Tensor
    tangent: Tensor | None


class _Levels(threading.local):
    def __init__(self) -> None:
        self.duals: list[list[tuple[Tensor, Tensor]]] = []


_levels = _Levels()


def enter_dual_level() -> int:
    """Begins a level, in which dual tensors live; returns its number. There is one at a time.

    Raises RuntimeError if there is one already.
    """
    if _levels.duals:
        raise RuntimeError(
            "Nested forward mode AD is not supported at the moment; func.jvp can be nested"
        )
    _levels.duals.append([])
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """Ends the level: its tangents are forgotten. Raises RuntimeError if there is none."""
    if not _levels.duals:
        raise RuntimeError("Trying to exit a forward AD level that was not entered")
    _levels.duals.pop()


class dual_level:
    """A level as a context manager: dual tensors live in it."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *error: object) -> None:
        exit_dual_level()


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """`tensor` with a direction: what is computed from it has a derivative along `tangent`.

    Raises RuntimeError outside of a level, for tangents of another shape, and for integers.
    """
    if not _levels.duals:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    if tensor.dtype.kind not in "fc":
        raise ValueError(
            f"Expected primal to be floating point or complex, but got: {tensor.dtype}"
        )
    if tensor.shape != tangent.shape:
        raise RuntimeError(
            f"Expected tangent of the size of the primal, {tuple(tensor.shape)}, got "
            f"{tuple(tangent.shape)}"
        )
    with enable_grad():
        if tensor.requires_grad:
            dual = ops.reshape(tensor, shape=tuple(tensor.shape))
        else:
            dual = wrap_plain(tensor.array).requires_grad_()
    _levels.duals[-1].append((dual, tangent))
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """(primal, tangent) of what was computed in this level; tangent None if none comes in."""
    duals = _levels.duals[-1] if _levels.duals else []
    primal = tensor.detach()
    for dual, tangent in duals:
        if dual is tensor:
            return UnpackedDualTensor(primal, tangent)
    if not duals or not tensor.requires_grad:
        return UnpackedDualTensor(primal, None)
    with enable_grad():
        inputs = [dual for dual, _ in duals]
        weight = wrap_plain(tensor.array * 0).requires_grad_()
        pulled = grad(tensor, inputs, weight, create_graph=True, allow_unused=True)
        reached = [
            (p, t) for p, (_, t) in zip(pulled, duals, strict=True)
            if p is not None and p.requires_grad
        ]  # fmt: skip
        if not reached:
            none = all(p is None for p in pulled)
            return UnpackedDualTensor(primal, None if none else wrap_plain(tensor.array * 0))
        parts, directions = zip(*reached, strict=True)
        (found,) = grad(parts, weight, directions, retain_graph=True, allow_unused=True)
    return UnpackedDualTensor(primal, found.detach() if found is not None else primal * 0)
