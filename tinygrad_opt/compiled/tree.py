"""Tensors in what goes into a step and comes out of it: lists, tuples and dicts, to any depth."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from ..arrays.random import Generator
from ..core.node import Variable
from ..nn.module import Module
from ..optim.optimizer import Optimizer
from .values import CompileError

__all__ = ["flatten", "unflatten"]


class _Tensor:
    """Stands for the next tensor."""

    def __repr__(self) -> str:
        return "tensor"


_HERE = _Tensor()


def flatten(x: Any) -> tuple[list[Any], Any]:
    """The tensors in x, in order, and x with a mark in the place of each."""
    tensors: list[Any] = []
    return tensors, _without(x, tensors)


def _without(x: Any, tensors: list[Any]) -> Any:
    if isinstance(x, Variable):
        tensors.append(x)
        return _HERE
    if isinstance(x, np.ndarray):
        raise CompileError(
            "compile: an array is no argument of a compiled step; pass a tensor (from_numpy shares "
            "its memory)"
        )
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(_without(part, tensors) for part in x))
    if isinstance(x, (list, tuple)):
        return type(x)(_without(part, tensors) for part in x)
    if isinstance(x, dict):
        return {key: _without(part, tensors) for key, part in x.items()}
    if x is None or isinstance(x, (int, float, complex, str, bytes, slice, enum.Enum)):
        return x
    if isinstance(x, (Module, Optimizer, Generator)) or callable(x):
        return _Same(x)
    if type(x).__module__.partition(".")[0] in ("tinygrad_opt", "numpy"):  # types, devices, numbers
        return x
    raise CompileError(
        f"compile: {type(x).__name__} is no argument of a compiled step, which could not tell when "
        "it changes; pass tensors and numbers"
    )


class _Same:
    """An argument that is compared by identity; it is held, so that no other gets its id."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __repr__(self) -> str:
        return f"<{type(self.held).__name__} {id(self.held)}>"


def is_one_tensor(shape: Any) -> bool:
    """Whether what was taken apart was a tensor."""
    return shape is _HERE


def unflatten(shape: Any, tensors: list[Any]) -> Any:
    """What `flatten` took apart, with these tensors in it."""
    return _with(shape, iter(tensors))


def _with(shape: Any, tensors: Any) -> Any:
    if shape is _HERE:
        return next(tensors)
    if type(shape) is _Same:
        return shape.held
    if isinstance(shape, tuple) and hasattr(shape, "_fields"):
        return type(shape)(*(_with(part, tensors) for part in shape))
    if isinstance(shape, (list, tuple)):
        return type(shape)(_with(part, tensors) for part in shape)
    if isinstance(shape, dict):
        return {key: _with(part, tensors) for key, part in shape.items()}
    return shape
