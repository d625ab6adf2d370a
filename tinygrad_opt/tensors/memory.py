"""What a tensor is made of, conversions by name of type, and new tensors of its kind."""

# mypy: disable-error-code="override"

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functions, ops
from ..arrays import dtypes
from ..arrays.device import device_of
from ..arrays.memory import address, owner
from ..arrays.size import WHOLE
from ..core.node import Variable
from ..core.tensor import Tensor, wrap_as
from ..core.views import tie
from . import creation, typed
from .layouts import check_format, contiguous_format, lies_so, strided, takes_memory
from .layouts import layout as Layout


class Description(Tensor):
    """Methods that look at a tensor's memory, or make another like it; `methods.py` binds them."""

    __slots__ = ()

    # Size -----------------------------------------------------------------------------------------

    def dim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of axis `dim`."""
        return self.shape if dim is None else self.array.shape[dim]

    def numel(self) -> int:
        """The number of elements."""
        return int(self.array.size)

    nelement = numel

    def element_size(self) -> int:
        """Bytes per element."""
        return int(self.array.itemsize)

    def is_floating_point(self) -> bool:
        """Whether the elements are floats."""
        return bool(self.array.dtype.kind == "f")

    def is_contiguous(self, memory_format: Any = contiguous_format) -> bool:
        """Whether the elements lie in memory in row-major order, or that of another format."""
        check_format("is_contiguous", memory_format, self.array.ndim)
        return lies_so(self.array, memory_format)

    @property
    def is_cuda(self) -> bool:
        """Whether the memory lies on a CUDA device."""
        return self.device.type == "cuda"

    # Memory ---------------------------------------------------------------------------------------

    def stride(self, dim: int | None = None) -> Any:
        """How many elements further in memory the next one along each axis lies."""
        strides = tuple(n // self.array.itemsize for n in self.array.strides)
        return strides if dim is None else strides[dim]

    def storage_offset(self) -> int:
        """How many elements before the first one belong to the memory that is shared."""
        return (self.data_ptr() - address(owner(self.array))) // self.array.itemsize

    def data_ptr(self) -> int:
        """The address of the first element."""
        return address(self.array)

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return int(self.array.itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return int(self.array.nbytes)

    @property
    def is_cpu(self) -> bool:
        """Whether the memory is main memory."""
        return type(self.array) is np.ndarray

    @property
    def is_sparse(self) -> bool:
        """Whether it is row-sparse, as gradients of tables may be."""
        return False

    @property
    def layout(self) -> Layout:
        """`strided`; of row-sparse tensors `sparse_coo`."""
        return strided

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Any:
        """This tensor itself, or in another type; row-sparse ones with all their zeros."""
        return self if dtype is None else self.to(dtype)

    def get_device(self) -> int:
        """The number of the CUDA device; -1 for main memory."""
        index = device_of(self.array).index
        return -1 if index is None else index

    def ndimension(self) -> int:
        """The number of axes."""
        return int(self.array.ndim)

    def sum_to_size(self, size: Any, *more: int) -> Tensor:
        """Summed over the axes along which `size` would broadcast to this shape."""
        shape = (size, *more) if isinstance(size, WHOLE) else tuple(size)
        extra = self.array.ndim - len(shape)
        kept = self.array.shape[max(extra, 0) :]
        if extra < 0 or any(n not in (1, m) for n, m in zip(shape, kept, strict=True)):
            raise RuntimeError(
                f"size {{{list(shape)}}} is not expandable to size {{{list(self.array.shape)}}}."
            )
        axes = [i for i in range(self.array.ndim)
                if i < extra or shape[i - extra] != self.array.shape[i]]  # fmt: skip
        summed: Any = functions.sum(self, axes, keepdim=True) if axes else self
        return functions.reshape(summed, shape)

    # As another class -----------------------------------------------------------------------------

    def as_subclass(self, cls: type) -> Any:
        """The same memory and history as an object of `cls`, a subclass of Tensor."""
        if not (isinstance(cls, type) and issubclass(cls, Variable)):
            raise TypeError(f"as_subclass: cls must be a subclass of Tensor, got {cls!r}")
        alias = ops.getitem(self, index=...)
        return tie(wrap_as(cls, alias.array, alias._requires_grad, alias.node), self)

    @staticmethod
    def _make_subclass(cls: type, data: Any, require_grad: bool = False) -> Any:
        """A leaf of `cls` that shares the memory of a Tensor: for `__new__` of subclasses."""
        made = wrap_as(cls, data.array)
        if require_grad:
            made.requires_grad_()
        return made

    # Types ----------------------------------------------------------------------------------------

    def short(self) -> Tensor:
        """As int16."""
        return self.to(dtypes.int16)

    def char(self) -> Tensor:
        """As int8."""
        return self.to(dtypes.int8)

    def byte(self) -> Tensor:
        """As uint8."""
        return self.to(dtypes.uint8)

    # New tensors of this type, on this device -----------------------------------------------------

    def new_tensor(
        self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
    ) -> Tensor:
        """A copy of `data`."""
        dtype, device = dtype or self.array.dtype, device or device_of(self.array)
        return creation.tensor(data, dtype=dtype, device=device, requires_grad=requires_grad)

    def new(self, *args: Any) -> Tensor:
        """As the constructors of old: `new(2, 3)` is uninitialised, `new([1, 2])` has that data."""
        return getattr(typed, f"{dtypes.name_of(self.array.dtype)}Tensor")(*args)

    def new_full(
        self, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None,
        requires_grad: bool = False,
    ) -> Tensor:  # fmt: skip
        """`fill_value` everywhere."""
        return _new(self, "full", (size, fill_value), dtype, device, requires_grad)

    def new_zeros(
        self, size: Any, *more: int, dtype: Any = None, device: Any = None,
        requires_grad: bool = False,
    ) -> Tensor:  # fmt: skip
        """Zeros of `size`."""
        return _new(self, "zeros", (size, *more), dtype, device, requires_grad)

    def new_ones(
        self, size: Any, *more: int, dtype: Any = None, device: Any = None,
        requires_grad: bool = False,
    ) -> Tensor:  # fmt: skip
        """Ones of `size`."""
        return _new(self, "ones", (size, *more), dtype, device, requires_grad)

    def new_empty(
        self, size: Any, *more: int, dtype: Any = None, device: Any = None,
        requires_grad: bool = False,
    ) -> Tensor:  # fmt: skip
        """Uninitialised memory of `size`."""
        return _new(self, "empty", (size, *more), dtype, device, requires_grad)


for _name in ("new_tensor", "new_full", "new_zeros", "new_ones", "new_empty"):
    setattr(Description, _name, takes_memory(getattr(Description, _name)))

_OF_THE_GRAPH = {"_base", "_home", "_hooks", "_layout", "_past", "_tied", "_unversioned",
                 "_viewed"}  # fmt: skip


def own_attributes(tensor: Any) -> dict[str, Any]:
    """What users and subclasses have set on a tensor, which copies take along."""
    return {name: v for name, v in tensor.__dict__.items() if name not in _OF_THE_GRAPH}


def _new(like: Any, name: str, args: Any, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    return getattr(creation, name)(
        *args, dtype=dtype or like.array.dtype, device=device or device_of(like.array),
        requires_grad=requires_grad,
    )  # fmt: skip
