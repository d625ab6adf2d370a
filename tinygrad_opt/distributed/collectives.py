"""Collective calls on Tensors, with PyTorch's names and arguments; `objects.py` has the others.

Every process of the group makes the same calls in the same order, with tensors of one shape and
type: calls that do not go together raise DistBackendError after some seconds, instead of waiting
for ever. What is written to is written in place, and not recorded for gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..arrays.xp import array_namespace
from ..core.refusals import check_tensor
from ..core.tensor import Tensor
from ..core.versions import note_write
from .groups import ProcessGroup, even
from .state import the

__all__ = [
    "ReduceOp", "Work", "all_gather", "all_gather_into_tensor", "all_reduce", "barrier",
    "broadcast", "gather", "irecv", "isend", "monitored_barrier", "recv", "reduce",
    "reduce_scatter", "reduce_scatter_tensor", "scatter", "send",
]  # fmt: skip


class ReduceOp:
    """How values are put together: SUM, AVG (of floats), PRODUCT, MIN, MAX, BAND, BOR, BXOR."""

    SUM, AVG, PRODUCT, MIN, MAX = "sum", "avg", "product", "min", "max"
    BAND, BOR, BXOR = "band", "bor", "bxor"


_OPS = frozenset(value for name, value in vars(ReduceOp).items() if name.isupper())


class Work:
    """What a call with `async_op=True` returns: it is done already."""

    def __init__(self, source: int = -1) -> None:
        self._source = source

    def wait(self, timeout: Any = None) -> bool:
        """True: the call was done when it returned."""
        return True

    def is_completed(self) -> bool:
        """True."""
        return True

    def is_success(self) -> bool:
        """True."""
        return True

    def source_rank(self) -> int:
        """The rank that a message came from; -1 for other calls."""
        return self._source


def broadcast(
    tensor: Tensor, src: int | None = None, group: Any = None, async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:  # fmt: skip
    """`tensor` becomes that of rank `src`, in place, on all ranks."""
    g = the(group)
    with _Flat("broadcast", tensor) as x:
        g.broadcast(x, _root("broadcast", g, src, group_src))
    return _done(async_op)


def all_reduce(
    tensor: Tensor, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """`tensor` becomes the sum (or what `op` says) over all ranks, in place.

    Added up in the order of the ranks: the same bits on all of them, and in every run of as many.
    """
    g = the(group)
    with _Flat("all_reduce", tensor) as x:
        g.all_reduce(x, _op("all_reduce", op, tensor))
    return _done(async_op)


def reduce(
    tensor: Tensor, dst: int | None = None, op: Any = ReduceOp.SUM, group: Any = None,
    async_op: bool = False, group_dst: int | None = None,
) -> Work | None:  # fmt: skip
    """At rank `dst`, `tensor` becomes the sum over all ranks; elsewhere it stays as it is."""
    g = the(group)
    with _Flat("reduce", tensor) as x:
        g.reduce(x, _root("reduce", g, dst, group_dst), _op("reduce", op, tensor))
    return _done(async_op)


def all_gather(
    tensor_list: list[Tensor], tensor: Tensor, group: Any = None, async_op: bool = False
) -> Work | None:
    """`tensor_list[i]` becomes the `tensor` of rank i, in place."""
    g = the(group)
    _check_list("all_gather", tensor_list, g, tensor)
    rows = _rows(g, tensor)
    g.all_gather(_vector("all_gather", tensor), rows)
    _put(tensor_list, rows)
    return _done(async_op)


def all_gather_into_tensor(
    output_tensor: Tensor, input_tensor: Tensor, group: Any = None, async_op: bool = False
) -> Work | None:
    """`output_tensor` becomes the `input_tensor` of all ranks, one after the other."""
    g = the(group)
    _check_sizes("all_gather_into_tensor", output_tensor, input_tensor, g.size())
    with _Flat("all_gather_into_tensor", output_tensor) as out:
        rows = out.reshape(g.size(), -1)
        g.all_gather(_vector("all_gather_into_tensor", input_tensor), rows)
    return _done(async_op)


def gather(
    tensor: Tensor, gather_list: list[Tensor] | None = None, dst: int | None = None,
    group: Any = None, async_op: bool = False, group_dst: int | None = None,
) -> Work | None:  # fmt: skip
    """At rank `dst`, `gather_list[i]` becomes the `tensor` of rank i; the others give no list."""
    g = the(group)
    root = _root("gather", g, dst, group_dst)
    _check_root_list("gather", "gather_list", gather_list, g, root, tensor)
    rows = _rows(g, tensor) if g.rank() == root else None
    g.gather(_vector("gather", tensor), rows, root)
    if gather_list and g.rank() == root:
        _put(gather_list, rows)
    return _done(async_op)


def scatter(
    tensor: Tensor, scatter_list: list[Tensor] | None = None, src: int | None = None,
    group: Any = None, async_op: bool = False, group_src: int | None = None,
) -> Work | None:  # fmt: skip
    """`tensor` of rank i becomes `scatter_list[i]` of rank `src`; the others give no list."""
    g = the(group)
    root = _root("scatter", g, src, group_src)
    _check_root_list("scatter", "scatter_list", scatter_list, g, root, tensor)
    given = [_vector("scatter", t) for t in scatter_list or ()]
    with _Flat("scatter", tensor) as x:
        g.scatter(x, given, root)
    return _done(async_op)


def reduce_scatter(
    output: Tensor, input_list: list[Tensor], op: Any = ReduceOp.SUM, group: Any = None,
    async_op: bool = False,
) -> Work | None:  # fmt: skip
    """`output` of rank i becomes the sum over all ranks of their `input_list[i]`."""
    g = the(group)
    _check_list("reduce_scatter", input_list, g, output)
    how = _op("reduce_scatter", op, output)
    whole = array_namespace(output.array).concatenate([t.array.reshape(-1) for t in input_list])
    _reduce_scatter(g, "reduce_scatter", output, whole, how)
    return _done(async_op)


def reduce_scatter_tensor(
    output: Tensor, input: Tensor, op: Any = ReduceOp.SUM, group: Any = None,
    async_op: bool = False,
) -> Work | None:  # fmt: skip
    """`output` of rank i becomes the sum over all ranks of part i of their `input`."""
    g = the(group)
    _check_sizes("reduce_scatter_tensor", input, output, g.size())
    how = _op("reduce_scatter_tensor", op, output)
    whole = _vector("reduce_scatter_tensor", input).copy()
    _reduce_scatter(g, "reduce_scatter_tensor", output, whole, how)
    return _done(async_op)


def barrier(group: Any = None, async_op: bool = False, device_ids: Any = None) -> Work | None:
    """Returns when all processes of the group have called it."""
    the(group).barrier()
    return _done(async_op)


def monitored_barrier(group: Any = None, timeout: Any = None, wait_all_ranks: bool = False) -> None:
    """`barrier`: every call here raises an error that names the rank that is gone."""
    the(group).barrier()


def send(
    tensor: Tensor, dst: int | None = None, group: Any = None, tag: int = 0,
    group_dst: int | None = None,
) -> None:  # fmt: skip
    """Sends `tensor` to rank `dst`, which calls `recv`."""
    g = the(group)
    to = _root("send", g, dst, group_dst)
    if to == g.rank():
        raise ValueError("send: a rank cannot send to itself")
    g.send(_vector("send", tensor), to, tag)  # type: ignore[attr-defined]


def recv(
    tensor: Tensor, src: int | None = None, group: Any = None, tag: int = 0,
    group_src: int | None = None,
) -> int:  # fmt: skip
    """`tensor` becomes what rank `src` (None: any) sends; returns that rank."""
    g = the(group)
    anybody = src is None and group_src is None
    source = None if anybody else _root("recv", g, src, group_src)
    if source == g.rank() or g.size() == 1:
        raise ValueError("recv: a rank cannot receive from itself")
    with _Flat("recv", tensor) as x:
        sender = g.recv(x, source, tag)  # type: ignore[attr-defined]
    return g.ranks[sender]


def isend(
    tensor: Tensor, dst: int | None = None, group: Any = None, tag: int = 0,
    group_dst: int | None = None,
) -> Work:  # fmt: skip
    """`send`, with a Work that is done when it returns."""
    send(tensor, dst, group, tag, group_dst)
    return Work()


def irecv(
    tensor: Tensor, src: int | None = None, group: Any = None, tag: int = 0,
    group_src: int | None = None,
) -> Work:  # fmt: skip
    """`recv`, with a Work that is done when it returns."""
    return Work(recv(tensor, src, group, tag, group_src))


# Tensors as vectors -------------------------------------------------------------------------------


class _Flat:
    """The memory of a tensor as a vector, to be written to: a copy that is put back if need be."""

    def __init__(self, name: str, tensor: Tensor) -> None:
        check_tensor(f"distributed.{name}", "tensor", tensor)
        self._array = tensor.array
        if tensor.is_sparse:
            raise _sparse(name)

    def __enter__(self) -> Any:
        self._vector = array_namespace(self._array).ascontiguousarray(self._array).reshape(-1)
        return self._vector

    def __exit__(self, kind: Any, *exc: object) -> None:
        if kind is None:
            if not self._array.flags.c_contiguous:
                self._array[...] = self._vector.reshape(self._array.shape)
            note_write(self._array)


def _vector(name: str, tensor: Tensor) -> Any:
    check_tensor(f"distributed.{name}", "tensor", tensor)
    if tensor.is_sparse:
        raise _sparse(name)
    return array_namespace(tensor.array).ascontiguousarray(tensor.array).reshape(-1)


def _rows(group: ProcessGroup, like: Tensor) -> Any:
    """Room for one such tensor of each rank."""
    return array_namespace(like.array).empty((group.size(), like.array.size), like.array.dtype)


def _put(tensors: Sequence[Tensor], rows: Any) -> None:
    for tensor, row in zip(tensors, rows, strict=True):
        tensor.array[...] = row.reshape(tensor.array.shape)
        note_write(tensor.array)


def _reduce_scatter(g: ProcessGroup, name: str, output: Tensor, whole: Any, op: str) -> None:
    bounds = even(whole.size, g.size())
    g.reduce_parts(whole, bounds, op)
    with _Flat(name, output) as out:
        out[...] = whole[bounds[g.rank()] : bounds[g.rank() + 1]]


def _done(async_op: bool) -> Work | None:
    return Work() if async_op else None


# Checks -------------------------------------------------------------------------------------------


def _root(name: str, g: ProcessGroup, rank: int | None, in_group: int | None) -> int:
    """The number in the group of `rank`, which counts among all processes."""
    if in_group is not None:
        if rank is not None:
            raise ValueError(f"{name}: give the rank among all processes or in the group, not both")
        if not 0 <= in_group < g.size():
            raise ValueError(f"{name}: the group has ranks 0 to {g.size() - 1}, got {in_group}")
        return in_group
    rank = 0 if rank is None else rank
    if rank not in g.ranks:
        raise ValueError(f"{name}: rank {rank} is not in the group; it has {g.ranks}")
    return g.ranks.index(rank)


def _op(name: str, op: Any, tensor: Tensor) -> str:
    check_tensor(f"distributed.{name}", "tensor", tensor)
    if op not in _OPS:
        raise ValueError(
            f"{name}: op must be one of ReduceOp's, {', '.join(sorted(_OPS))}, got {op!r}"
        )
    kind = tensor.array.dtype.kind
    if op == "avg" and kind not in "fc":
        raise ValueError(f"{name}: ReduceOp.AVG is for floats, got {tensor.dtype}; sum and divide")
    if op in ("band", "bor", "bxor") and kind not in "iub":
        raise ValueError(f"{name}: ReduceOp.{op.upper()} is for integers, got {tensor.dtype}")
    if op in ("min", "max") and kind == "c":
        raise ValueError(f"{name}: complex numbers have no order, so no ReduceOp.{op.upper()}")
    return str(op)


def _check_list(name: str, tensors: Any, g: ProcessGroup, like: Tensor) -> None:
    check_tensor(f"distributed.{name}", "tensor", like)
    if not isinstance(tensors, (list, tuple)) or len(tensors) != g.size():
        given = len(tensors) if isinstance(tensors, (list, tuple)) else type(tensors).__name__
        raise ValueError(f"{name}: expected a list of {g.size()} tensors, one a rank, got {given}")
    for i, tensor in enumerate(tensors):
        check_tensor(f"distributed.{name}", f"tensor {i}", tensor)
        if tensor.array.shape != like.array.shape or tensor.array.dtype != like.array.dtype:
            raise ValueError(
                f"{name}: all tensors must be as the other, {tuple(like.shape)} of {like.dtype}, "
                f"but number {i} of the list is {tuple(tensor.shape)} of {tensor.dtype}"
            )


def _check_root_list(
    name: str, argument: str, tensors: Any, g: ProcessGroup, root: int, like: Tensor
) -> None:
    if g.rank() == root:
        _check_list(name, tensors, g, like)
    elif tensors:
        raise ValueError(f"{name}: {argument} is given by rank {g.ranks[root]} alone")


def _check_sizes(name: str, whole: Tensor, part: Tensor, ranks: int) -> None:
    check_tensor(f"distributed.{name}", "the whole", whole)
    check_tensor(f"distributed.{name}", "the part", part)
    if whole.array.size != part.array.size * ranks or whole.dtype != part.dtype:
        raise ValueError(
            f"{name}: the one tensor must be {ranks} times the other, of its type; got "
            f"{tuple(whole.shape)} of {whole.dtype} and {tuple(part.shape)} of {part.dtype}"
        )


def _sparse(name: str) -> TypeError:
    return TypeError(f"distributed.{name}: tensors must be dense; send tensor.to_dense()")
