"""Tensors drawn at random. All take `generator=`; without it the default one is used."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays import drawing, dtypes, random
from ..arrays.device import Device, default, device_of, to_device
from ..arrays.quiet import quiet
from ..arrays.random import Generator
from ..arrays.xp import xp
from ..core.public import publish
from ..core.tensor import Tensor, wrap_plain
from ..functions.outputs import OUT
from .creation import _made, _shape
from .layouts import placed

__all__ = [
    "bernoulli", "multinomial", "normal", "poisson", "rand", "rand_like", "randint", "randint_like",
    "randn", "randn_like", "randperm",
]  # fmt: skip


def _drawn(name: str, draw: Any, what: str) -> Any:
    def function(
        size: Any, *more: int, generator: Generator | None = None, dtype: Any = None,
        device: Any = None, requires_grad: bool = False,
    ) -> Tensor:  # fmt: skip
        kind = np.dtype(dtype or dtypes.get_default_dtype())
        drawing.check_float(name, kind)
        array = draw(_shape((size, *more)), kind, generator, _place(device))
        return _made(array, device, requires_grad)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{what}: `{name}(2, 3)` or `{name}((2, 3))`."
    return function


def _place(device: Any) -> Device | None:
    """Where to draw; None is the CPU."""
    device = default.device if device is None else device
    return None if device is None else Device(device)


rand = _drawn("rand", drawing.draw_uniform, "Uniform on [0, 1)")
randn = _drawn("randn", drawing.draw_normal, "Standard normal")


def _like(make: Any) -> Any:
    def function(
        input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
        requires_grad: bool = False,
    ) -> Tensor:  # fmt: skip
        return make(
            tuple(input.shape), generator=generator, dtype=dtype or input.dtype,
            device=input.device if device is None else device, requires_grad=requires_grad,
        )  # fmt: skip

    function.__name__ = function.__qualname__ = f"{make.__name__}_like"
    function.__doc__ = f"`{make.__name__}` in the shape, type and device of `input`."
    return function


rand_like, randn_like = _like(rand), _like(randn)


def randint(
    low: Any = 0, high: Any = None, size: Any = None, *, generator: Generator | None = None,
    dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Integers from [low, high), or from [0, high): `randint(10, (2, 3))`."""
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    low, high = _whole("low", low), _whole("high", high)
    kind = np.dtype(dtype or dtypes.int64)
    drawn = drawing.draw_integers(low, high, _shape((size,)), kind, generator, _place(device))
    return _made(drawn, device, requires_grad)


def _whole(name: str, bound: Any) -> int:
    if not hasattr(bound, "__index__"):
        raise TypeError(
            f"randint(): argument {name!r} must be int, not {type(bound).__name__}: {bound}"
        )
    return bound.__index__()


def randint_like(
    input: Tensor, low: int = 0, high: int | None = None, *, generator: Generator | None = None,
    dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`randint` in the shape, type and device of `input`."""
    low, high = (0, low) if high is None else (low, high)
    return randint(
        low, high, tuple(input.shape), generator=generator, dtype=dtype or input.dtype,
        device=input.device if device is None else device, requires_grad=requires_grad,
    )  # fmt: skip


def randperm(
    n: int, *, generator: Generator | None = None, dtype: Any = None, device: Any = None
) -> Tensor:
    """A random order of 0 .. n-1."""
    n = n.__index__()
    if n < 0:
        raise RuntimeError(f"randperm: n must be non-negative, got {n}: no tensor has a negative "
                           f"dimension {n}")  # fmt: skip
    kind = np.dtype(dtype or dtypes.int64)
    most = drawing.largest_integer(kind)
    if kind.kind == "b" or n > most + 1:
        raise RuntimeError(f"randperm: {kind} cannot hold 0 ... {n - 1}; choose a wider dtype")
    return _made(random.stream(generator).permutation(n).astype(kind), device)


@quiet
def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None,
    dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Normal with the given means and standard deviations, which may be tensors; or of a size."""
    if isinstance(std, Tensor):
        if not (std.array >= 0).all():
            raise RuntimeError(f"normal expects all elements of std >= 0.0, but found std {std}")
    else:
        drawing.check_std(std)
    parts = [x for x in (mean, std) if isinstance(x, Tensor)]
    if size is None and not parts:
        raise TypeError("normal: numbers for mean and std need a size: normal(0.0, 1.0, (2, 3))")
    shape = _broadcast(parts) if size is None else _shape((size,))
    kind = np.dtype(dtype or (parts[0].dtype if parts else dtypes.get_default_dtype()))
    drawing.check_float("normal", kind)
    raw = [x.array if isinstance(x, Tensor) else x for x in (mean, std)]
    if not parts:
        drawn = drawing.draw_normal(shape, kind, generator, _place(device), mean, std)
        return _made(drawn, device, requires_grad)
    drawn = drawing.draw_normal(shape, kind, generator, device_of(parts[0].array))
    return _made((drawn * raw[1] + raw[0]).astype(kind), device, requires_grad)


def _broadcast(parts: list[Tensor]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*(x.array.shape for x in parts))
    except ValueError as error:
        shapes = " and ".join(str(x.shape) for x in parts)
        raise RuntimeError(
            f"normal: mean and std of the shapes {shapes} do not broadcast"
        ) from error


def bernoulli(
    input: Tensor, p: float | None = None, *, generator: Generator | None = None
) -> Tensor:
    """1 with probability `input` (or p), else 0, element by element."""
    x = input.array
    chance = x if p is None else np.broadcast_to(np.asarray(p), x.shape)
    if p is None and x.dtype.kind != "f":
        raise NotImplementedError(f"bernoulli: not implemented for {dtypes.name_of(x.dtype)!r}")
    if not ((chance >= 0) & (chance <= 1)).all():
        raise RuntimeError("bernoulli: Expected p_in >= 0 && p_in <= 1: probabilities in [0, 1]")
    drawn = drawing.draw_uniform(x.shape, np.float64, generator, device_of(chance))
    return wrap_plain((drawn < chance).astype(x.dtype))


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Poisson-distributed counts, as floats, with the rates `input`."""
    rates = to_device(input.array, "cpu")
    if not (rates >= 0).all():
        raise RuntimeError("poisson: invalid Poisson rate, expected rate to be non-negative")
    drawing.check_float("poisson", rates.dtype)
    wide = rates.astype(np.float64)
    large = wide > _LARGE_RATE  # beyond NumPy's; normal there, to more digits than float64 has
    source = random.stream(generator)
    drawn: Any = source.poisson(np.where(large, 0.0, wide)).astype(np.float64)
    if large.any():
        noise = np.where(np.isinf(wide), 0.0, source.standard_normal(wide.shape))
        drawn = np.where(large, wide + np.sqrt(np.where(noise == 0, 0, wide)) * noise, drawn)
    return wrap_plain(to_device(np.asarray(drawn, input.dtype), input.device))


_LARGE_RATE = 2.0**62


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Positions drawn with probabilities proportional to `input`: (n,) or rows (m, n) of weights.

    Without replacement no position comes twice: the order is that of the largest w / e, with
    exponential times e, which has the same distribution as drawing one after the other.
    """
    weights = to_device(input.array, "cpu")
    if weights.dtype.kind != "f":
        raise RuntimeError(
            "multinomial only supports floating-point dtypes for input, got: "
            f"{dtypes.name_of(weights.dtype)}"
        )
    weights = weights.astype(np.float64)
    _check_weights(weights, num_samples, replacement)
    source = random.stream(generator)
    rows = weights.reshape(-1, weights.shape[-1])
    rows = rows / rows.max(axis=1, keepdims=True)  # their sum stays finite
    if replacement:
        edges = np.cumsum(rows, axis=1)
        points = source.random((len(rows), num_samples)) * edges[:, -1:]
        drawn = np.stack(
            [np.searchsorted(e, u, "right") for e, u in zip(edges, points, strict=True)]
        )
    else:
        keys = np.where(rows > 0, rows / source.exponential(size=rows.shape), -1)
        drawn = xp(keys).places_of_largest(keys, num_samples, 1, True)
        if drawn is None:
            drawn = np.argsort(-keys, axis=1, kind="stable")[:, :num_samples]
    drawn = drawn.reshape((*weights.shape[:-1], num_samples))
    return wrap_plain(to_device(drawn.astype(np.int64), input.device))


def _check_weights(weights: Any, num_samples: int, replacement: bool) -> None:
    if weights.ndim not in (1, 2):
        raise RuntimeError(f"multinomial: prob_dist must be 1 or 2 dim, got {weights.ndim}")
    if num_samples < 1:
        raise RuntimeError(f"multinomial: cannot sample n_sample <= 0 samples, got {num_samples}")
    if not replacement and num_samples > weights.shape[-1]:
        raise RuntimeError(
            "multinomial: cannot sample n_sample > prob_dist.size(-1) samples without replacement"
        )
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise RuntimeError(
            "multinomial: probability tensor contains either `inf`, `nan` or element < 0"
        )
    positive = (weights > 0).sum(axis=-1)
    if (positive == 0).any():
        raise RuntimeError("multinomial: invalid multinomial distribution (sum of probabilities "
                           "<= 0)")  # fmt: skip
    if not replacement and (positive < num_samples).any():
        raise RuntimeError(
            "multinomial: invalid multinomial distribution (with replacement=False, not enough "
            f"non-zero categories to sample {num_samples})"
        )


for _method in (bernoulli, multinomial):
    setattr(Tensor, _method.__name__, _method)


placed(
    globals(),
    ("rand", "randn", "rand_like", "randn_like", "randint", "randint_like", "randperm", "normal"),
)
publish(globals(), __all__, out=OUT["sampling"])
