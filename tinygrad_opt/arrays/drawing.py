"""Drawing: arrays of random numbers, and filling arrays with them, where the array lies.

`drawn` is the one way from a generator to numbers: a kernel of `kernels/fused/random_vectors.py`,
for NumPy's arrays or CuPy's. Nothing is drawn on one device and moved to another.
"""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from ..kernels.fused.random_vectors import TILE, VECTORS
from . import stream_positions
from .device import Device, check_device, cupy, device_of, to_device
from .dtypes import name_of
from .random import Generator, current, take

__all__ = [
    "check_float", "check_std", "chosen", "draw_integers", "draw_normal", "draw_uniform", "drawn",
    "fill_bernoulli", "fill_cauchy", "fill_exponential", "fill_geometric", "fill_log_normal",
    "fill_normal", "fill_random", "fill_uniform", "largest_integer",
]  # fmt: skip


def drawn(
    kind: str, shape: Any, dtype: Any, generator: Generator | None, device: Device | None,
    *numbers: float,
) -> Any:  # fmt: skip
    """A new array of random numbers; kind, numbers: as `kernels/fused/random_vectors.py` has them.

    The dtype is one that it has a kernel for: float32 or float64, int64 or uint8.
    """
    if device is None or device.type == "cpu":
        array = np.empty(shape, dtype)
    else:
        check_device(device)
        array = cupy().empty(shape, dtype)
    fill(array, kind, generator, numbers)
    return array


def fill(array: Any, kind: str, generator: Generator | None, numbers: Any) -> None:
    """Fill a contiguous array of a type that there is a kernel for."""
    size = array.size
    if not size:
        return
    vectors = VECTORS[kind, array.dtype.char]
    blocks = -(-size // vectors.tile) * TILE
    flat = array if array.ndim == 1 else array.reshape(-1)
    generator = generator or current()
    if type(array) is np.ndarray:
        vectors.draw(flat, *take(generator, blocks), numbers)
    else:
        vectors.draw_on_device(flat, *stream_positions.on_device(generator, blocks), numbers)


def draw_uniform(
    shape: Any, dtype: Any, generator: Generator | None = None, device: Device | None = None
) -> Any:
    """Uniform on [0, 1): as many random bits as the type has digits, so that 1 is never reached."""
    dtype = np.dtype(dtype)
    if dtype.char in "fd":
        return drawn("uniform", shape, dtype, generator, device, 0.0, 1.0, 1.0)
    if dtype.kind == "c":
        return _both(draw_uniform, shape, dtype, generator, device)
    wide = draw_uniform(shape, np.float32, generator, device)
    return (np.floor(wide * np.float32(2**11)) * np.float32(2**-11)).astype(dtype)


def draw_normal(
    shape: Any, dtype: Any, generator: Generator | None = None, device: Device | None = None,
    mean: float = 0.0, std: float = 1.0,
) -> Any:  # fmt: skip
    """Normal; of complex numbers the mean square is std^2."""
    dtype = np.dtype(dtype)
    if dtype.char in "fd":
        return drawn("normal", shape, dtype, generator, device, mean, std)
    if dtype.kind == "c":
        both = _both(draw_normal, shape, dtype, generator, device)
        return both * dtype.type(0.5**0.5 * std) + dtype.type(mean)
    return drawn("normal", shape, np.float32, generator, device, mean, std).astype(dtype)


def _both(
    draw: Any, shape: Any, dtype: Any, generator: Generator | None, device: Device | None
) -> Any:
    """A complex array of two drawn real ones."""
    kind = np.empty(0, dtype).real.dtype
    real, imag = (draw(shape, kind, generator, device) for _ in range(2))
    return real + dtype.type(1j) * imag


_RARE = 2.0**-16


def chosen(
    shape: Any, dtype: Any, p: float, hit: float, miss: float, generator: Generator | None = None,
    device: Device | None = None,
) -> Any:  # fmt: skip
    """`hit` with probability p, else `miss`. To 2^-33; of what is rarer than 2^-16, to 2^-54."""
    dtype = np.dtype(dtype)
    if 0 < p < _RARE or 1 - _RARE < p < 1:
        uniform = draw_uniform(shape, np.float64, generator, device)
        found = (uniform < p) * (hit - miss) + miss
        return found.astype(dtype)
    kind = dtype if dtype.char in "fd" else np.dtype(np.float32)
    found = drawn("chosen", shape, kind, generator, device, round(p * 2**32), hit, miss)
    return found if kind is dtype else found.astype(dtype)


def check_float(name: str, dtype: Any) -> None:
    """Raise NotImplementedError for a type that cannot hold the drawn numbers."""
    if dtype.kind not in "fc" or (dtype.kind == "c" and name not in ("rand", "randn", "normal_")):
        raise NotImplementedError(f"{name}: not implemented for {name_of(dtype)!r}")


# In-place forms: overwrite a raw array ------------------------------------------------------------


def _put(array: Any, values: Any) -> None:
    array[...] = values


def _filled(array: Any, kind: str, generator: Generator | None, *numbers: float) -> None:
    """Overwrite an array of floats of any type and any strides."""
    # What a compiled step is traced with (`compiled/traced.py`) has no memory to write to.
    traced = hasattr(array, "_namespace")
    if array.dtype.char in "fd" and not traced and array.flags.c_contiguous:
        fill(array, kind, generator, numbers)
        return
    dtype = array.dtype if array.dtype.char in "fd" else np.float32
    _put(array, drawn(kind, array.shape, dtype, generator, device_of(array), *numbers))


def fill_uniform(
    array: Any, low: float = 0.0, high: float = 1.0, generator: Generator | None = None
) -> None:
    """Uniform on [low, high); all equal to low where the two are equal."""
    check_float("uniform_", array.dtype)
    most = float(np.finfo(array.dtype).max)
    for name, bound in (("from", low), ("to", high)):
        if not abs(bound) <= most:
            raise RuntimeError(f"uniform_: {name} is out of bounds for {array.dtype}: {bound}")
    if low > high:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}"
        )
    if high - low > most:
        raise RuntimeError(
            f"uniform_ expects to-from <= {most}, the largest number of {array.dtype}, but found "
            f"to={high} and from={low}"
        )
    last = float(_last_below(high, low, array.dtype))  # the sum rounds up
    _filled(array, "uniform", generator, low, high - low, last)


def _last_below(high: float, low: float, dtype: Any) -> Any:
    """The largest number of the type below `high`; `low` if there is none from there on."""
    last = dtype.type(high)
    if float(last) >= high:
        last = np.nextafter(last, dtype.type(-np.inf))
    return max(last, dtype.type(low))


def fill_normal(
    array: Any, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> None:
    """Normal with `mean` and standard deviation `std`."""
    check_float("normal_", array.dtype)
    check_std(std)
    if array.dtype.kind == "c":
        device = device_of(array)
        _put(array, draw_normal(array.shape, array.dtype, generator, device, mean, std))
        return
    _filled(array, "normal", generator, mean, std)


def check_std(std: float) -> None:
    """Raise RuntimeError for a standard deviation below 0, or NaN."""
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")


def fill_random(
    array: Any, low: int | None = None, high: int | None = None, *,
    generator: Generator | None = None,
) -> None:  # fmt: skip
    """Integers from [low, high), or from [0, low); without bounds from 0 on to the type's largest.

    For float types that is the largest up to which they hold every integer.
    """
    if high is None:
        low, high = 0, largest_integer(array.dtype) + 1 if low is None else low
    device, low, high = device_of(array), index(low or 0), index(high)
    _put(array, draw_integers(low, high, array.shape, array.dtype, generator, device))


def _whole_range(dtype: Any) -> tuple[int, int]:
    """The integers of the type; of a float type those that it holds without a gap."""
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind == "f":
        digits = np.finfo(dtype).nmant + 1
        return -(2**digits), 2**digits
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def largest_integer(dtype: Any) -> int:
    """Up to which the type holds every integer."""
    return _whole_range(dtype)[1]


def draw_integers(
    low: int, high: int, shape: Any, dtype: Any, generator: Generator | None = None,
    device: Device | None = None,
) -> Any:  # fmt: skip
    """Integers from [low, high). Raises RuntimeError for bounds that the type cannot hold."""
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    least, most = _whole_range(dtype)
    for name, bound in (("from", low), ("to - 1", high - 1)):
        if not least <= bound <= most:
            raise RuntimeError(f"random_: {name} is out of bounds for {dtype}: {bound}")
    count = high - low
    kind = "integers" if count <= 2**32 else "wide_integers"
    found = drawn(kind, shape, np.int64, generator, device, low, (count + 2**63) % 2**64 - 2**63)
    return found if dtype == np.int64 else found.astype(dtype)


def fill_bernoulli(array: Any, p: Any = 0.5, *, generator: Generator | None = None) -> None:
    """1 with probability p (a number or a tensor), else 0."""
    chance = getattr(p, "array", p)
    if not np.all((chance >= 0) & (chance <= 1)):
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    device = device_of(array)
    if not np.ndim(chance) and not hasattr(chance, "dtype"):
        _put(array, chosen(array.shape, np.float32, float(chance), 1.0, 0.0, generator, device))
        return
    uniform = draw_uniform(array.shape, np.float64, generator, device)
    _put(array, uniform < to_device(chance, device))


def fill_exponential(array: Any, lambd: float = 1.0, *, generator: Generator | None = None) -> None:
    """Exponentially distributed with the rate lambd: always above 0."""
    check_float("exponential_", array.dtype)
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    limits = np.finfo(array.dtype)
    least, most = float(limits.smallest_subnormal), float(limits.max)
    if lambd == np.inf:
        least = 0.0
    _filled(array, "exponential", generator, min(1 / lambd, most), least, most)


def fill_geometric(array: Any, p: float, *, generator: Generator | None = None) -> None:
    """The number of trials up to the first success, each with probability p."""
    if array.dtype.kind == "b":
        raise NotImplementedError("geometric_: not implemented for 'Bool'")
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    rate, most = -np.log1p(-p), np.finfo(np.float64).max
    numbers = 1 / rate, 1.0, float(most)  # rounded up, exponential times are trials
    times = drawn("exponential", array.shape, np.float64, generator, device_of(array), *numbers)
    trials = np.ceil(times)
    if array.dtype.kind != "f":
        last = float(np.iinfo(array.dtype).max)
        trials = np.minimum(trials, last if last < 2**53 else np.nextafter(last, 0))
    _put(array, trials)


def fill_cauchy(
    array: Any, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None
) -> None:
    """Cauchy-distributed around the median."""
    check_float("cauchy_", array.dtype)
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    uniform = draw_uniform(array.shape, np.float64, generator, device_of(array))
    _put(array, np.tan(np.pi * (uniform - 0.5)) * sigma + median)


def fill_log_normal(
    array: Any, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None
) -> None:
    """exp of normal numbers."""
    check_float("log_normal_", array.dtype)
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    device = device_of(array)
    _put(array, np.exp(draw_normal(array.shape, np.float64, generator, device, mean, std)))
