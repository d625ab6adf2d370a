"""Sequences of different lengths: padded to one length, or packed one time step after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import functions, ops
from ..arrays.device import device_of, to_device
from ..arrays.xp import xp
from ..core.tensor import Tensor, wrap_plain

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence",
    "pad_packed_sequence", "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Sequences without padding: all first elements, then all second ones, and so on.

    data              (sum of lengths, *), the longest sequence first within each step
    batch_sizes       (longest,) int64 on the CPU: how many sequences are that long
    sorted_indices    where each packed sequence came from; None if they came sorted
    unsorted_indices  the inverse of sorted_indices

    Made by `pack_padded_sequence` and `pack_sequence`; recurrent layers take it and return it.
    """

    __slots__ = ()

    def __new__(
        cls, data: Any, batch_sizes: Tensor | None = None, sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:  # fmt: skip
        if batch_sizes is None:  # PackedSequence((data, batch_sizes))
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        if batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be "
                "created manually: use pack_sequence or pack_padded_sequence"
            )
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """With the data in another type or on another device, as `Tensor.to`."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        indices = (i if i is None else i.to(data.device) for i in self[2:])
        return type(self)(data, self.batch_sizes, *indices)

    def cpu(self) -> PackedSequence:
        """In main memory."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> PackedSequence:
        """On a CUDA device."""
        return self.to("cuda" if device is None else device)

    def float(self) -> PackedSequence:
        """With the data as float32."""
        return self.to(np.float32)

    def double(self) -> PackedSequence:
        """With the data as float64."""
        return self.to(np.float64)

    def half(self) -> PackedSequence:
        """With the data as float16."""
        return self.to(np.float16)

    def long(self) -> PackedSequence:
        """With the data as int64."""
        return self.to(np.int64)

    def int(self) -> PackedSequence:
        """With the data as int32."""
        return self.to(np.int32)

    @property
    def is_cuda(self) -> bool:
        """Whether the data lies on a CUDA device."""
        return self.data.is_cuda


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The positions at which `permutation` (a 1-D tensor, or None) holds 0, 1, 2, ..."""
    if permutation is None:
        return None
    order = permutation.array
    return wrap_plain(xp(order).argsort(order).astype(order.dtype))


# Packed -------------------------------------------------------------------------------------------


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Leaves out the padding.

    input           (T, B, *), or (B, T, *) with `batch_first`
    lengths         B integers, a list or a tensor on the CPU, each from 1 to T
    enforce_sorted  the lengths must not increase; without it the sequences are sorted here

    Raises RuntimeError for lengths that do not fit.
    """
    if input.ndim < 2:
        raise IndexError(
            "pack_padded_sequence: Dimension out of range: input must have an axis of time and one "
            f"of sequences, but has shape {tuple(input.shape)}"
        )
    counts = _as_lengths(lengths)
    batch_axis = 0 if batch_first else 1
    batch, longest = input.shape[batch_axis], input.shape[1 - batch_axis]
    _check_lengths(counts, batch, longest, enforce_sorted)
    order = None
    if not enforce_sorted:
        order = np.argsort(-counts, kind="stable")
        counts = counts[order]
    rows = _positions(counts, batch, longest, batch_first, order)
    data = ops.getitem(
        input.reshape((batch * longest, *input.shape[2:])), index=_on_device_of(input, rows)
    )
    sizes = np.arange(counts[0])[:, None] < counts
    sorted_indices = None if order is None else wrap_plain(_on_device_of(input, order))
    return PackedSequence(data, wrap_plain(sizes.sum(axis=1)), sorted_indices)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The inverse of `pack_padded_sequence`: (padded (T, B, *), lengths), in the first order.

    T is the longest length, or `total_length`. Raises ValueError if that is shorter.
    """
    sizes = checked_sizes(sequence)
    batch, longest = int(sizes[0]), len(sizes)
    if total_length is not None:
        if total_length < longest:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, "
                f"but got total_length={total_length} and max sequence length being {longest}"
            )
        longest = total_length
    counts = (sizes[:, None] > np.arange(batch)).sum(axis=0)
    order = None if sequence.sorted_indices is None else sequence.sorted_indices.cpu().array
    rows = _positions(counts, batch, longest, batch_first, order)
    padded = _spread(sequence.data, rows, (batch, longest), batch_first, padding_value)
    if sequence.unsorted_indices is not None:
        counts = counts[sequence.unsorted_indices.cpu().array]
    return padded, wrap_plain(counts)


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Tensors (L, *) of different L as one PackedSequence; see `pack_padded_sequence`."""
    lengths = [x.shape[0] for x in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The inverse of `pack_sequence`."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


# Padded -------------------------------------------------------------------------------------------


def pad_sequence(
    sequences: Tensor | Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:  # fmt: skip
    """Tensors (L, *) of different L as one (T, B, *), or (B, T, *) with `batch_first`.

    padding_value  what fills the places beyond a sequence's end, or before its start where
    padding_side   is "left"

    Raises RuntimeError for no sequences, and for trailing axes that differ.
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    parts = list(sequences)
    _check_parts(parts)
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    lengths = np.array([x.shape[0] for x in parts])
    longest = int(lengths.max())
    starts = longest - lengths if padding_side == "left" else np.zeros_like(lengths)
    rows = np.concatenate([
        (b * longest + t) if batch_first else (t * len(parts) + b)
        for b, (start, n) in enumerate(zip(starts, lengths, strict=True))
        for t in [np.arange(start, start + n)]
    ])  # fmt: skip
    return _spread(functions.cat(parts), rows, (len(parts), longest), batch_first, padding_value)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """The inverse of `pad_sequence`: a list of the sequences, cut to their lengths."""
    counts = _as_lengths(lengths)
    if batch_first:
        return [x[: int(n)] for x, n in zip(padded_sequences, counts, strict=True)]
    return [padded_sequences[: int(n), b] for b, n in enumerate(counts)]


def checked_sizes(sequence: PackedSequence) -> Any:
    """The batch sizes as an array. Raises RuntimeError if they are not those of the data."""
    sizes, rows = sequence.batch_sizes.array, sequence.data.shape[0]
    if sizes.dtype.kind not in "iu" or sizes.ndim != 1 or len(sizes) == 0:
        raise RuntimeError(
            "PackedSequence: batch_sizes must be a 1-D int64 tensor that is not empty, got "
            f"{sizes.dtype} of shape {sizes.shape}; use pack_sequence or pack_padded_sequence"
        )
    total = sum(sizes.tolist())  # in whole numbers of any size
    if sizes.min() < 0 or (sizes[1:] > sizes[:-1]).any() or total != rows:
        raise RuntimeError(
            f"PackedSequence: batch_sizes must not increase, and add up to the {rows} rows of the "
            f"data, got {sizes.tolist()}"
        )
    return sizes


# Shared -------------------------------------------------------------------------------------------


def _positions(counts: Any, batch: int, longest: int, batch_first: bool, order: Any) -> Any:
    """The row of each packed element among the rows of the padded array, time step by step.

    counts: lengths in sorted order; order: the place of each sorted sequence in the batch, or None.
    """
    step, place = np.nonzero(np.arange(longest)[:, None] < counts)
    if order is not None:
        place = order[place]
    return place * longest + step if batch_first else step * batch + place


def _spread(
    data: Tensor, rows: Any, sizes: tuple[int, int], batch_first: bool, padding_value: float
) -> Tensor:
    """A padded array with `data` at `rows`, and the padding value elsewhere."""
    batch, longest = sizes
    shape = data.shape[1:]
    base = xp(data.array).full((batch * longest, *shape), padding_value, data.dtype)
    padded = ops.put(base, data, index=_on_device_of(data, rows))
    return padded.reshape((batch, longest, *shape) if batch_first else (longest, batch, *shape))


def _on_device_of(x: Tensor, index: Any) -> Any:
    return to_device(index, device_of(x.array))


def _as_lengths(lengths: Any) -> Any:
    array = lengths.array if isinstance(lengths, Tensor) else lengths
    counts = np.asarray(array, dtype=np.int64)
    if counts.ndim != 1:
        raise RuntimeError(
            "'lengths' argument should be a 1D CPU int64 tensor, but got a tensor of "
            f"{counts.ndim} dimensions"
        )
    return counts


def _check_lengths(counts: Any, batch: int, longest: int, enforce_sorted: bool) -> None:
    if batch == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    if len(counts) != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(counts)} "
            f"(batch_size={batch})"
        )
    if counts.min() <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            f"that is <= 0: {counts.min()}"
        )
    if counts.max() > longest:
        raise RuntimeError(
            f"pack_padded_sequence: a length of {counts.max()} in 'lengths' is larger than the "
            f"input's {longest} time steps"
        )
    if enforce_sorted and (counts[1:] > counts[:-1]).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You "
            "can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement"
        )


def _check_parts(parts: list[Any]) -> None:
    if not parts:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    for i, x in enumerate(parts):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"pad_sequence: expected Tensor as element {i} in argument 0, but got "
                f"{type(x).__name__}"
            )
        if x.ndim == 0:
            raise RuntimeError(f"pad_sequence: sequence {i} is 0-d, it needs an axis of time")
        if x.shape[1:] != parts[0].shape[1:]:
            raise RuntimeError(
                f"pad_sequence: The size of tensor a {tuple(parts[0].shape[1:])} must match the "
                f"size of tensor b {tuple(x.shape[1:])} in all axes but the first: sequences 0 "
                f"and {i}"
            )
