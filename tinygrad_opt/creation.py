"""Making tensors: from data, filled with a value, as ranges, and at random."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from . import dtypes, random
from ._tensor import Tensor
from .backend import Device, device_of, to_device
from .random import Generator

_int = builtins.int


def _made(array: Any, device: Any = None, requires_grad: builtins.bool = False) -> Tensor:
    """A Tensor over a fresh array, on `device`."""
    result = Tensor(array if device is None else to_device(array, device))
    return result.requires_grad_() if requires_grad else result


def _shape(size: tuple[Any, ...]) -> tuple[_int, ...]:
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    return tuple(_int(n) for n in size)


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False
) -> Tensor:
    """A new tensor with a copy of `data`: nested sequences, numbers, an array or a Tensor.

    Python floats become the default float type (float32), ints int64, bools bool; arrays keep
    their type. Raises ValueError for ragged sequences, TypeError for data that are no numbers.

    >>> tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    if isinstance(data, Tensor):
        array = data.array.copy()
        device = device_of(array) if device is None else device
    else:
        array = _from_python(data)
    return _made(array if dtype is None else array.astype(dtype), device, requires_grad)


def _from_python(data: Any) -> Any:
    if hasattr(data, "__cuda_array_interface__"):
        return data.copy()
    if isinstance(data, (np.ndarray, np.generic)):
        return np.array(data)
    if isinstance(data, (list, tuple)) and _holds_tensors(data):
        data = [x.tolist() if isinstance(x, Tensor) else x for x in data]
    try:
        array = np.array(data)
    except ValueError as error:
        raise ValueError(
            f"tensor: expected sequences of equal length at each depth: {error}"
        ) from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"tensor: could not infer a numeric type from {type(data).__name__} data")
    first = data
    while isinstance(first, (list, tuple)) and len(first):
        first = first[0]
    typed = isinstance(first, (np.generic, np.ndarray))  # NumPy's numbers keep their type
    if array.size == 0 or (array.dtype.kind == "f" and not typed):
        array = array.astype(dtypes.get_default_dtype())
    return array


def _holds_tensors(data: Any) -> builtins.bool:
    return any(isinstance(x, Tensor) for x in data)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a Tensor, without a copy where it is one already or is an array of that type."""
    if isinstance(data, Tensor):
        return data.to(dtype=dtype, device=device)
    if isinstance(data, np.ndarray):
        return Tensor(data).to(dtype=dtype, device=device)
    return tensor(data, dtype=dtype, device=device)


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A Tensor over a NumPy array, sharing its memory. Raises TypeError for anything else."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected np.ndarray (got {type(ndarray).__name__})")
    return Tensor(ndarray)


def full(
    size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None,
    requires_grad: builtins.bool = False,
) -> Tensor:  # fmt: skip
    """A tensor of `size` filled with `fill_value`; its type follows the value unless given."""
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    kind = dtypes.of_scalar(value) if dtype is None else dtype
    return _made(np.full(_shape((size,)) if not np.isscalar(size) else size, value, kind),
                 device, requires_grad)  # fmt: skip


def zeros(
    *size: Any, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False
) -> Tensor:
    """Zeros: `zeros(2, 3)` or `zeros((2, 3))`."""
    return _made(np.zeros(_shape(size), dtype or dtypes.get_default_dtype()), device, requires_grad)


def ones(
    *size: Any, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False
) -> Tensor:
    """Ones: `ones(2, 3)` or `ones((2, 3))`."""
    return _made(np.ones(_shape(size), dtype or dtypes.get_default_dtype()), device, requires_grad)


def empty(
    *size: Any, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False
) -> Tensor:
    """Uninitialised memory of `size`."""
    return _made(np.empty(_shape(size), dtype or dtypes.get_default_dtype()), device, requires_grad)


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

    function.__name__ = f"{make.__name__}_like"
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
    return _made(np.eye(n, m, dtype=dtype or dtypes.get_default_dtype()), device, requires_grad)


def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None,
    requires_grad: builtins.bool = False,
) -> Tensor:  # fmt: skip
    """start, start + step, ... below end: int64 for integers, else the default float type."""
    if end is None:
        start, end = 0, start
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
    return _made(np.arange(start, end, step).astype(dtype), device, requires_grad)


def linspace(
    start: float, end: float, steps: _int, *, dtype: Any = None, device: Any = None,
    requires_grad: builtins.bool = False,
) -> Tensor:  # fmt: skip
    """`steps` numbers from start to end, both included."""
    made = np.linspace(start, end, steps, dtype=dtype or dtypes.get_default_dtype())
    return _made(made, device, requires_grad)


def rand(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: builtins.bool = False,
) -> Tensor:  # fmt: skip
    """Uniform on [0, 1)."""
    kind = dtype or dtypes.get_default_dtype()
    return _made(random.draw_uniform(_shape(size), kind, generator), device, requires_grad)


def randn(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: builtins.bool = False,
) -> Tensor:  # fmt: skip
    """Standard normal."""
    kind = dtype or dtypes.get_default_dtype()
    return _made(random.draw_normal(_shape(size), kind, generator), device, requires_grad)


def randint(
    low: _int, high: Any = None, size: Any = None, *, generator: Generator | None = None,
    dtype: Any = None, device: Any = None,
) -> Tensor:  # fmt: skip
    """Integers from [low, high), or from [0, low): `randint(10, (2, 3))`."""
    if size is None:
        low, high, size = 0, low, high
    drawn = random.stream(generator).integers(low, high, _shape((size,)))
    return _made(drawn.astype(dtype or dtypes.int64), device)


def randperm(n: _int, *, generator: Generator | None = None, device: Any = None) -> Tensor:
    """A random order of 0 .. n-1."""
    return _made(random.stream(generator).permutation(n), device)


def bernoulli(input: Tensor, *, generator: Generator | None = None) -> Tensor:
    """1 with probability `input`, else 0, element by element."""
    drawn = random.draw_uniform(input.shape, np.float64, generator)
    return Tensor((to_device(drawn, device_of(input.array)) < input.array).astype(input.dtype))


zeros_like, ones_like, empty_like = _like(zeros), _like(ones), _like(empty)
rand_like, randn_like = _like(rand), _like(randn)
device = Device
