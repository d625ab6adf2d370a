"""Row-sparse tensors: what `.grad` is where few rows of a table were looked up.

`Embedding(sparse=True)` makes them, optimizers such as `SparseAdam` step the named rows alone. As
in PyTorch they list their rows as they came, repeats and all, until `coalesce()` adds those up.
Only the first axis is sparse; with more, `sparse_coo_tensor` makes tensors of `coordinates.py`.
"""

# mypy: disable-error-code="override"

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays.device import Device
from ..arrays.rowsparse import RowSparse
from ..arrays.xp import xp
from ..core.node import Variable
from ..core.tensor import Tensor, wrap_as, wrap_plain
from .coordinates import CooTensor, Listed, addmm, mm, shape_of, spmm
from .creation import as_tensor

__all__ = [
    "CooTensor", "DoubleTensor", "FloatTensor", "LongTensor", "SparseTensor", "addmm", "mm",
    "sparse_coo_tensor", "spmm",
]  # fmt: skip


class SparseTensor(Listed):
    """A tensor that is zero but for some rows, by PyTorch's names for its `sparse_coo` layout.

    `array` is a RowSparse. It can be added to its like and to dense tensors, scaled by numbers,
    emptied and made dense; any other operation raises NotImplementedError.

    >>> g = sparse_coo_tensor([[1, 0, 1]], [1.0, 2.0, 3.0], (3,))
    >>> g.coalesce()
    tensor(indices=tensor([[0, 1]]),
           values=tensor([2., 4.]),
           size=(3,), nnz=2, layout=torch.sparse_coo)
    >>> g.to_dense()
    tensor([2., 4., 0.])
    """

    __slots__ = ()

    array: RowSparse

    def __new__(cls, array: RowSparse) -> SparseTensor:
        return wrap_as(cls, array)

    # What it is -----------------------------------------------------------------------------------

    @property
    def device(self) -> Device:
        """Where the memory lies."""
        return self.array.device

    def sparse_dim(self) -> int:
        """1: how many axes are sparse."""
        return 1

    def dense_dim(self) -> int:
        """How many axes a row has."""
        return self.array.ndim - 1

    def _nnz(self) -> int:
        return len(self.array.rows)

    def is_coalesced(self) -> bool:
        """Whether the rows ascend, each there once."""
        return self.array.unique

    def _indices(self) -> Tensor:
        return wrap_plain(self.array.rows[None])

    def _values(self) -> Tensor:
        return wrap_plain(self.array.values)

    # Other forms ----------------------------------------------------------------------------------

    def coalesce(self) -> SparseTensor:
        """The same tensor with each row once; itself if it is so already."""
        return self if self.array.unique else SparseTensor(self.array.coalesce())

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
        """With all its zeros."""
        dense = wrap_plain(self.array.to_dense())
        return dense if dtype is None else dense.to(dtype)

    def clone(self) -> SparseTensor:
        """A copy."""
        return SparseTensor(self.array.copy())

    def detach(self) -> SparseTensor:
        """The same memory."""
        return SparseTensor(self.array)

    @property
    def data(self) -> Tensor:
        """The same memory; assigning a row-sparse tensor gives this one its rows."""
        return SparseTensor(self.array)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, SparseTensor):
            raise RuntimeError(
                "incompatible tensor type: the data of a row-sparse tensor can only be row-sparse"
            )
        self.array = value.array

    def to(self, *args: Any, **kwargs: Any) -> SparseTensor:
        """On another device, in another float type, or both, as `Tensor.to`."""
        values = self._values().to(*args, **kwargs)
        if values.array is self.array.values:
            return self
        moved = self.array.to_device(values.device)
        return SparseTensor(RowSparse(moved.rows, values.array, moved.shape, moved.unique))

    def norm(self, p: Any = 2) -> Tensor:
        """The norm of all elements."""
        return self.coalesce()._values().norm(p)

    # Arithmetic -----------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        if isinstance(other, SparseTensor):
            return SparseTensor(self.array + other.array)
        return self.to_dense() + other

    __radd__ = __add__

    def __mul__(self, number: Any) -> SparseTensor:
        return SparseTensor(self.array * _number("mul", number))

    __rmul__ = __mul__

    def __truediv__(self, number: Any) -> SparseTensor:
        return self * (1 / _number("div", number))

    def __neg__(self) -> SparseTensor:
        return self * -1

    def mul_(self, other: Any) -> SparseTensor:
        """self *= a number."""
        self.array *= _number("mul_", other)
        return self

    def div_(self, other: Any, *, rounding_mode: str | None = None) -> SparseTensor:
        """self /= a number."""
        return self.mul_(1 / _number("div_", other))

    __imul__, __itruediv__ = mul_, div_

    def add_(self, other: Any, *, alpha: float = 1) -> SparseTensor:
        """self += alpha * another row-sparse tensor."""
        if not isinstance(other, SparseTensor):
            raise RuntimeError(
                "add(sparse, dense) is not supported. Use add(dense, sparse) instead."
            )
        self.array = self.array + (other * alpha).array
        return self

    __iadd__ = add_

    def zero_(self) -> SparseTensor:
        """Drops all rows."""
        rows, values = self.array.rows[:0], self.array.values[:0]
        self.array = RowSparse(rows, values, self.array.shape, unique=True)
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> SparseTensor:
        return self.clone()

    def __reduce__(self) -> Any:
        held = self.array
        return _rebuild, (held.rows, held.values, held.shape, held.unique)


def sparse_coo_tensor(
    indices: Any, values: Any, size: Any = None, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, check_invariants: bool | None = None,
    is_coalesced: bool | None = None, layout: Any = None, pin_memory: bool | None = None,
) -> Any:  # fmt: skip
    """A sparse tensor of shape `size` with `values` (nnz, ...) added at `indices` (axes, nnz).

    size           by default as long as the largest indices need
    is_coalesced   a promise that the indices ascend and none occurs twice
    With one sparse axis it is a SparseTensor, with more a `CooTensor`, which passes gradients to
    `values`. The indices are always checked. Raises RuntimeError if they do not fit,
    NotImplementedError for requires_grad.
    """
    if requires_grad:
        raise NotImplementedError(
            "sparse_coo_tensor: sparse tensors cannot require gradients; with two sparse axes let "
            "`values` require them"
        )
    at, held = as_tensor(indices, device=device), as_tensor(values, dtype=dtype, device=device)
    if at.ndim != 2:
        raise RuntimeError(
            "sparse_coo_tensor: indices must be a matrix (sparse axes, nnz), got shape "
            f"{tuple(at.shape)}"
        )
    places = at.array.astype(np.int64)
    shape = shape_of(places, held, size)
    if len(places) != 1:
        return CooTensor(places, held, shape, bool(is_coalesced))
    rows = RowSparse(places[0], held.detach().array, shape, bool(is_coalesced))
    return SparseTensor(rows)


FloatTensor = DoubleTensor = LongTensor = sparse_coo_tensor  # old names, in many scripts


def _number(name: str, value: Any) -> Any:
    if isinstance(value, Variable):
        value = value.array
    if getattr(value, "shape", ()) not in ((), (1,)):
        raise NotImplementedError(
            f"{name}: row-sparse tensors are multiplied by numbers only, got shape "
            f"{tuple(value.shape)}; call .to_dense() first"
        )
    return xp(value).reshape(value, ()) if hasattr(value, "shape") else value


def _rebuild(rows: Any, values: Any, shape: tuple[int, ...], unique: bool) -> SparseTensor:
    return SparseTensor(RowSparse(rows, values, shape, unique))


RowSparse.tensor_class = SparseTensor
