"""Tables of vectors, looked up by integers: function and layer."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from .. import ops
from ..arrays import dtypes
from ..arrays.xp import xp
from ..autograd.modes import no_grad
from ..core.public import publish
from ..core.tensor import Tensor
from ..tensors.creation import empty
from . import init
from .errors import check_devices
from .module import Module
from .parameter import Parameter

__all__ = ["Embedding", "embedding"]


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """The rows of `weight` (rows, features) that the integers `input` (...) name: (..., features).

    padding_idx         a row that receives no gradient
    max_norm            looked-up rows whose `norm_type`-norm is larger are first scaled down to it
                        in `weight` itself
    scale_grad_by_freq  gradients are divided by how often the input names their row
    sparse              the gradient of `weight` lists the rows that were named, and is added up to
                        a dense one only where it has to be (`create_graph`, a `weight` that was
                        computed)

    Raises RuntimeError for indices that are not integers and IndexError for those outside the
    table.
    """
    index = checked_index("embedding", input, weight)
    if weight.ndim != 2:
        raise RuntimeError(f"embedding: 'weight' must be 2-D, got shape {tuple(weight.shape)}")
    rows = weight.shape[0]
    plain = max_norm is None and not scale_grad_by_freq
    if plain and xp(index).checks_rows(weight.array, index):
        outside = None  # or the GPU would have to be waited for
    else:
        outside = outside_of(index, rows)
    if outside is not None:
        raise IndexError(f"embedding: index out of range in self: {outside[1]} with {rows} rows")
    if padding_idx is not None:
        padding_idx = padding_row(padding_idx, rows)
    if max_norm is not None:
        renormalize(weight, index, max_norm, norm_type)
    shares = shares_of(index, weight) if scale_grad_by_freq else None
    return ops.lookup(
        weight, index=index, padding_idx=padding_idx, shares=shares,
        sparse=sparse and weight.is_leaf,
    )  # fmt: skip


def padding_row(padding_idx: int, rows: int) -> int:
    """`padding_idx` counted from the front. Raises AssertionError if there is no such row."""
    padding_idx, rows = operator.index(padding_idx), operator.index(rows)
    if not -rows <= padding_idx < rows:
        raise AssertionError(
            f"Padding_idx must be within num_embeddings ({rows}), got {padding_idx}"
        )
    return padding_idx % rows


def checked_index(name: str, input: Tensor, weight: Tensor) -> Any:
    index = input.array
    check_devices(name, weight.array, index)
    if index.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(
            f"{name}: Expected tensor for argument #1 'indices' to have one of the following "
            f"scalar types: Long, Int; but got {dtypes.name_of(index.dtype)} instead; convert with "
            ".long()"
        )
    return index.astype(np.int64, copy=False)


def outside_of(index: Any, rows: int) -> tuple[int, int] | None:
    """(place, value) of the first index that is not a row, or None."""
    if not index.size or (index.min() >= 0 and index.max() < rows):
        return None
    flat = index.reshape(-1)
    place = int(((flat < 0) | (flat >= rows)).argmax())
    return place, int(flat[place])


def shares_of(index: Any, weight: Tensor) -> Any:
    """For each index, one over how often it occurs."""
    count = xp(index).bincount(index.reshape(-1), minlength=weight.shape[0])
    return (1 / count[index]).astype(weight.dtype)


def renormalize(weight: Tensor, index: Any, max_norm: float, norm_type: float) -> None:
    """Scale down, in place and past autograd, the named rows whose norm exceeds max_norm."""
    space = xp(index)
    named = space.unique(index)
    rows = weight.array[named]
    if norm_type == math.inf:
        norms = abs(rows).max(axis=1)
    else:
        norms = (abs(rows) ** norm_type).sum(axis=1) ** (1 / norm_type)
    large = norms > max_norm
    if large.any():
        scale = max_norm / (norms[large] + 1e-7)
        with no_grad():
            weight[named[large]] = (rows[large] * scale[:, None]).astype(weight.dtype)


publish(globals(), __all__)


class Table(Module):
    """A table with one row that may be padding."""

    weight: Parameter
    padding_idx: int | None

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None,
        max_norm: float | None, norm_type: float, scale_grad_by_freq: bool, sparse: bool,
        weight: Tensor | None, freeze: bool, device: Any, dtype: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        if padding_idx is not None:
            padding_idx = padding_row(padding_idx, num_embeddings)
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if weight is None:
            table = empty(num_embeddings, embedding_dim, device=device, dtype=dtype)
            self.weight = Parameter(table, requires_grad=not freeze)
            self.reset_parameters()
        elif tuple(weight.shape) != (num_embeddings, embedding_dim):
            raise AssertionError(
                "Shape of weight does not match num_embeddings and embedding_dim: "
                f"{tuple(weight.shape)} for {num_embeddings} and {embedding_dim}"
            )
        else:
            self.weight = Parameter(weight, requires_grad=not freeze)

    def reset_parameters(self) -> None:
        """Draws the table anew from the default generator; the padding row becomes zero."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.array[self.padding_idx] = 0

    def _repr_of(self, *settings: tuple[str, Any]) -> str:
        parts = [str(self.num_embeddings), str(self.embedding_dim)]
        for name, default in settings:
            value = getattr(self, name)
            if value != default:
                parts.append(f"{name}={value!r}")
        return ", ".join(parts)


class Embedding(Table):
    """The rows of a table: (...) integers in [0, num_embeddings) -> (..., embedding_dim).

    num_embeddings      rows of the table
    embedding_dim       the length of a row
    padding_idx         a row that starts at zero and receives no gradient
    max_norm            rows whose `norm_type`-norm is larger are scaled down when looked up
    scale_grad_by_freq  gradients are divided by how often the input names their row
    sparse              the gradient of `weight` is row-sparse: for SparseAdam, SGD and Adagrad

    `weight` (num_embeddings, embedding_dim) starts standard normal. Raises AssertionError for a
    padding_idx outside the table, IndexError for indices outside it.

    >>> Embedding(10, 3, padding_idx=0)
    Embedding(10, 3, padding_idx=0)
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None,
        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        sparse: bool = False, _weight: Tensor | None = None, _freeze: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq,
            sparse, _weight, _freeze, device, dtype,
        )  # fmt: skip

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None,
        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:  # fmt: skip
        """An Embedding over the memory of `embeddings` (2-D), trained only if not `freeze`."""
        rows, features = table_shape(embeddings)
        return cls(
            rows, features, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
            embeddings, freeze,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        return embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self.sparse,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return self._repr_of(
            ("padding_idx", None), ("max_norm", None), ("norm_type", 2),
            ("scale_grad_by_freq", False), ("sparse", False),
        )  # fmt: skip


def table_shape(embeddings: Tensor) -> tuple[int, int]:
    if embeddings.ndim != 2:
        raise AssertionError(
            f"Embeddings parameter is expected to be 2-dimensional, got {embeddings.ndim}"
        )
    return embeddings.shape[0], embeddings.shape[1]
