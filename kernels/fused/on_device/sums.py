"""Sums over vectors in a GPU's memory, and over many parts of a vector at once: one pass, one wait.

A part is cut into pieces of fixed length. A block adds up a piece, in float64 and in an order of
its own; the pieces of a part are added up on the CPU, in their order: the same bits every time,
whatever lies beside the part. The same for the CPU is `kernels/fused/reduce.py`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...compiler import cache
from .pieces import added

PIECE = 16_384  # elements
THREADS = 128

_TEXT = """\
# Written by tinygrad_opt.kernels.fused.on_device.sums.
from numba import cuda, int64
from numpy import float64


@cuda.jit(cache={cache})
def {kind}(x, z, pieces, partial):
    t, threads = int64(cuda.threadIdx.x), int64(cuda.blockDim.x)
    piece = int64(cuda.blockIdx.x)
    k, stop = pieces[2 * piece] + t, pieces[2 * piece + 1]
    shared = cuda.shared.array(128, float64)
    part = float64(0)
    while k + 3 * threads < stop:  # all loads first: they are on their way together
        {loads}
        part += ({term0} + {term1}) + ({term2} + {term3})
        k += 4 * threads
    while k < stop:
        {load}
        part += {term0}
        k += threads
{added}\
    if t == 0:
        partial[piece] = total
"""

# What is added up, of x{i} and z{i}; z is x itself but for products.
_TERMS = {
    "squares": "float64(x{i}) * float64(x{i})",
    "magnitudes": "abs(float64(x{i}))",
    "products": "float64(x{i}) * float64(z{i})",
    "nonzeros": "(float64(0) if x{i} == 0 else float64(1))",
}

_kernels: dict[tuple[str, str], Any] = {}


def text(kind: str, on_disk: bool) -> str:
    """The whole text of a kernel."""
    names = "xz" if kind == "products" else "x"
    loads = [
        f"{name}{i} = {name}[k + {i} * threads]" if i else f"{name}0 = {name}[k]"
        for i in range(4)
        for name in names
    ]
    terms = {f"term{i}": _TERMS[kind].format(i=i) for i in range(4)}
    first = ("\n" + " " * 8).join(loads[: len(names)])
    return _TEXT.format(
        kind=kind,
        cache=on_disk,
        loads=("\n" + " " * 8).join(loads),
        load=first,
        added=added("part", "total"),
        **terms,
    )


def sums(kind: str, x: Any, z: Any, offsets: Sequence[int]) -> list[float]:
    """For each part of x, from one offset to the next: what `kind` adds up there. Waits once.

    kind: "squares", "magnitudes", "nonzeros", or "products", of x and z. CuPy's vectors.
    """
    if not x.size:
        return [0.0] * (len(offsets) - 1)
    _, firsts = _pieces(tuple(offsets))
    if not len(firsts):
        return []
    partial = _partial(kind, x, z, tuple(offsets))
    return [float(total) for total in np.add.reduceat(partial.get(), firsts)]


def total(kind: str, x: Any) -> Any:
    """What `kind` adds up over a whole vector, a 0-d float64 array of CuPy's; nothing waits."""
    import cupy

    if not x.size:
        return cupy.zeros((), np.float64)
    return cupy.sum(_partial(kind, x, x, (0, x.size)))


def _partial(kind: str, x: Any, z: Any, offsets: tuple[int, ...]) -> Any:
    """The sum of each piece of the parts."""
    import cupy

    from ...compiler import cuda

    pieces, _ = _pieces(offsets)
    table = _on_device(offsets)
    key = kind, x.dtype.char
    if key not in _kernels:
        _kernels[key] = cache.load(kind, lambda on_disk: text(kind, on_disk), cuda.made_by())
    partial = cupy.empty(len(pieces), np.float64)
    letters = x.dtype.char * 2 + "qd"
    arrays = x, z, table, partial
    cuda.launch_over(_kernels[key], letters, "", arrays, (), len(pieces), THREADS)
    return partial


@functools.lru_cache(maxsize=64)
def _pieces(offsets: tuple[int, ...]) -> tuple[Any, list[int]]:
    """Where each piece begins and ends, and the number of each part's first piece."""
    pieces: list[tuple[int, int]] = []
    firsts = []
    for a, b in itertools.pairwise(offsets):
        firsts.append(len(pieces))
        pieces += [(k, min(k + PIECE, b)) for k in range(a, max(b, a + 1), PIECE)]
    return np.array(pieces, np.int64).reshape(-1, 2), firsts


@functools.lru_cache(maxsize=64)
def _on_device(offsets: tuple[int, ...]) -> Any:
    import cupy

    return cupy.asarray(_pieces(offsets)[0])
