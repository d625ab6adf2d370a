"""Matrix products on a GPU by a cuBLAS handle of our own: CuPy refuses them in a capture.

What is captured is what cuBLAS launches, with the addresses of the workspace. So whoever captures
lends the memory for it, which has to live as long as the graph. CUDA's matrices lie by columns: a
row-major product z = x y is asked for as z^T = y^T x^T, for which nothing is copied.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["Products", "active", "used"]

WORKSPACE = 32 << 20  # bytes: what NVIDIA recommends for its newest cards
_LARGEST = 2**31 - 1  # of a dimension, in this interface
_LETTERS = {"f": ("S", ctypes.c_float), "d": ("D", ctypes.c_double)}


class _Active(threading.local):
    """products: whose products this thread takes; None: CuPy's."""

    products: Any = None


active = _Active()


@contextlib.contextmanager
def used(products: Products) -> Iterator[None]:
    """In here, products of this thread go by this handle."""
    active.products = products
    try:
        yield
    finally:
        active.products = None


class Products:
    """A handle: `dot` and `matmul` as NumPy's, of float32 and float64 arrays of CuPy.

    library: cuBLAS, as of `ctypes`; None to find it.  It is not for two threads at a time.
    """

    def __init__(self, library: Any = None) -> None:
        self._library, self._handle = library or _found(), ctypes.c_void_p()
        self._ask("cublasCreate_v2", ctypes.byref(self._handle))

    def _ask(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            raise RuntimeError(f"{name}: cuBLAS reports status {status}")

    def work_on(self, stream: int, workspace: Any) -> None:
        """Launch on `stream`, a pointer, with an array of CuPy's for the workspace."""
        self._ask("cublasSetStream_v2", self._handle, ctypes.c_void_p(stream))
        self._ask("cublasSetWorkspace_v2", self._handle, ctypes.c_void_p(workspace.data.ptr),
                  ctypes.c_size_t(workspace.nbytes))  # fmt: skip

    def dot(self, x: Any, y: Any) -> Any:
        """`numpy.dot` of vectors and matrices."""
        if x.ndim > 2 or y.ndim > 2 or not x.ndim or not y.ndim:
            raise TypeError(f"dot: expected vectors or matrices, got {x.shape} and {y.shape}")
        return self.matmul(x, y)

    def matmul(self, x: Any, y: Any) -> Any:
        """`numpy.matmul`: of vectors, matrices, and stacks of matrices, which are broadcast.

        Raises TypeError for other types of elements, ValueError for shapes that do not fit.
        """
        if x.dtype != y.dtype or x.dtype.char not in _LETTERS:
            raise TypeError(
                f"a matrix product in a graph takes float32 or float64, both of one type, got "
                f"{x.dtype} and {y.dtype}"
            )
        rows, columns = x.ndim == 1, y.ndim == 1
        x, y = x[None] if rows else x, y[:, None] if columns else y
        if x.shape[-1] != y.shape[-2]:
            raise ValueError(f"matmul: shapes {x.shape} and {y.shape} do not fit")
        z = self._stacks(x, y)
        z = z[..., 0] if columns else z
        return (z[..., 0] if columns else z[..., 0, :]) if rows else z

    def _stacks(self, x: Any, y: Any) -> Any:
        import cupy

        if y.ndim == 2 and x.ndim > 2 and x.flags.c_contiguous:  # one product for the whole stack
            z = self._stacks(x.reshape(-1, x.shape[-1]), y)
            return z.reshape(*x.shape[:-1], y.shape[-1])
        (m, k), n = x.shape[-2:], y.shape[-1]
        stack = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        count = int(np.prod(stack, dtype=np.int64))
        if not count * m * n * k:
            return cupy.zeros((*stack, m, n), x.dtype)
        if max(m, n, k, count) > _LARGEST:
            raise ValueError(f"a matrix product in a graph: a length above {_LARGEST}")
        z = cupy.empty((*stack, m, n), x.dtype)
        x, (x_way, x_line, x_step) = _as_stack(x, stack)
        y, (y_way, y_line, y_step) = _as_stack(y, stack)
        letter, number = _LETTERS[x.dtype.char]
        one, zero = ctypes.byref(number(1)), ctypes.byref(number(0))
        px, py, pz = (ctypes.c_void_p(a.data.ptr) for a in (x, y, z))
        head = self._handle, y_way, x_way, n, m, k, one
        if count == 1:
            self._ask(f"cublas{letter}gemm_v2", *head, py, y_line, px, x_line, zero, pz, n)
            return z
        steps = map(ctypes.c_longlong, (y_step, x_step, m * n))
        of_y, of_x, of_z = steps
        self._ask(f"cublas{letter}gemmStridedBatched", *head, py, y_line, of_y, px, x_line, of_x,
                  zero, pz, n, of_z, count)  # fmt: skip
        return z


def _as_stack(x: Any, stack: tuple[int, ...]) -> tuple[Any, tuple[int, int, int]]:
    """A stack of matrices as cuBLAS takes it, copied if need be, and how it lies.

    That is: whether it is to be turned round, the distance of lines, and that of matrices.
    """
    import cupy

    way, step = _way(x), _step(x, stack)
    if way is None or step is None:
        whole = cupy.broadcast_to(x, (*stack, *x.shape[-2:])) if step is None else x
        x = cupy.ascontiguousarray(whole)
        way, step = _way(x), _step(x, stack)
    return x, (*way, step)  # type: ignore[misc]


def _way(x: Any) -> tuple[int, int] | None:
    """(0 or 1, distance of lines) of matrices whose rows, or columns, are contiguous; or None."""
    rows, columns = x.shape[-2:]
    down, right = (s // x.itemsize for s in x.strides[-2:])
    if (right == 1 or columns == 1) and (down >= columns or rows == 1):
        return 0, max(down if rows > 1 else columns, columns)
    if (down == 1 or rows == 1) and (right >= rows or columns == 1):
        return 1, max(right if columns > 1 else rows, rows)
    return None


def _step(x: Any, stack: tuple[int, ...]) -> int | None:
    """The one distance, in elements, of a stack's matrices from each to the next; or None."""
    shape = (1,) * (len(stack) + 2 - x.ndim) + x.shape[:-2]
    strides = (0,) * (len(stack) + 2 - x.ndim) + x.strides[:-2]
    axes = [
        (n, 0 if own == 1 else stride // x.itemsize)
        for n, own, stride in zip(stack, shape, strides, strict=True)
        if n > 1
    ]
    if not axes:
        return 0
    for (_, outer), (n, inner) in itertools.pairwise(axes):
        if outer != inner * n:
            return None
    return axes[-1][1] if axes[-1][1] >= 0 else None


def _found() -> Any:
    """The cuBLAS that CuPy has loaded. Raises RuntimeError where there is none."""
    import cupy

    cupy.ones((1, 1), "f4") @ cupy.ones((1, 1), "f4")  # then it has
    with contextlib.suppress(OSError), open("/proc/self/maps") as maps:
        for path in sorted({m.split()[-1] for m in maps if "libcublas.so" in m}):
            return ctypes.CDLL(path)
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)
    except Exception as error:
        raise RuntimeError(
            f"matrix products in a graph need cuBLAS, which was not found ({error}); install it as "
            'CuPy says: pip install "cupy-cuda13x[ctk]"'
        ) from error
