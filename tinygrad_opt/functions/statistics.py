"""Order statistics, histograms and covariances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..arrays import dtypes
from ..arrays.device import to_device
from ..arrays.quiet import quiet
from ..arrays.size import WHOLE
from ..arrays.xp import xp
from ..core.errors import axis_index
from ..core.half import widened
from ..core.node import Variable
from ..core.tensor import Tensor, wrap_plain
from . import return_types
from .choice import clip
from .mathematics import sqrt
from .reduce import mean
from .shape import movedim, ravel, squeeze, unsqueeze
from .sorting import place_in_order, sort, sorts_values

__all__ = [
    "bincount", "corrcoef", "cov", "histc", "histogram", "median", "mode", "nanmedian",
    "nanquantile", "quantile",
]  # fmt: skip


def _order_statistic(name: str, skip_nan: bool) -> Any:
    def function(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
        if dim is not None:
            axis_index(dim, input.array.ndim)
        x = ravel(input) if dim is None or not input.array.ndim else input
        axis = axis_index(dim or 0, x.array.ndim) if x is input else 0
        if not x.array.shape[axis]:
            if dim is None:
                return wrap_plain(xp(x.array).full((), math.nan, x.array.dtype))
            raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
        place = _place_of_middle(x.array, axis, skip_nan)
        found = ops.take_along_axis(x, indices=place, axis=axis), wrap_plain(place)
        if dim is None:
            return ops.tied(x, value=found[0].array.reshape(()))
        if x is not input:  # a 0-d tensor
            return getattr(return_types, name)(*(ops.reshape(y, shape=()) for y in found))
        return getattr(return_types, name)(*(y if keepdim else squeeze(y, axis) for y in found))

    function.__name__ = name
    function.__doc__ = (
        "The middle element (the lower of two), of all or, as the named tuple (values, indices), "
        f"along `dim`. NaN {'is left out' if skip_nan else 'in the input gives NaN'}."
    )
    return function


def _place_of_middle(x: Any, axis: int, skip_nan: bool) -> Any:
    """Where in the raw array x the median stands, of equals in the order of a stable sort."""
    if sorts_values(x):
        return place_in_order(x, axis, lambda ordered: _middle(ordered, axis, skip_nan))
    places = xp(x).argsort(x, axis=axis, kind="stable")
    ordered = xp(x).take_along_axis(x, places, axis)
    return xp(x).take_along_axis(places, _middle(ordered, axis, skip_nan), axis)


def _middle(ordered: Any, axis: int, skip_nan: bool) -> Any:
    """Where in the ordered array the median stands; NaN stands at the end."""
    n = ordered.shape[axis]
    nans = (ordered != ordered).sum(axis=axis, keepdims=True)
    if skip_nan:
        return xp(ordered).maximum(n - nans - 1, 0) // 2
    return xp(ordered).where(nans > 0, n - 1, (n - 1) // 2)


median, nanmedian = _order_statistic("median", False), _order_statistic("nanmedian", True)


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The named tuple (values, indices) of the most frequent element along `dim`.

    Of equally frequent ones the smallest; its index is that of the last occurrence.
    """
    axis = axis_index(dim, input.array.ndim)
    if not input.array.ndim:
        return return_types.mode(ops.clone(input), wrap_plain(xp(input.array).zeros((), "int64")))
    if not input.array.shape[axis]:
        raise IndexError(f"mode(): Expected reduction dim {dim} to have non-zero size.")
    values, places = sort(input, axis)
    x = xp(input.array).moveaxis(values.array, axis, -1)
    # How many equals end at each place of the ordered row; the first greatest count wins.
    n = x.shape[-1]
    position = xp(x).arange(n)
    new = xp(x).ones(x.shape, bool)
    new[..., 1:] = x[..., 1:] != x[..., :-1]
    start = xp(x).accumulate(xp(x).where(new, position, 0), "maximum", x.ndim - 1)
    best = (position - start).argmax(axis=-1, keepdims=True)
    at = xp(x).moveaxis(best, -1, axis)
    found = (
        ops.take_along_axis(values, indices=at, axis=axis),
        ops.take_along_axis(places, indices=at, axis=axis),
    )
    return return_types.mode(*(y if keepdim else squeeze(y, axis) for y in found))


# Quantiles ----------------------------------------------------------------------------------------

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


@widened
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *,
    interpolation: str = "linear",
) -> Tensor:  # fmt: skip
    """The value below which the fraction q (a number or a vector) of the elements lies.

    Several q make a new first axis. `interpolation` says what happens between two elements.
    NaN in the input gives NaN.
    """
    return _quantile(input, q, dim, keepdim, interpolation, False)


@widened
def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *,
    interpolation: str = "linear",
) -> Tensor:  # fmt: skip
    """`quantile` of what is not NaN."""
    return _quantile(input, q, dim, keepdim, interpolation, True)


@quiet
def _quantile(x: Tensor, q: Any, dim: Any, keepdim: bool, interpolation: str, skip: bool) -> Tensor:
    if interpolation not in _INTERPOLATIONS:
        raise RuntimeError(
            "quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {interpolation}"
        )
    if x.array.dtype.kind != "f":
        raise RuntimeError("quantile() input tensor must be either float or double dtype")
    if not x.array.size:
        raise RuntimeError("quantile() input tensor must be non-empty")
    levels = q.array if isinstance(q, Variable) else np.asarray(q, x.array.dtype)
    if not ((levels >= 0) & (levels <= 1)).all():
        raise RuntimeError(f"quantile() q must be in the range [0, 1] but got {levels}")
    axis = None if dim is None else axis_index(dim, x.array.ndim)
    rows = ravel(x) if axis is None or not x.array.ndim else movedim(x, axis, -1)
    y = _interpolated(sort(rows).values, levels.reshape(-1), interpolation, skip)  # (..., q)
    if keepdim:
        shape = (1,) * x.array.ndim if axis is None else tuple(
            1 if i == axis else n for i, n in enumerate(x.array.shape)
        )  # fmt: skip
        y = ops.reshape(movedim(y, -1, 0), shape=(levels.size, *shape))
    else:
        y = movedim(y, -1, 0)
    return y if levels.ndim else squeeze(y, 0)


def _interpolated(rows: Tensor, levels: Any, interpolation: str, skip_nan: bool) -> Tensor:
    """The values at the levels of ordered rows, in which NaN stands last."""
    x = rows.array
    space, n = xp(x), x.shape[-1]
    nans = (x != x).sum(axis=-1, keepdims=True)
    last = space.maximum(n - nans - 1, 0) if skip_nan else space.full_like(nans, n - 1)
    rank = last * to_device(levels.astype("float64"), rows.device)
    if not skip_nan:
        rank = space.where(nans > 0, n - 1, rank)  # where the NaN stands
    rank = _ROUNDED[interpolation](space, rank)
    below, above = space.floor(rank).astype("int64"), space.ceil(rank).astype("int64")
    low = ops.take_along_axis(rows, indices=below, axis=x.ndim - 1)
    high = ops.take_along_axis(rows, indices=above, axis=x.ndim - 1)
    return _between(low, high, (rank - below).astype(x.dtype))


@quiet
def _between(low: Tensor, high: Tensor, weight: Any) -> Tensor:
    """lerp(low, high, weight), where an infinite neighbour wins, but not with the weight 0."""
    y = ops.lerp(low, high, weight)
    a, b = low.array, high.array
    space = xp(a)
    infinite = space.isinf(a) | space.isinf(b)
    if not infinite.any():
        return y
    at_end = (weight == 0) | (a == b)
    sums = space.where(at_end, a, a * space.where(at_end, 1, 1 - weight) + b * weight)
    y.array[infinite] = sums[infinite]  # the slopes do not depend on the values
    return y


_ROUNDED: dict[str, Any] = {
    "linear": lambda space, rank: rank,
    "lower": lambda space, rank: space.floor(rank),
    "higher": lambda space, rank: space.ceil(rank),
    "midpoint": lambda space, rank: (space.floor(rank) + space.ceil(rank)) / 2,
    "nearest": lambda space, rank: space.round(rank),
}


# Counts -------------------------------------------------------------------------------------------


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, ... occurs in a vector, or the sum of its weights there."""
    x = input.array
    if x.ndim != 1 or x.dtype.kind not in "iu" or (x.size and x.min() < 0):
        raise RuntimeError(
            "bincount only supports 1-d non-negative integral inputs, got "
            f"{x.dtype} of shape {tuple(x.shape)}"
        )
    if minlength < 0:
        raise RuntimeError(f"bincount: minlength should be >= 0, got {minlength}")
    given = None if weights is None else weights.array
    y = xp(x).bincount(x, given, minlength)
    if given is None:
        return wrap_plain(y.astype(dtypes.int64))
    return wrap_plain(y.astype(given.dtype if given.dtype == dtypes.float32 else dtypes.float64))


def _range(x: Any, low: float, high: float, name: str) -> tuple[float, float]:
    """The range of a histogram: the data's own where none is given, never empty."""
    if low == high and x.size:
        low, high = float(x.min()), float(x.max())
    if low > high:
        raise RuntimeError(f"{name}: max must be larger than min, got min={low} and max={high}")
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{name}: range of [{low}, {high}] is not finite")
    return (low - 1, high + 1) if low == high else (low, high)


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements fall in each of the equal `bins` between min and max, in the input's type.

    With min == max, between the smallest and the largest element.
    """
    x = input.array.reshape(-1)
    if bins < 1:
        raise RuntimeError(f"histc: bins must be > 0, got {bins}")
    low, high = _range(x, min, max, "histc")
    space = xp(x)
    inside = x[(x >= low) & (x <= high)].astype("float64")
    place = space.minimum((inside - low) / (high - low) * bins, bins - 1).astype("int64")
    return wrap_plain(space.bincount(place, minlength=bins).astype(x.dtype))


def histogram(
    input: Tensor, bins: Any = 100, *, range: Any = None, weight: Tensor | None = None,
    density: bool = False,
) -> Any:  # fmt: skip
    """The named tuple (hist, bin_edges) of a number of equal bins, or of bins with given edges."""
    x = input.array.reshape(-1)
    weights = None if weight is None else weight.array.reshape(-1)
    if isinstance(bins, Variable):
        counts, edges = xp(x).histogram(x, bins.array, density=density, weights=weights)
    else:
        low, high = range or (0, 0)
        limits = _range(x, low, high, "histogram")
        counts, edges = xp(x).histogram(x, bins, limits, density=density, weights=weights)
    return return_types.histogram(
        wrap_plain(counts.astype(x.dtype)), wrap_plain(edges.astype(x.dtype))
    )


# Covariance ---------------------------------------------------------------------------------------


@widened
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The covariances of the rows, variables whose observations are the columns.

    `fweights` say how often each observation was made, `aweights` how much it counts.
    """
    if input.array.ndim > 2:
        raise RuntimeError(
            "cov(): expected input to have two or fewer dimensions but got an input with "
            f"{input.array.ndim} dimensions"
        )
    x = unsqueeze(input, 0) if input.array.ndim < 2 else input
    x = x if x.array.dtype.kind in "fc" else x.to(dtypes.get_default_dtype())
    n: Any = x.array.shape[-1] if input.array.ndim else 1
    weights: Any = None
    for given in (fweights, aweights):
        if given is not None:
            weights = given if weights is None else weights * given
    if weights is None:
        centred = x - mean(x, -1, keepdim=True)
        scaled = centred
        freedom = n - correction
    else:
        total = ops.sum(weights)
        centred = x - ops.sum(x * weights, axis=-1, keepdims=True) / total
        scaled = centred * weights
        lost = total if aweights is None else ops.sum(weights * aweights)
        freedom = total - correction * lost / total
    other = ops.conj(centred) if x.array.dtype.kind == "c" else centred
    y = ops.matmul(scaled, ops.transpose(other)) / _freedom(freedom)
    return squeeze(y) if input.array.ndim < 2 else y


def _freedom(freedom: Any) -> Any:
    """The degrees of freedom, at least 0."""
    return max(freedom, 0) if isinstance(freedom, WHOLE) else clip(freedom, min=0)


@widened
def corrcoef(input: Tensor) -> Tensor:
    """The correlations of the rows: covariances over standard deviations, within [-1, 1]."""
    c = cov(input)
    if not c.array.ndim:
        return c / c
    whole = c.array.dtype.kind == "c"
    spread = sqrt(ops.real_part(ops.diagonal(c)) if whole else ops.diagonal(c))
    y = c / unsqueeze(spread, 1) / unsqueeze(spread, 0)
    if not whole:
        return clip(y, -1, 1)
    return clip(ops.real_part(y), -1, 1) + 1j * clip(ops.imag_part(y), -1, 1)
