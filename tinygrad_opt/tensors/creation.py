"""Making tensors: from data, filled with a value, as ranges. At random: `sampling.py`."""

from __future__ import annotations

import builtins
import numbers
from operator import index
from typing import Any

import numpy as np

from ..arrays import dtypes, random
from ..arrays.device import Device, check_device, cupy, default, device_of, shared, to_device
from ..arrays.quiet import quiet, quiet_cast
from ..arrays.xp import array_namespace, same_library
from ..core.promote import fitted
from ..core.public import publish
from ..core.tensor import Tensor, wrap_plain
from ..functions.outputs import OUT
from .gradients import check_float
from .layouts import placed

_int = builtins.int


def _made(array: Any, device: Any = None, requires_grad: builtins.bool = False) -> Tensor:
    """A Tensor over a fresh array, on `device`."""
    device = default.device if device is None else device
    result = wrap_plain(array if device is None else to_device(array, device))
    if requires_grad:
        check_float(result.array, "Only")
        result.requires_grad_()
    return result


def _library(device: Any) -> Any:
    """The library that makes arrays on `device`: what is filled there need not be sent there."""
    device = default.device if device is None else Device(device)
    if device is None or device.type == "cpu":
        return np
    check_device(device)
    return cupy()


def _shape(size: tuple[Any, ...]) -> tuple[_int, ...]:
    """`(2, 3)` from `f(2, 3)` and `f((2, 3))` alike."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    try:
        shape = tuple(n.__index__() for n in size)
    except (AttributeError, TypeError) as error:
        hint = "; a // b divides to an int" if any(isinstance(n, float) for n in size) else ""
        raise TypeError(f"argument 'size' must be tuple of ints, got {size}{hint}") from error
    if any(n < 0 for n in shape):
        raise RuntimeError(
            f"Trying to create tensor with negative dimension: {list(shape)}. Dimension size must "
            "be non-negative."
        )
    return shape


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False
) -> Tensor:
    """A new tensor with a copy of `data`: nested sequences, numbers, an array or a Tensor.

    Python floats become the default float type (float32), ints int64, bools bool; arrays keep
    their type. Raises ValueError for ragged sequences, TypeError for data that are not numbers.

    >>> tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    if isinstance(data, Tensor):
        array = data.array.copy()
        device = device_of(array) if device is None else device
    else:
        array = _from_python(data, dtype)
    return _made(array if dtype is None else quiet_cast(array, dtype), device, requires_grad)


def _from_python(data: Any, dtype: Any) -> Any:
    if hasattr(data, "__cuda_array_interface__"):
        return shared(data).copy()
    if isinstance(data, (np.ndarray, np.generic)):
        return np.array(dtypes.held(data if data.ndim else np.asanyarray(data), "tensor", dtype))
    if isinstance(data, (list, tuple)) and _holds_tensors(data):
        data = [x.tolist() if isinstance(x, Tensor) else x for x in data]
    try:
        array = np.array(data)
    except ValueError as error:
        raise ValueError(
            f"tensor: expected sequences of equal length at each depth: {error}"
        ) from None
    if array.dtype == np.uint64:
        raise RuntimeError("tensor: Overflow when unpacking long: an integer above 2**63 - 1")
    if array.dtype not in dtypes.NAMES and not (dtype is not None and array.dtype.kind in "iu"):
        kind = no_number(data) or type(data)
        refusal = TypeError if kind in (str, bytes) else RuntimeError
        raise refusal(f"tensor: could not infer a numeric type from {kind.__name__} data")
    first = data
    while isinstance(first, (list, tuple)) and len(first):
        first = first[0]
    typed = isinstance(first, (np.generic, np.ndarray))  # NumPy's numbers keep their type
    if dtype is None and (array.size == 0 or (array.dtype.kind == "f" and not typed)):
        array = quiet_cast(array, dtypes.get_default_dtype())
    elif dtype is None and array.dtype.kind == "c" and not typed:
        array = array.astype(dtypes.complex_of(dtypes.get_default_dtype()))
    return array


def no_number(data: Any) -> type | None:
    """The type of the first thing in nested sequences that is no number, if there is one."""
    if isinstance(data, (list, tuple)):
        return next(filter(None, map(no_number, data)), None)
    return None if isinstance(data, numbers.Number) else type(data)


def _holds_tensors(data: Any) -> builtins.bool:
    return any(isinstance(x, Tensor) for x in data)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a Tensor, without a copy where it is one already or is an array of that type."""
    if isinstance(data, Tensor):
        return data.to(dtype=dtype, device=device)
    if isinstance(data, np.ndarray):
        held = dtypes.held(data, "as_tensor", dtype)
        return wrap_plain(held).to(dtype=dtype, device=device)
    if hasattr(data, "__cuda_array_interface__"):
        return wrap_plain(shared(data)).to(dtype=dtype, device=device)
    return tensor(data, dtype=dtype, device=device)


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: builtins.bool | None = None,
    requires_grad: builtins.bool = False,
) -> Tensor:  # fmt: skip
    """`obj` as a Tensor: sharing its memory where possible, unless `copy`.

    Raises ValueError if `copy=False` and only a copy would do.
    """
    if copy:
        made = tensor(obj, dtype=dtype, device=device)
    else:
        made = as_tensor(obj, dtype=dtype, device=device)
        if copy is False and not _shares(obj, made.array):
            raise ValueError("asarray: can't alias memory: the result needs a copy of obj")
    return made.detach().requires_grad_() if requires_grad else made


def _shares(obj: Any, array: Any) -> builtins.bool:
    """Whether a Tensor, NumPy's array or one on a GPU lies in the memory of `array`."""
    given = obj.array if isinstance(obj, Tensor) else obj
    if not isinstance(given, np.ndarray) and hasattr(given, "__cuda_array_interface__"):
        given = shared(given)
    if not (hasattr(given, "shape") and same_library(given, array)):
        return False
    return builtins.bool(array_namespace(array).may_share_memory(given, array))


def scalar_tensor(s: Any, *, dtype: Any = None, device: Any = None,
                  requires_grad: builtins.bool = False) -> Tensor:  # fmt: skip
    """A 0-d tensor of the default float type."""
    return full((), s, dtype=dtype or dtypes.get_default_dtype(), device=device,
                requires_grad=requires_grad)  # fmt: skip


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A Tensor over a NumPy array, sharing its memory.

    Raises TypeError for anything else and for types that tensors do not have, ValueError where the
    memory cannot be shared: for the other byte order, and for elements that are not aligned.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected np.ndarray (got {type(ndarray).__name__})")
    array = dtypes.held(ndarray, "from_numpy")
    if array.dtype != ndarray.dtype:
        raise ValueError(
            "from_numpy: given numpy array has byte order different from the native byte order. "
            "Conversion between byte orders is not supported here, where memory is shared; use "
            "tensor(array), which copies"
        )
    if not ndarray.flags.aligned:
        raise ValueError(
            "from_numpy: given numpy array strides not a multiple of the element byte size. Copy "
            "the numpy array to reallocate the memory, or use tensor(array)"
        )
    return wrap_plain(array)


@quiet
def full(
    size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None,
    requires_grad: builtins.bool = False,
) -> Tensor:  # fmt: skip
    """A tensor of `size` filled with `fill_value`; its type follows the value unless given."""
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    kind = dtypes.of_scalar(value) if dtype is None else np.dtype(dtype)
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"full: argument 'size' must be tuple of ints, not {type(size).__name__}")
    made = _library(device).full(_shape((size,)), fitted(value, kind), kind)
    return _made(made, device, requires_grad)


def _filled(name: str, what: str) -> Any:
    def function(
        size: Any, *more: _int, dtype: Any = None, device: Any = None,
        requires_grad: builtins.bool = False,
    ) -> Tensor:  # fmt: skip
        kind = dtype or dtypes.get_default_dtype()
        make = getattr(_library(device), name)
        return _made(make(_shape((size, *more)), kind), device, requires_grad)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{what}: `{name}(2, 3)` or `{name}((2, 3))`."
    return function


zeros, ones = _filled("zeros", "Zeros"), _filled("ones", "Ones")
empty = _filled("empty", "Uninitialised memory")


def _like(make: Any) -> Any:
    def function(
        input: Tensor,
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: builtins.bool = False,
    ) -> Tensor:
        return make(
            tuple(input.shape), dtype=dtype or input.dtype,
            device=input.device if device is None else device, requires_grad=requires_grad,
        )  # fmt: skip

    function.__name__ = function.__qualname__ = f"{make.__name__}_like"
    function.__doc__ = f"`{make.__name__}` in the shape, type and device of `input`."
    return function


def full_like(input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None,
              requires_grad: builtins.bool = False) -> Tensor:  # fmt: skip
    """`full` in the shape, type and device of `input`."""
    return full(
        tuple(input.shape), fill_value, dtype=dtype or input.dtype,
        device=input.device if device is None else device, requires_grad=requires_grad,
    )  # fmt: skip


def eye(n: _int, m: _int | None = None, *, dtype: Any = None, device: Any = None,
        requires_grad: builtins.bool = False) -> Tensor:  # fmt: skip
    """The identity matrix (n, m)."""
    if n < 0 or (m or 0) < 0:
        raise RuntimeError(f"eye: n must be greater or equal to 0, got {min(n, m or 0)}")
    made = _library(device).eye(n, m, dtype=dtype or dtypes.get_default_dtype())
    return _made(made, device, requires_grad)


# Ranges -------------------------------------------------------------------------------------------


def arange(
    start: Any = 0, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None,
    requires_grad: builtins.bool = False,
) -> Tensor:  # fmt: skip
    """start, start + step, ... below end: int64 for integers, else the default float type."""
    if end is None:
        start, end = 0, start
    start, end, step = _numbers(start, end, step)
    if step == 0:
        raise RuntimeError("arange: step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(
            "arange: upper bound and lower bound inconsistent with step sign: "
            f"start {start}, end {end}, step {step}"
        )
    if dtype is None:
        whole = all(isinstance(v, (_int, np.integer)) for v in (start, end, step))
        dtype = dtypes.int64 if whole else dtypes.get_default_dtype()
    if all(isinstance(n, _int) for n in (start, end, step)) and dtype == np.int64:
        return _made(_library(device).arange(start, end, step), device, requires_grad)
    return _made(quiet_cast(np.arange(start, end, step), dtype), device, requires_grad)


def _numbers(*values: Any) -> tuple[Any, ...]:
    """0-d tensors, and NumPy's numbers, as Python numbers."""
    return tuple(v.item() if isinstance(v, (Tensor, np.generic)) else v for v in values)


@quiet
def linspace(
    start: Any, end: Any, steps: _int, *, dtype: Any = None, device: Any = None,
    requires_grad: builtins.bool = False,
) -> Tensor:  # fmt: skip
    """`steps` numbers from start to end, both included."""
    start, end = _numbers(start, end)
    if steps < 0:
        raise RuntimeError(f"linspace: number of steps must be non-negative, got {steps}")
    kind = np.dtype(dtype or dtypes.get_default_dtype())
    made = np.linspace(start, end, steps, dtype=kind if kind.kind == "f" else None)
    return _made(made.astype(kind), device, requires_grad)


@quiet
def logspace(
    start: Any, end: Any, steps: _int, base: float = 10.0, *, dtype: Any = None,
    device: Any = None, requires_grad: builtins.bool = False,
) -> Tensor:  # fmt: skip
    """`steps` powers of `base`, from base^start to base^end."""
    start, end = _numbers(start, end)
    if steps < 0:
        raise RuntimeError(f"logspace: number of steps must be non-negative, got {steps}")
    kind = dtype or dtypes.get_default_dtype()
    return _made(np.logspace(start, end, steps, base=base).astype(kind), device, requires_grad)


def _triangle_indices(name: str) -> Any:
    def function(
        row: _int, col: _int, offset: _int = 0, *, dtype: Any = None, device: Any = None
    ) -> Tensor:
        find = np.tril_indices if name == "tril_indices" else np.triu_indices
        row, col, offset = index(row), index(col), index(offset)
        return _made(np.stack(find(row, offset, col)).astype(dtype or dtypes.int64), device)

    function.__name__ = name
    which = "lower" if name == "tril_indices" else "upper"
    function.__doc__ = (
        f"The positions of the {which} triangle of a matrix (row, col), row by row: a tensor "
        "(2, n) of rows and columns."
    )
    return function


tril_indices, triu_indices = _triangle_indices("tril_indices"), _triangle_indices("triu_indices")
zeros_like, ones_like, empty_like = _like(zeros), _like(ones), _like(empty)
device = Device

placed(
    globals(),
    ("tensor", "asarray", "scalar_tensor", "full", "zeros", "ones", "empty", "full_like", "eye",
     "arange", "linspace", "logspace", "tril_indices", "triu_indices", "zeros_like", "ones_like",
     "empty_like"),
)  # fmt: skip
publish(globals(), ("zeros_like", "ones_like", "empty_like", "full_like", "tril_indices",
                    "triu_indices", *OUT["creation"]), out=OUT["creation"])  # fmt: skip


random.tensor_over = wrap_plain
