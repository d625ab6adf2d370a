"""Methods that scripts call about other memory, kinds and devices: true answers, and no-ops.

There is main memory and one GPU, and every tensor here is dense (but row-sparse gradients), real
or complex, and neither quantised nor nested.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays.device import device_of, is_available
from ..arrays.memory import owner
from ..arrays.size import WHOLE
from ..core.tensor import Tensor, wrap_plain
from ..core.versions import note_write
from .coordinates import of_dense

__all__ = ["OtherKinds", "UntypedStorage"]


class UntypedStorage:
    """The memory of a tensor, as far as scripts ask `untyped_storage()` about it."""

    def __init__(self, tensor: Tensor) -> None:
        self._array = tensor.array

    def data_ptr(self) -> int:
        """The address of the first element of the memory that the tensor looks at."""
        return wrap_plain(owner(self._array)).data_ptr()

    def nbytes(self) -> int:
        """Bytes of the memory that the tensor looks at."""
        return int(owner(self._array).nbytes)

    size = __len__ = nbytes

    def __repr__(self) -> str:
        return f"<storage of {self.nbytes()} bytes>"


class OtherKinds(Tensor):
    """Methods; `methods.py` binds them to Tensor."""

    __slots__ = ()

    # Memory ---------------------------------------------------------------------------------------

    def pin_memory(self, device: Any = None) -> Tensor:
        """This tensor: memory is not pinned here, which with a GPU copies would be quicker from."""
        return self

    def is_pinned(self, device: Any = None) -> bool:
        """False."""
        return False

    def share_memory_(self) -> Tensor:
        """This tensor; other processes get copies."""
        return self

    def is_shared(self) -> bool:
        """False: other processes get copies."""
        return False

    def untyped_storage(self) -> UntypedStorage:
        """The memory, for `data_ptr()` and `nbytes()`: whether two tensors share it."""
        return UntypedStorage(self)

    storage = untyped_storage

    def is_set_to(self, tensor: Tensor) -> bool:
        """Whether both are the same elements of the same memory."""
        a, b = self.array, tensor.array
        return (a.shape, a.strides, a.dtype) == (b.shape, b.strides, b.dtype) and (
            self.data_ptr() == tensor.data_ptr()
        )

    def set_(
        self, source: Tensor | None = None, storage_offset: int = 0, size: Any = None,
        stride: Any = None,
    ) -> Tensor:  # fmt: skip
        """Lets this tensor be the memory of `source`, or a view of it; without one it is empty.

        Raises RuntimeError for another type, and for a view outside the memory.
        """
        array = np.empty(0, self.array.dtype) if source is None else source.array
        if array.dtype != self.array.dtype:
            raise RuntimeError(
                f"set_: expected a source of type {self.dtype}, got {type(source).__name__} of "
                f"{array.dtype}"
            )
        if size is not None:
            array = _view(array, storage_offset, tuple(size), stride)
        self.data = wrap_plain(array)
        return self

    def resize_(self, size: Any, *more: int, memory_format: Any = None) -> Tensor:
        """Gives this tensor another size: its elements in their order, and then anything.

        Raises RuntimeError where a gradient is required.
        """
        if self.requires_grad:
            raise RuntimeError("cannot resize variables that require grad")
        shape = (size, *more) if isinstance(size, WHOLE) else tuple(size)
        count = int(np.prod(shape, dtype=np.int64))
        if count <= self.array.size and self.array.flags.c_contiguous:
            self.array = self.array.reshape(-1)[:count].reshape(shape)
        else:
            made = np.zeros(count, self.array.dtype)
            kept = self.array.reshape(-1)[:count]
            made[: kept.size] = kept
            self.array = made.reshape(shape)
        return self

    def resize_as_(self, the_template: Tensor, memory_format: Any = None) -> Tensor:
        """`resize_` to the shape of another tensor."""
        return self.resize_(tuple(the_template.shape))

    def to_sparse(self, sparse_dim: int | None = None) -> Any:
        """This tensor by its entries that are not 0; `sparse_dim`: how many axes are sparse."""
        return of_dense(self, sparse_dim)

    # Types ----------------------------------------------------------------------------------------

    def bfloat16(self, memory_format: Any = None) -> Tensor:
        """Raises TypeError: tensors have no such type; `half()` stores numbers in 16 bits."""
        raise TypeError(
            "bfloat16: tensors here have no elements of this type, since NumPy has none; use "
            "float(), or half() for what is only stored"
        )

    @property
    def is_meta(self) -> bool:
        """False: every tensor has memory."""
        return False

    @property
    def is_quantized(self) -> bool:
        """False."""
        return False

    @property
    def is_nested(self) -> bool:
        """False."""
        return False

    @property
    def is_mkldnn(self) -> bool:
        """False."""
        return False

    @property
    def is_mps(self) -> bool:
        """False."""
        return False

    @property
    def is_xpu(self) -> bool:
        """False."""
        return False

    @property
    def is_xla(self) -> bool:
        """False."""
        return False

    @property
    def is_sparse_csr(self) -> bool:
        """False."""
        return False

    def is_inference(self) -> bool:
        """False: tensors made under `inference_mode` can be recorded later."""
        return False

    def is_distributed(self) -> bool:
        """False."""
        return False

    @property
    def output_nr(self) -> int:
        """0: which output of its operation it is, where that has one."""
        return 0

    @property
    def name(self) -> None:
        """None: tensors have no names."""
        return None

    @property
    def names(self) -> tuple[None, ...]:
        """None for each axis: axes have no names."""
        return (None,) * self.array.ndim

    def record_stream(self, stream: Any) -> None:
        """Nothing: work on the GPU is in one order."""

    # Elements by a Python function ----------------------------------------------------------------

    def apply_(self, callable: Callable[[Any], Any]) -> Tensor:
        """Replaces every element by `callable(element)`: slow, and not recorded."""
        _check_host(self, "apply_")
        values = [callable(value) for value in self.array.ravel().tolist()]
        return _overwritten(self, values)

    def map_(self, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
        """Replaces every element by `callable(it, that of tensor)`: slow, and not recorded."""
        _check_host(self, "map_")
        other = np.broadcast_to(tensor.array, self.array.shape).ravel().tolist()
        pairs = zip(self.array.ravel().tolist(), other, strict=True)
        return _overwritten(self, [callable(a, b) for a, b in pairs])


def _view(array: Any, offset: int, size: tuple[int, ...], stride: Any) -> Any:
    if stride is None:
        stride = [int(np.prod(size[i + 1 :], dtype=np.int64)) for i in range(len(size))]
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if offset < 0 or min(stride, default=0) < 0 or (0 not in size and last >= array.size):
        raise RuntimeError(
            f"set_: a view of size {list(size)} and stride {list(stride)} from element {offset} on "
            f"does not lie in a memory of {array.size} elements"
        )
    steps = [n * array.itemsize for n in stride]
    return np.lib.stride_tricks.as_strided(array.reshape(-1)[offset:], size, steps)


def _check_host(tensor: Any, name: str) -> None:
    if tensor.requires_grad:
        raise RuntimeError(f"Can't call {name}() on Variable that requires grad. Use "
                           f"var.detach().{name}() instead.")  # fmt: skip
    if is_available() and device_of(tensor.array).type != "cpu":
        raise TypeError(f"{name} is only implemented on CPU tensors")


def _overwritten(tensor: Any, values: list[Any]) -> Any:
    tensor.array[...] = np.array(values, tensor.array.dtype).reshape(tensor.array.shape)
    note_write(tensor.array)
    return tensor
