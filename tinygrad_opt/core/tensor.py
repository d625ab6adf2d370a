"""Tensor: an array that remembers how it was made.

Third of the reading path; next: `core/record.py`. Here stands what a tensor is: an array, and three
fields beside it. What it can do are functions of the floors above (`x + y` is `ops.add`, `x.sum()`
is `functions.sum`); `tensors/methods.py` binds them to the class.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import element_types
from ..arrays.device import CPU, Device, device_of
from ..arrays.element_types import type_of
from ..arrays.rowsparse import RowSparse
from ..arrays.size import Size, size_of
from .bound import Bound
from .node import Node, Variable

__all__ = ["Size", "Tensor", "wrap", "wrap_as", "wrap_plain"]

_new: Any = object.__new__


class Tensor(Bound, Variable):
    """An n-dimensional array with reverse-mode automatic differentiation.

    `Tensor([1, 2])` makes a tensor of the default float type, whatever the type of the data, and
    `Tensor(2, 3)` one of that size with whatever its memory holds. `Tensor(array)` shares the
    memory of an array of that type, `Tensor(tensor)` that of any tensor. Most code says
    `tinygrad_opt.tensor(data)` instead, which always copies and infers the type.

    array          the raw array; writing to it is seen by the tensor, and not by autograd
    grad           the gradient accumulated by `backward()`: a Tensor, or None
    requires_grad  whether operations on it are recorded
    grad_fn        the Node of the operation that made it; None for a leaf

    >>> x = Tensor([1.0, 2.0]).requires_grad_()
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ()
    __array_priority__ = 1000  # NumPy arrays leave `array * tensor` to the tensor
    __hash__ = object.__hash__  # by identity: tensors are keys of optimizer state
    _namespace: Any  # what `xp` answers for Tensors: the package `ops`

    @property
    def shape(self) -> Size:
        """The length of each axis."""
        return size_of(Size, self.array.shape)

    @property
    def dtype(self) -> element_types.dtype:
        """The element type, as `torch.float32`."""
        return type_of(self.array.dtype)

    @property
    def device(self) -> Device:
        """Where the memory lies: cpu or cuda:N."""
        return CPU if type(self.array) is np.ndarray else device_of(self.array)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self.node is None

    def detach(self) -> Tensor:
        """The same memory without history: nothing flows back through it."""
        return wrap_plain(self.array)

    @property
    def data(self) -> Tensor:
        """Like `detach()`, but backward does not notice writes to it.

        Assigning gives this tensor another array, past autograd.
        """
        tensor = wrap_plain(self.array)
        tensor._unversioned = True
        return tensor

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Variable):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        self.array = value.array
        if self._edits is not None:
            self._edits.made = True


# The framework's own constructors: past Tensor(...), whose meaning is PyTorch's, and quicker ------


def wrap(array: Any) -> Tensor:
    """A Tensor over a raw array, without history."""
    made = _new(Tensor)
    made.array = array
    made._requires_grad = False
    made.node = made._grad = None
    return made


def wrap_plain(array: Any) -> Tensor:
    """A Tensor over a raw array, NumPy scalar or RowSparse, without history."""
    if type(array) is RowSparse:
        return wrap_as(RowSparse.tensor_class, array)
    return wrap(np.asarray(array) if isinstance(array, np.generic) else array)


def wrap_as(kind: type, array: Any, requires_grad: bool = False, node: Node | None = None) -> Any:
    """A tensor of the class `kind` over a raw array or RowSparse."""
    made = _new(kind)
    made.array, made._requires_grad, made.node, made._grad = array, requires_grad, node, None
    return made
