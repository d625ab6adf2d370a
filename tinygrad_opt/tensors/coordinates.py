"""Sparse tensors by coordinates: adjacency matrices, and what they multiply.

`sparse_coo_tensor` with more than one sparse axis makes them. They list their entries as they came,
repeats and all, until `coalesce()` adds those up. Gradients flow to the dense factor and, where it
requires them, to the tensor of values. (Row-sparse gradients of tables are in `rowsparse.py`.)
"""

# mypy: disable-error-code="override, assignment"

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..arrays.device import Device, device_of
from ..arrays.xp import xp
from ..core.tensor import Tensor, wrap_as, wrap_plain
from .layouts import layout as Layout
from .layouts import sparse_coo

__all__ = ["CooTensor", "addmm", "mm", "spmm"]


class _Refusing:
    """What `xp` answers with for a tensor of this kind: an error for all but its own methods."""

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(
            f"Could not run '{name}' on a sparse tensor: it can be multiplied with a dense matrix, "
            "added, scaled, transposed, coalesced; call .to_dense() first"
        )


class _Entries:
    """What stands in the place of the array: shape, type and device of all, values of a few."""

    __slots__ = ("shape", "values")
    __array_ufunc__ = None
    _namespace = _Refusing()

    def __init__(self, shape: tuple[int, ...], values: Any) -> None:
        self.shape, self.values = shape, values

    dtype = property(lambda self: self.values.dtype)
    itemsize = property(lambda self: self.values.itemsize)
    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: math.prod(self.shape))
    device = property(lambda self: device_of(self.values))

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first: NumPy has "
            "no sparse arrays"
        )


class Listed(Tensor):
    """A tensor that lists its entries: what the two kinds of them have in common."""

    __slots__ = ()

    if TYPE_CHECKING:  # what each kind has

        def _indices(self) -> Tensor: ...
        def _values(self) -> Tensor: ...
        def _nnz(self) -> int: ...
        def is_coalesced(self) -> bool: ...

    @property
    def is_sparse(self) -> bool:
        """True."""
        return True

    @property
    def layout(self) -> Layout:
        """`sparse_coo`."""
        return sparse_coo

    def indices(self) -> Tensor:
        """The places, (sparse axes, entries); raises RuntimeError if not coalesced."""
        self._check_coalesced("indices")
        return self._indices()

    def values(self) -> Tensor:
        """The entries; raises RuntimeError if not coalesced."""
        self._check_coalesced("values")
        return self._values()

    def _check_coalesced(self, what: str) -> None:
        if not self.is_coalesced():
            raise RuntimeError(
                f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first; "
                f"_{what}() gives them as they are"
            )

    def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]:
        """Raises TypeError: it has to be made dense first."""
        return self.array.__array__()

    def __repr__(self) -> str:
        indices = repr(self._indices()).replace("\n", "\n" + " " * 15)
        values = repr(self._values()).replace("\n", "\n" + " " * 14)
        return (
            f"tensor(indices={indices},\n       values={values},\n       "
            f"size={tuple(self.shape)}, nnz={self._nnz()}, layout={self.layout})"
        )


class CooTensor(Listed):
    """A tensor that is zero but for entries at listed places, by PyTorch's names.

    Its first axes are sparse: entry i is `values[i]`, added at `indices[:, i]`.

    >>> a = tensor([[0.0, 1.0], [2.0, 3.0]]).to_sparse()
    >>> a @ tensor([[1.0], [1.0]])
    tensor([[1.],
            [5.]])
    >>> a.t().to_dense()
    tensor([[0., 2.],
            [1., 3.]])
    """

    __slots__ = ("_at", "_held", "_once")
    _at: Any  # (sparse axes, entries) int64
    _held: Tensor  # (entries, ...), which may have a history
    _once: bool  # whether the places ascend, each there once

    def __new__(
        cls, indices: Any, values: Tensor, shape: tuple[int, ...], once: bool = False
    ) -> CooTensor:
        made: CooTensor = wrap_as(cls, _Entries(shape, values.array))
        made._at, made._held, made._once = indices, values, once
        return made

    # What it is -----------------------------------------------------------------------------------

    @property
    def device(self) -> Device:
        """Where the memory lies."""
        return self._held.device

    @property
    def requires_grad(self) -> bool:
        """Whether the values require a gradient."""
        return self._held.requires_grad

    def sparse_dim(self) -> int:
        """How many axes are sparse."""
        return len(self._at)

    def dense_dim(self) -> int:
        """How many axes an entry has."""
        return len(self.shape) - len(self._at)

    def _nnz(self) -> int:
        return int(self._at.shape[1])

    def is_coalesced(self) -> bool:
        """Whether the places ascend, each there once."""
        return self._once

    def _indices(self) -> Tensor:
        return wrap_plain(self._at)

    def _values(self) -> Tensor:
        return self._held

    # Other forms ----------------------------------------------------------------------------------

    def coalesce(self) -> CooTensor:
        """The same tensor with each place once, in order; itself if it is so already."""
        if self._once:
            return self
        space, lead = xp(self._at), self.shape[: len(self._at)]
        flat = space.zeros(self._nnz(), np.int64)
        for places, n in zip(self._at, lead, strict=True):
            flat = flat * n + places
        places = space.unique(flat)
        owner = space.searchsorted(places, flat)
        at = []
        rest = places
        for n in reversed(lead):
            at.append(rest % n)
            rest = rest // n
        shape = (len(places), *self._held.shape[1:])
        values = ops.scatter_add(self._held, shape=shape, index=(owner,))
        return CooTensor(space.stack(at[::-1]), values, tuple(self.shape), once=True)

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
        """With all its zeros."""
        dense = ops.scatter_add(self._held, shape=tuple(self.shape), index=tuple(self._at))
        return dense if dtype is None else dense.to(dtype)

    def to_sparse(self, sparse_dim: int | None = None) -> CooTensor:
        """This tensor."""
        return self

    def to(self, *args: Any, **kwargs: Any) -> CooTensor:
        """On another device, in another type, or both, as `Tensor.to`."""
        values = self._held.to(*args, **kwargs)
        at = wrap_plain(self._at).to(values.device).array
        return CooTensor(at, values, tuple(self.shape), self._once)

    def _with(self, values: Tensor) -> CooTensor:
        return CooTensor(self._at, values, tuple(self.shape), self._once)

    def clone(self) -> CooTensor:
        """A copy."""
        return self._with(self._held.clone())

    def detach(self) -> CooTensor:
        """The same memory without history."""
        return self._with(self._held.detach())

    def t(self) -> CooTensor:
        """The transposed matrix. Raises RuntimeError for other than two sparse axes."""
        if len(self._at) != 2 or len(self.shape) != 2:
            raise RuntimeError(f"t: expected a sparse matrix, got {len(self.shape)} axes")
        return CooTensor(self._at[::-1], self._held, (self.shape[1], self.shape[0]))

    @property
    def T(self) -> CooTensor:
        """The transposed matrix."""
        return self.t()

    def transpose(self, dim0: int, dim1: int) -> CooTensor:
        """The same as `t()`."""
        return self if dim0 % 2 == dim1 % 2 else self.t()

    # Arithmetic -----------------------------------------------------------------------------------

    def mm(self, mat2: Tensor) -> Tensor:
        """The product with a dense matrix, (n, m) times (m, p), in time of the entries times p.

        Raises RuntimeError for shapes that do not fit, NotImplementedError for a sparse factor.
        """
        if isinstance(mat2, CooTensor):
            raise NotImplementedError("mm: one of two sparse factors has to be .to_dense()")
        if len(self.shape) != 2 or mat2.ndim != 2 or self.shape[1] != mat2.shape[0]:
            shapes = ("x".join(map(str, x.shape)) for x in (self, mat2))
            raise RuntimeError(
                f"mm: mat1 and mat2 shapes cannot be multiplied ({' and '.join(shapes)})"
            )
        rows = ops.mul(ops.getitem(mat2, index=self._at[1]), self._held.unsqueeze(1))
        shape = (self.shape[0], mat2.shape[1])
        return ops.scatter_add(rows, shape=shape, index=(self._at[0],))

    def matmul(self, other: Tensor) -> Tensor:
        """The product with a dense matrix (m, p) or vector (m,)."""
        return self.mm(other) if other.ndim != 1 else self.mm(other.unsqueeze(1)).squeeze(1)

    mv = __matmul__ = matmul

    def __rmatmul__(self, other: Tensor) -> Tensor:
        return self.t().mm(other.t()).t()

    def sum(self, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        """The sum over `dim`, dense."""
        return self.to_dense().sum(dim, keepdim, dtype=dtype)

    def __mul__(self, other: Any) -> CooTensor:
        if isinstance(other, CooTensor):
            raise NotImplementedError("mul: one of two sparse factors has to be .to_dense()")
        if getattr(other, "shape", ()) in ((), (1,)):
            return self._with(self._held * other)
        dense = ops.broadcast_to(other, shape=tuple(self.shape))
        return self._with(self._held * ops.getitem(dense, index=tuple(self._at)))

    __rmul__ = mul = __mul__

    def __truediv__(self, number: Any) -> CooTensor:
        return self * (1 / number)

    def __neg__(self) -> CooTensor:
        return self._with(-self._held)

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, CooTensor):
            return self.to_dense() + other
        if self.shape != other.shape or len(self._at) != len(other._at):
            raise RuntimeError(
                f"add: sparse tensors of one shape expected, got {tuple(self.shape)} and "
                f"{tuple(other.shape)}"
            )
        at = xp(self._at).concatenate([self._at, other._at], axis=1)
        return CooTensor(at, ops.concatenate([self._held, other._held]), tuple(self.shape))

    __radd__ = __add__

    def add(self, other: Any, *, alpha: float = 1) -> Any:
        """self + alpha * other."""
        return self + (other if alpha == 1 else other * alpha)

    def __sub__(self, other: Any) -> Any:
        return self + (-other)

    def __deepcopy__(self, memo: dict[Any, Any]) -> CooTensor:
        return self._with(self._held.detach().clone())

    def __reduce__(self) -> Any:
        return CooTensor, (self._at, self._held.detach(), tuple(self.shape), self._once)


def of_dense(dense: Tensor, sparse_dim: int | None = None) -> CooTensor:
    """A dense tensor by its entries that are not 0; the last axes may stay dense."""
    count = dense.ndim if sparse_dim is None else sparse_dim
    if not 1 <= count <= dense.ndim:
        raise ValueError(f"to_sparse: sparse_dim must be 1 to {dense.ndim}, got {count}")
    kept = dense.array != 0
    if count < dense.ndim:
        kept = kept.any(axis=tuple(range(count, dense.ndim)))
    places = xp(dense.array).nonzero(kept)
    values = ops.getitem(dense, index=places)
    return CooTensor(xp(dense.array).stack(places), values, tuple(dense.shape), once=True)


def mm(mat1: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices, of which one is sparse."""
    if isinstance(mat1, CooTensor):
        return mat1.mm(mat2)
    return mat2.__rmatmul__(mat1) if isinstance(mat2, CooTensor) else mat1.mm(mat2)


def spmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The same as `sparse.mm`."""
    return mm(input, mat2)


def addmm(
    mat: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1.0, alpha: float = 1.0
) -> Tensor:
    """beta * mat + alpha * mat1 mat2, of which mat1 may be sparse."""
    product = mm(mat1, mat2)
    return ops.add(mat * beta, product * alpha)


def check_places(at: Any, shape: tuple[int, ...]) -> None:
    """Raise RuntimeError unless all places (axes, entries) are inside of a shape."""
    for axis, (places, n) in enumerate(zip(at, shape, strict=False)):
        if places.size and (int(places.min()) < 0 or int(places.max()) >= n):
            raise RuntimeError(
                f"sparse_coo_tensor: size is inconsistent with indices: for dim {axis}, size is "
                f"{n} but found indices from {int(places.min())} to {int(places.max())}"
            )


def shape_of(at: Any, values: Any, size: Any) -> tuple[int, ...]:
    """The shape of a sparse tensor, given or as long as the places need, if all of it fits.

    at: (sparse axes, entries).  values: (entries, ...).  Raises RuntimeError where they do not fit.
    """
    count, entries = at.shape
    if values.ndim == 0 or values.shape[0] != entries:
        raise RuntimeError(
            f"sparse_coo_tensor: number of dimensions or entries differ: {entries} indices, values "
            f"of shape {tuple(values.shape)}"
        )
    rest = tuple(values.shape[1:])
    if size is None:
        size = (*(int(places.max()) + 1 if entries else 0 for places in at), *rest)
    shape = tuple(int(n) for n in size)
    if len(shape) < count or shape[count:] != rest:
        raise RuntimeError(
            f"sparse_coo_tensor: values has incorrect size, expected {[entries, *shape[count:]]}, "
            f"got {list(values.shape)}"
        )
    check_places(at, shape)
    return shape
