"""Random numbers: one generator of the project's own, seeded by `manual_seed`.

NumPy's global state is never touched. Numbers are drawn on the CPU and moved, so that a seed gives
the same network on every device. `drawing_from` puts another generator in the default one's place,
for one block of code in one thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from .device import device_of, to_device
from .dtypes import name_of

__all__ = ["Generator", "current", "default_generator", "drawing_from", "fork_rng",
           "get_rng_state",
           "initial_seed", "manual_seed", "seed", "set_rng_state"]  # fmt: skip


class Generator:
    """A stream of random numbers (PCG64; O'Neill 2014), as `torch.Generator`.

    >>> g = Generator().manual_seed(0)
    >>> g.initial_seed()
    0
    """

    def __init__(self, device: Any = "cpu") -> None:
        self.device = device
        self.seed()

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream that belongs to `seed` (any integer); returns the generator."""
        self._seed = int(seed)
        self._children = 0
        self.numpy = np.random.Generator(np.random.PCG64(self._seed % 2**64))
        return self

    def seed(self) -> int:
        """Starts a stream from the operating system's entropy; returns its seed."""
        self.manual_seed(int(np.random.SeedSequence().generate_state(1, np.uint64)[0]))
        return self._seed

    def initial_seed(self) -> int:
        """The seed that the current stream started from."""
        return self._seed

    def child_seed(self) -> int:
        """A seed for somebody else's stream, another at each call; draws nothing from this one."""
        self._children += 1
        sequence = np.random.SeedSequence([self._seed % 2**64, self._children])
        return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(2))

    def get_state(self) -> dict[str, Any]:
        """Where the stream stands: plain numbers and strings, for `set_state`."""
        state = self.numpy.bit_generator.state
        return {"seed": self._seed, "state": state, "children": self._children}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from where `get_state` was taken."""
        self.manual_seed(state["seed"])
        self.numpy.bit_generator.state = state["state"]
        self._children = state.get("children", 0)


default_generator = Generator().manual_seed(0)
_in_its_place: ContextVar[Generator | None] = ContextVar("generator", default=None)


def current() -> Generator:
    """The generator that is drawn from where none is named: as a rule the default one."""
    return _in_its_place.get() or default_generator


@contextlib.contextmanager
def drawing_from(generator: Generator) -> Iterator[Generator]:
    """In here `generator` stands in for the default one, and only in this thread.

    Whatever draws without a generator of its own draws from it: initial weights, dropout, the order
    of samples; and `manual_seed`, `get_rng_state` and the like are about it. The default generator
    is neither asked nor changed. A draw costs about 0.05 us more for being able to.
    """
    token = _in_its_place.set(generator)
    try:
        yield generator
    finally:
        _in_its_place.reset(token)


def manual_seed(seed: int) -> Generator:
    """Seeds the default generator: the same seed gives the same numbers on every machine."""
    return current().manual_seed(seed)


def seed() -> int:
    """Seeds the default generator from the operating system; returns the seed."""
    return current().seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return current().initial_seed()


def get_rng_state() -> dict[str, Any]:
    """The state of the default generator."""
    return current().get_state()


def set_rng_state(new_state: dict[str, Any]) -> None:
    """Puts the default generator where `get_rng_state` found it."""
    current().set_state(new_state)


@contextlib.contextmanager
def fork_rng(
    devices: Any = None, enabled: bool = True, _caller: str = "fork_rng",
    _devices_kw: str = "devices", device_type: str = "cuda",
) -> Iterator[None]:  # fmt: skip
    """Puts the default generator back at the end of the block to where it was at its start.

    `devices` are accepted: all numbers come from the one generator.
    """
    state = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)


def stream(generator: Generator | None) -> np.random.Generator:
    """NumPy's generator behind `generator`, or behind the one that is current."""
    return (generator or current()).numpy


def draw_uniform(shape: Any, dtype: Any, generator: Generator | None = None) -> Any:
    """Uniform on [0, 1): as many random bits as the type has digits, so that 1 is never reached."""
    if np.dtype(dtype).kind == "c":
        return _both(draw_uniform, shape, dtype, generator)
    if dtype == np.float16:
        bits = stream(generator).integers(0, 2**11, shape, np.uint16)
        return np.asarray(bits * np.float32(2**-11), dtype)
    drawn = np.float64 if dtype == np.float64 else np.float32
    return _of_type(stream(generator).random(shape, drawn), dtype)


def _both(draw: Any, shape: Any, dtype: Any, generator: Generator | None) -> Any:
    """A complex array of two drawn real ones."""
    kind = np.empty(0, dtype).real.dtype
    made = np.empty(shape, dtype)
    made.real, made.imag = draw(shape, kind, generator), draw(shape, kind, generator)
    return made


def draw_normal(shape: Any, dtype: Any, generator: Generator | None = None) -> Any:
    """Standard normal; of complex numbers the mean square is 1."""
    if np.dtype(dtype).kind == "c":
        return _both(draw_normal, shape, dtype, generator) * np.dtype(dtype).type(0.5**0.5)
    drawn = np.float64 if dtype == np.float64 else np.float32
    return _of_type(stream(generator).standard_normal(shape, drawn), dtype)


def _of_type(drawn: Any, dtype: Any) -> Any:
    # What a compiled step is traced with (`compiled/traced.py`) is no array of NumPy's.
    return drawn.astype(dtype) if hasattr(drawn, "_namespace") else np.asarray(drawn, dtype)


def check_float(name: str, dtype: Any) -> None:
    """Raise NotImplementedError for a type that cannot hold the drawn numbers."""
    if dtype.kind not in "fc" or (dtype.kind == "c" and name not in ("rand", "randn", "normal_")):
        raise NotImplementedError(f"{name}: not implemented for {name_of(dtype)!r}")


# In-place forms: overwrite a raw array ------------------------------------------------------------


def _put(array: Any, drawn: Any) -> None:
    array[...] = to_device(np.asarray(drawn), device_of(array))


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
    drawn = draw_uniform(array.shape, array.dtype, generator) * (high - low) + low
    _put(array, np.minimum(drawn, _last_below(high, low, array.dtype)))  # the sum rounds up


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
    _put(array, draw_normal(array.shape, array.dtype, generator) * std + mean)


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
    _put(array, draw_integers(low or 0, high, array.shape, array.dtype, generator))


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
    low: int, high: int, shape: Any, dtype: Any, generator: Generator | None = None
) -> Any:
    """Integers from [low, high). Raises RuntimeError for bounds that the type cannot hold."""
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    least, most = _whole_range(dtype)
    for name, bound in (("from", low), ("to - 1", high - 1)):
        if not least <= bound <= most:
            raise RuntimeError(f"random_: {name} is out of bounds for {dtype}: {bound}")
    return stream(generator).integers(low, high, shape).astype(dtype)


def fill_bernoulli(array: Any, p: Any = 0.5, *, generator: Generator | None = None) -> None:
    """1 with probability p (a number or a tensor), else 0."""
    chance = np.asarray(to_device(getattr(p, "array", np.asarray(p)), "cpu"))
    if not ((chance >= 0) & (chance <= 1)).all():
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    _put(array, stream(generator).random(array.shape) < chance)


def fill_exponential(array: Any, lambd: float = 1.0, *, generator: Generator | None = None) -> None:
    """Exponentially distributed with the rate lambd: always above 0."""
    check_float("exponential_", array.dtype)
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    drawn = stream(generator).exponential(1 / lambd, array.shape)
    if lambd < np.inf:
        limits = np.finfo(array.dtype)
        drawn = np.clip(drawn, float(limits.smallest_subnormal), float(limits.max))
    _put(array, drawn)


def fill_geometric(array: Any, p: float, *, generator: Generator | None = None) -> None:
    """The number of trials up to the first success, each with probability p."""
    if array.dtype.kind == "b":
        raise NotImplementedError("geometric_: not implemented for 'Bool'")
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    drawn = stream(generator).geometric(p, array.shape)
    _put(array, np.minimum(drawn, np.iinfo(array.dtype).max) if array.dtype.kind != "f" else drawn)


def fill_cauchy(
    array: Any, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None
) -> None:
    """Cauchy-distributed around the median."""
    check_float("cauchy_", array.dtype)
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    _put(array, stream(generator).standard_cauchy(array.shape) * sigma + median)


def fill_log_normal(
    array: Any, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None
) -> None:
    """exp of normal numbers."""
    check_float("log_normal_", array.dtype)
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    _put(array, stream(generator).lognormal(mean, std, array.shape))
