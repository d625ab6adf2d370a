"""Sums, means and maxima of rows of a table, bag by bag: function and layer."""

from __future__ import annotations

import operator
from typing import Any

from .. import ops
from ..arrays import dtypes, faults
from ..arrays.device import to_device
from ..arrays.xp import xp
from ..core.half import widened
from ..core.public import publish
from ..core.tensor import Tensor
from .embedding import Table, checked_index, outside_of, renormalize, shares_of, table_shape
from .errors import warn_caller

__all__ = ["EmbeddingBag", "embedding_bag"]


@widened
def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None,
    norm_type: float = 2, scale_grad_by_freq: bool = False, mode: str = "mean",
    sparse: bool = False, per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """The sum, mean or maximum of the rows of `weight` in each bag: (bags, features).

    input               (bags, length) integers; or (n,), all bags one after the other
    offsets             (bags,) for 1-D input: where each bag starts, the first one at 0
    mode                "sum", "mean" or "max"; an empty bag gives zeros
    per_sample_weights  of the input's shape: factors of the rows, for "sum"
    include_last_offset  offsets ends with the end of the last bag
    padding_idx         a row that is left out of its bags, and receives no gradient

    The rest as in `embedding`. Ties in "max" give the gradient to the first.
    """
    if weight.dtype.kind in "iu" and input.is_floating_point():
        warn_caller(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag("
            "weight, input, ...)` is deprecated, and should now be `embedding_bag(input, weight, "
            "...)`."
        )
        weight, input = input, weight
    _check_bag(input, weight, offsets, mode, scale_grad_by_freq, sparse, per_sample_weights)
    index = checked_index("embedding_bag", input, weight).reshape(-1)
    valid = f"the valid range [0, {weight.shape[0]})"
    text = f"embedding_bag: an Index of input takes value {{index}} which is not in {valid}"
    later = faults.told_later(index, 0, weight.shape[0], RuntimeError, text)
    outside = None if later else outside_of(index, weight.shape[0])
    if outside is not None:
        raise RuntimeError(
            f"embedding_bag: Index {outside[0]} of input takes value {outside[1]} which is not in "
            f"{valid}"
        )
    owner, bags = _owners(input, offsets, include_last_offset, len(index))
    factors = None if per_sample_weights is None else per_sample_weights.reshape((-1,))
    if max_norm is not None:
        renormalize(weight, index, max_norm, norm_type)
    shares = shares_of(index, weight) if scale_grad_by_freq else None

    kept = (owner >= 0) & (owner < bags)
    if padding_idx is not None:
        kept &= index != _padding_of_bags(padding_idx, weight.shape[0])
    everything = padding_idx is None and not include_last_offset  # then nothing is waited for
    if not everything and not kept.all():
        index, owner = index[kept], owner[kept]
        factors = None if factors is None else ops.getitem(factors, index=kept)
        shares = None if shares is None else shares[kept]
    if mode == "max":
        return _largest(weight, index, owner, bags)
    rows = ops.lookup(weight, index=index, shares=shares, sparse=sparse and weight.is_leaf)
    if factors is not None:
        rows = rows * factors.reshape((-1, 1))
    y = ops.scatter_add(rows, shape=(bags, weight.shape[1]), index=owner)
    if mode == "sum":
        return y
    count = xp(owner).maximum(xp(owner).bincount(owner, minlength=bags), 1)
    return y * (1 / count).astype(weight.dtype).reshape(-1, 1)


def _owners(input: Tensor, offsets: Any, include_last: bool, count: int) -> tuple[Any, int]:
    """The bag of each index, and the number of bags; indices beyond the last bag have one more."""
    places = xp(input.array).arange(count)
    if input.ndim == 2:
        bags, length = input.shape
        return places // max(length, 1), bags
    starts = offsets.array
    if include_last and len(starts) == 0:
        raise RuntimeError("include_last_offset: number of offset should be at least 1")
    if len(starts):
        _check_starts(to_device(starts, "cpu"), count)  # waits for a GPU once
    owner = xp(starts).searchsorted(starts, places, side="right") - 1
    return owner, len(starts) - int(include_last)


def _check_starts(starts: Any, count: int) -> None:
    if starts[0] != 0:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from "
            f"position 0. However, got {int(starts[0])}"
        )
    if starts[-1] > count:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length {count} but got offsets[-1] of "
            f"{int(starts[-1])}"
        )
    if (starts[1:] < starts[:-1]).any():
        raise RuntimeError("embedding_bag: offsets must not decrease")


def _largest(weight: Tensor, index: Any, owner: Any, bags: int) -> Tensor:
    """The largest element of each feature within each bag, 0 for an empty bag."""
    space = xp(index)
    count = space.bincount(owner, minlength=bags)
    filled = space.nonzero(count)[0]
    if not len(filled):
        return ops.scatter_add(ops.lookup(weight, index=index),
                               shape=(bags, weight.shape[1]), index=owner)  # fmt: skip
    # Each filled bag as a row of places, the last one repeated where it is shorter than others.
    starts = (count.cumsum() - count)[filled]
    longest = int(count.max())
    steps = space.minimum(space.arange(longest), count[filled][:, None] - 1)
    named = index[starts[:, None] + steps]  # (filled, longest)
    features = space.arange(weight.shape[1])
    best = weight.array[named].argmax(axis=1)  # the first of several; (filled, features)
    chosen = space.take_along_axis(named, best, axis=1)
    largest = ops.getitem(weight, index=(chosen, features))
    return ops.scatter_add(largest, shape=(bags, weight.shape[1]), index=filled)


def _padding_of_bags(padding_idx: int, rows: int) -> int:
    padding_idx, rows = operator.index(padding_idx), operator.index(rows)
    if not -rows <= padding_idx < rows:
        raise RuntimeError(
            f"padding_idx must be within the number of embeddings, {-rows} through {rows - 1}, but "
            f"got {padding_idx}"
        )
    return padding_idx % rows


def _check_bag(
    input: Tensor, weight: Tensor, offsets: Any, mode: str, by_frequency: bool, sparse: bool,
    factors: Any,
) -> None:  # fmt: skip
    if factors is not None and factors.shape != input.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({factors.shape}) is not None, then it must "
            f"have the same shape as the input ({input.shape})"
        )
    if weight.ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    if input.ndim not in (1, 2):
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}"
        )
    if input.ndim == 2 and offsets is not None:
        raise ValueError(
            "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of "
            f"fixed length sequences. However, found offsets of type {type(offsets)}"
        )
    if input.ndim == 1 and (offsets is None or offsets.ndim != 1):
        got = "None" if offsets is None else f"one of dimension {offsets.ndim}"
        raise ValueError(f"offsets has to be a 1D Tensor but got {got}")
    if offsets is not None and offsets.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(
            "embedding_bag: Expected tensor for argument 'offsets' to have one of the following "
            f"scalar types: Long, Int; but got {dtypes.name_of(offsets.dtype)} instead; convert "
            "with .long()"
        )
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"mode has to be one of sum, mean or max, got {mode!r}")
    if mode == "max" and by_frequency:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    if factors is None:
        return
    if mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            f"for mode='sum' (got mode='{mode}')"
        )
    if factors.dtype != weight.dtype:
        raise RuntimeError(
            "embedding_bag: Expected tensor for argument #1 'weight' to have the same type as "
            f"tensor for argument #1 'per_sample_weights'; but type {dtypes.name_of(weight.dtype)} "
            f"does not equal {dtypes.name_of(factors.dtype)}"
        )


publish(globals(), __all__)


class EmbeddingBag(Table):
    """Sums, means or maxima of bags of a table's rows, without the rows in between.

    mode                 "sum", "mean" or "max"
    include_last_offset  the offsets end with the end of the last bag
    padding_idx          a row that is left out of its bags

    The other arguments as in `Embedding`. Called with integers (bags, length), or (n,) and offsets
    (bags,), and optionally per_sample_weights of the integers' shape, it returns (bags,
    embedding_dim).

    >>> EmbeddingBag(10, 3, mode="sum")
    EmbeddingBag(10, 3, mode='sum')
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, mode: str = "mean",
        sparse: bool = False, _weight: Tensor | None = None, include_last_offset: bool = False,
        padding_idx: int | None = None, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq,
            sparse, _weight, False, device, dtype,
        )  # fmt: skip
        self.mode = mode
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, mode: str = "mean",
        sparse: bool = False, include_last_offset: bool = False, padding_idx: int | None = None,
    ) -> EmbeddingBag:  # fmt: skip
        """An EmbeddingBag over the memory of `embeddings` (2-D), trained only if not `freeze`."""
        rows, features = table_shape(embeddings)
        made = cls(
            rows, features, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings,
            include_last_offset, padding_idx,
        )  # fmt: skip
        made.weight.requires_grad = not freeze
        return made

    def forward(
        self, input: Tensor, offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        return embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq,
            self.mode, self.sparse, per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return self._repr_of(
            ("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False), ("mode", None),
            ("padding_idx", None),
        )  # fmt: skip
