"""Methods of Tensor that Python's own syntax asks for: indices, loops, truth, text, copies."""

# mypy: disable-error-code="override"

from __future__ import annotations

import builtins
import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import ops
from ..arrays.device import no_faults
from ..core.tensor import Tensor, wrap_as, wrap_plain
from ..core.views import one_of_several
from . import indexing, printing
from .memory import own_attributes

__all__ = ["Container"]


class Container(Tensor):
    """Methods; `methods.py` binds them to Tensor."""

    __slots__ = ()

    def __len__(self) -> Any:
        if self.array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return len(self.array)

    def __iter__(self) -> Iterator[Tensor]:
        if self.array.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return (piece for i in range(len(self.array)) for piece in one_of_several([self[i]]))

    def __contains__(self, value: Any) -> Any:
        return builtins.bool((self.array == getattr(value, "array", value)).any())

    def __getitem__(self, index: Any) -> Tensor:
        basic, advanced = indexing.parts_of(index)
        try:
            picked = self if basic is None else ops.getitem(self, index=basic)
            return picked if advanced is None else ops.getitem(picked, index=advanced)
        except IndexError as error:
            raise indexing.explained(error, tuple(self.array.shape)) from error

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        array = self.numpy()
        return np.array(array, dtype=dtype, copy=copy) if dtype is not None or copy else array

    def __float__(self) -> Any:
        return builtins.float(self._single())

    def __int__(self) -> Any:
        return builtins.int(self._single())

    def __complex__(self) -> Any:
        return complex(self._single())

    def __index__(self) -> Any:
        if self.array.dtype.kind not in "iub" or self.array.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return builtins.int(self.array.item())

    def _single(self) -> Any:
        if self.array.size != 1:  # ValueError: matplotlib and others go on from there
            raise ValueError(
                "only one element tensors can be converted to Python scalars, got one of shape "
                f"{tuple(self.array.shape)}"
            )
        value = self.array.item()
        no_faults.check()
        return value

    def __bool__(self) -> Any:
        if self.array.size != 1:
            raise RuntimeError(
                "Boolean value of Tensor with more than one value is ambiguous"
                if self.array.size
                else "Boolean value of Tensor with no values is ambiguous"
            )
        return builtins.bool(self.array.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.array.ndim == 0 else object.__format__(self, spec)

    def __repr__(self) -> str:
        return printing.to_text(self)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        if self.node is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol; take tensor.detach().clone()"
            )
        copied = wrap_as(type(self), self.array.copy(), self.requires_grad)
        memo[id(self)] = copied
        if self._grad is not None:
            copied._grad = wrap_plain(self._grad.array.copy())
        copied.__dict__.update(copy.deepcopy(own_attributes(self), memo))
        return copied

    def __reduce__(self) -> Any:
        attributes = own_attributes(self)
        parts = (type(self), self.array, self.requires_grad)
        return (wrap_as, parts, attributes) if attributes else (wrap_as, parts)
