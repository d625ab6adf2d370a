"""Parameter and Buffer: the Tensors that a Module counts as its own."""

from __future__ import annotations

from typing import Any

from ..arrays import dtypes
from ..arrays.soon import multiplies_soon
from ..core.tensor import Size, Tensor, wrap_as
from ..tensors.creation import as_tensor, empty, tensor

__all__ = [
    "Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "is_lazy",
    "new_weight",
]  # fmt: skip


class Parameter(Tensor):
    """A leaf tensor that becomes a parameter of the Module it is assigned to.

    data           a Tensor or array whose memory it shares, or numbers
    requires_grad  whether backward computes a gradient for it

    Raises RuntimeError for integer data that is asked to require a gradient.

    >>> Parameter(Tensor([1.0, 2.0]))
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Any:
        array = _shared(data)
        if requires_grad and array.dtype.kind not in "fc":
            raise RuntimeError(
                "Parameter: Only Tensors of floating point dtype can require gradients, got "
                f"{dtypes.name_of(array.dtype)}; pass requires_grad=False for integer data"
            )
        return wrap_as(cls, array, requires_grad)


def new_weight(*shape: int, device: Any = None, dtype: Any = None) -> Parameter:
    """A Parameter of `shape`, with anything in it, that inputs are multiplied by."""
    made = Parameter(empty(*shape, device=device, dtype=dtype))
    multiplies_soon(made.array)
    return made


class Buffer(Tensor):
    """A tensor that becomes a buffer of the Module it is assigned to: state that is not trained.

    data        a Tensor or array whose memory it shares, or numbers
    persistent  whether it is part of `state_dict`
    """

    __slots__ = ()

    persistent: bool

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Any:
        made = wrap_as(cls, _shared(data), getattr(data, "requires_grad", False))
        made.persistent = persistent
        return made


def _shared(data: Any) -> Any:
    """The raw array of a Tensor or array, without a copy; of numbers a new one."""
    if isinstance(data, Tensor):
        return data.array
    if hasattr(data, "dtype"):
        return as_tensor(data).array
    return tensor(() if data is None else data, dtype=dtypes.get_default_dtype()).array


class _Uninitialized(Tensor):
    """A tensor whose shape is not known yet. Its array, of no elements, keeps type and device."""

    __slots__ = ()
    _becomes: type

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Gives this tensor a shape, and memory with anything in it; it stays the same object."""
        made = empty(
            *shape,
            device=Tensor.device.__get__(self) if device is None else device,
            dtype=self.array.dtype if dtype is None else dtype,
        )
        self.array = made.array
        self.__class__ = self._becomes

    @property
    def shape(self) -> Size:
        """Not known yet: raises RuntimeError."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer: run the lazy module's "
            "`forward` once, or load an initialized state_dict, to give it one"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(_Uninitialized, Parameter):
    """The parameter of a lazy module before its first input; see `LazyModuleMixin`."""

    __slots__ = ()
    _becomes = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        return Parameter.__new__(cls, empty(0, device=device, dtype=dtype), requires_grad)


class UninitializedBuffer(_Uninitialized):
    """The buffer of a lazy module before its first input."""

    __slots__ = ()
    _becomes = Tensor

    persistent: bool

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None,
        persistent: bool = True,
    ) -> Any:  # fmt: skip
        made = wrap_as(cls, empty(0, device=device, dtype=dtype).array, requires_grad)
        made.persistent = persistent
        return made


def is_lazy(value: Any) -> bool:
    """Whether `value` is a parameter or buffer without a shape."""
    return isinstance(value, _Uninitialized)
