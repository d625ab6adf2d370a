"""Random numbers: one generator of the project's own, seeded by `manual_seed`.

NumPy's global state is never touched. Numbers are drawn on the CPU and moved, so that a seed gives
the same network on every device.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .backend import device_of, to_device

__all__ = ["Generator", "default_generator", "get_rng_state", "initial_seed", "manual_seed", "seed",
           "set_rng_state"]  # fmt: skip


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


def manual_seed(seed: int) -> Generator:
    """Seeds the default generator: the same seed gives the same numbers on every machine."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seeds the default generator from the operating system; returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> dict[str, Any]:
    """The state of the default generator."""
    return default_generator.get_state()


def set_rng_state(new_state: dict[str, Any]) -> None:
    """Puts the default generator where `get_rng_state` found it."""
    default_generator.set_state(new_state)


def stream(generator: Generator | None) -> np.random.Generator:
    """NumPy's generator behind `generator`, or behind the default one."""
    return (generator or default_generator).numpy


def draw_uniform(shape: Any, dtype: Any, generator: Generator | None = None) -> Any:
    """Uniform on [0, 1): drawn in float32 or float64, whichever was asked for."""
    drawn = np.float64 if dtype == np.float64 else np.float32
    return np.asarray(stream(generator).random(shape, drawn), dtype)


def draw_normal(shape: Any, dtype: Any, generator: Generator | None = None) -> Any:
    """Standard normal."""
    drawn = np.float64 if dtype == np.float64 else np.float32
    return np.asarray(stream(generator).standard_normal(shape, drawn), dtype)


def fill_uniform(array: Any, low: float, high: float, generator: Generator | None = None) -> None:
    """Overwrite a raw array with uniform numbers on [low, high)."""
    drawn = draw_uniform(array.shape, array.dtype, generator)
    array[...] = to_device(drawn * (high - low) + low, device_of(array))


def fill_normal(array: Any, mean: float, std: float, generator: Generator | None = None) -> None:
    """Overwrite a raw array with normal numbers."""
    drawn = draw_normal(array.shape, array.dtype, generator)
    array[...] = to_device(drawn * std + mean, device_of(array))


# In-place forms: overwrite a raw array ------------------------------------------------------------


def _put(array: Any, drawn: Any) -> None:
    array[...] = to_device(np.asarray(drawn), device_of(array))


def fill_random(
    array: Any, low: int = 0, high: int | None = None, *, generator: Generator | None = None
) -> None:
    """Integers from [low, high), or from [0, low); without bounds all that the type can hold."""
    if high is None and low != 0:
        low, high = 0, low
    if high is None:
        whole = array.dtype.kind == "f"
        high = 2 ** (np.finfo(array.dtype).nmant + 1) + 1 if whole else np.iinfo(array.dtype).max
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    _put(array, stream(generator).integers(low, high, array.shape))


def fill_bernoulli(array: Any, p: Any = 0.5, *, generator: Generator | None = None) -> None:
    """1 with probability p (a number or a tensor), else 0."""
    chance = np.asarray(to_device(getattr(p, "array", np.asarray(p)), "cpu"))
    if not ((chance >= 0) & (chance <= 1)).all():
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    _put(array, stream(generator).random(array.shape) < chance)


def fill_exponential(array: Any, lambd: float = 1.0, *, generator: Generator | None = None) -> None:
    """Exponentially distributed with the rate lambd."""
    if lambd <= 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    _put(array, stream(generator).exponential(1 / lambd, array.shape))


def fill_geometric(array: Any, p: float, *, generator: Generator | None = None) -> None:
    """The number of trials up to the first success, each with probability p."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    _put(array, stream(generator).geometric(p, array.shape))


def fill_cauchy(
    array: Any, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None
) -> None:
    """Cauchy-distributed around the median."""
    if sigma <= 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    _put(array, stream(generator).standard_cauchy(array.shape) * sigma + median)


def fill_log_normal(
    array: Any, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None
) -> None:
    """exp of normal numbers."""
    if std <= 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    _put(array, stream(generator).lognormal(mean, std, array.shape))
