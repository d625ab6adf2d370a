"""CUDA's streams, captures and graphs for the stand-in: what is captured is run again, in order.

In a capture nothing is computed: memory that is asked for holds NaN, and each call is noted, with
the memory that it reads and writes. A graph's launch makes all of these calls again. What CuPy 14
refuses in a capture is refused with what it says. Before each launch the graph's own memory is
filled with rubbish, and afterwards that of arrays that nobody holds: a real pool would lend it.

Copies from pinned memory and launches wait in a queue until somebody asks for what they do.
"""

import ctypes
import math
import weakref
from types import SimpleNamespace

import numpy as np

KEPT_OUT = "calling {} API during stream capture is currently unsupported"
_QUEUED = []


class State:
    """What is under way: the calls of a capture and its memory, streams and allocators."""

    def __init__(self):
        self.calls = None  # of the capture; None outside of one
        self.fresh = []  # (memory, weak reference to the array that owns it)
        self.outside = 0  # arrays of a capture that lie in the pool of all
        self.streams, self.allocators = [NULL], [None]
        self.launches = 0


def flush():
    """Do what is queued."""
    while _QUEUED:
        _QUEUED.pop(0)()


def refuse_transfer(way):
    """A copy between host and device, for which the host would wait."""
    flush()
    if state.calls is not None:
        raise RuntimeError(f"the current stream is capturing: {way} transfers are disallowed")


def refuse_library(name):
    if state.calls is not None:
        raise NotImplementedError(KEPT_OUT.format(name))


def poison(memory, rubbish=False):
    if memory.dtype.kind in "fc":
        memory.fill(math.nan)
    elif memory.size:
        memory.fill(117 if rubbish and memory.dtype.kind != "b" else 0)


def owned(array):
    """Note that a capture has made a device array, with memory of its own."""
    if state.calls is not None:
        state.fresh.append((array._ary, weakref.ref(array)))
        state.outside += state.allocators[-1] is None


def call(function, args, kwargs):
    """A function of NumPy on raw arrays, or in a capture its note and memory of its shape."""
    flush()
    if state.calls is None:
        return function(*args, **kwargs)
    out = kwargs.get("out")
    rest = {name: value for name, value in kwargs.items() if name != "out"}
    found = function(*args, **rest)
    if out is not None:
        state.calls.append(lambda: function(*args, **kwargs))
        return out
    several = isinstance(found, (tuple, list))
    parts = [np.asarray(part) if isinstance(part, np.generic) else part
             for part in (found if several else [found])]  # fmt: skip
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    given = [x for x in (*args, *rest.values()) if isinstance(x, np.ndarray)]
    if any(np.may_share_memory(a, x) for a in arrays for x in given):
        return found
    for array in arrays:
        poison(array)
    if arrays and function not in (np.empty, np.empty_like):

        def again():
            made = function(*args, **rest)
            for array, part in zip(parts, made if several else [made], strict=True):
                if isinstance(array, np.ndarray):
                    array[...] = part

        state.calls.append(again)
    return type(found)(parts) if several else parts[0]


def write(function, *args):
    """A call that changes memory in place, and returns nothing."""
    flush()
    if state.calls is None:
        function(*args)
    else:
        state.calls.append(lambda: function(*args))


class Event:
    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.done = True

    def record(self, stream=None):
        self.done = False
        _QUEUED.append(lambda: setattr(self, "done", True))

    def synchronize(self):
        while not self.done:
            _QUEUED.pop(0)()


class Stream:
    made = 0

    def __init__(self, null=False, non_blocking=False):
        self.ptr = 0 if null else Stream.made
        Stream.made += 1

    def __enter__(self):
        state.streams.append(self)
        return self

    def __exit__(self, *_):
        state.streams.pop()

    def synchronize(self):
        if state.calls is not None:
            raise RuntimeError("cudaErrorStreamCaptureUnsupported: operation not permitted when "
                               "stream is capturing")  # fmt: skip
        flush()

    def wait_event(self, event):
        pass  # all streams are one queue

    def begin_capture(self, mode=None):
        assert self.ptr, "the default stream cannot be captured"
        assert state.streams[-1] is self
        flush()
        state.calls, state.fresh, state.outside = [], [], 0

    def end_capture(self):
        calls, state.calls = state.calls, None
        return Graph(calls, state.fresh)


NULL = Stream(null=True)


class Graph:
    """Noted calls, and the memory that they were given."""

    def __init__(self, calls, fresh):
        self.calls, self.fresh = calls, fresh

    def launch(self, stream=None):
        state.launches += 1
        _QUEUED.append(self._run)

    def _run(self):
        for memory, _ in self.fresh:
            poison(memory, rubbish=True)
        for again in self.calls:
            with np.errstate(all="ignore"):
                again()
        for memory, owner in self.fresh:
            if owner() is None:
                poison(memory, rubbish=True)


class MemoryPool:
    def malloc(self, size):
        raise AssertionError("the stand-in's memory is NumPy's")


class using_allocator:
    def __init__(self, allocator=None):
        self.allocator = allocator

    def __enter__(self):
        state.allocators.append(self.allocator)

    def __exit__(self, *_):
        state.allocators.pop()


class Pinned(bytearray):
    ptr = property(lambda self: np.frombuffer(self, np.uint8).ctypes.data)


def memcpy_async(dst, src, size, kind, stream):
    assert kind == 1
    assert state.calls is None
    _QUEUED.append(lambda: ctypes.memmove(dst, src, size))


def device_synchronize():
    state.streams[-1].synchronize()


state = State()
CUDA = dict(
    Event=Event, Stream=Stream, MemoryPool=MemoryPool, using_allocator=using_allocator,
    alloc_pinned_memory=Pinned, get_current_stream=lambda: state.streams[-1],
    runtime=SimpleNamespace(
        getDeviceCount=lambda: 1, deviceSynchronize=device_synchronize, memcpyAsync=memcpy_async,
        memcpyHostToDevice=1,
    ),
)  # fmt: skip


class Cublas:
    """cuBLAS as of `ctypes`, of which `kernels.cublas` asks; on the memory at its pointers."""

    def __init__(self):
        self.stream, self.workspaces, self.calls = None, [], []

    def cublasCreate_v2(self, handle):
        handle._obj.value = 7
        return 0

    def cublasSetStream_v2(self, handle, stream):
        assert handle.value == 7
        self.stream, self.workspaces = (
            stream.value or 0,
            [],
        )  # as CUDA's: the workspace is forgotten
        return 0

    def cublasSetWorkspace_v2(self, handle, memory, size):
        self.workspaces.append((memory.value, size.value))
        return 0

    def cublasSgemm_v2(self, *args):
        return self._gemm("f4", *args)

    def cublasDgemm_v2(self, *args):
        return self._gemm("f8", *args)

    def cublasSgemmStridedBatched(self, *args):
        return self._stacked("f4", *args)

    def cublasDgemmStridedBatched(self, *args):
        return self._stacked("f8", *args)

    def _gemm(self, kind, handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
        none = ctypes.c_longlong(0)
        return self._stacked(kind, handle, ta, tb, m, n, k, alpha, a, lda, none, b, ldb, none,
                             beta, c, ldc, none, 1)  # fmt: skip

    def _stacked(
        self, kind, handle, ta, tb, m, n, k, alpha, a, lda, step_a, b, ldb, step_b, beta, c, ldc,
        step_c, count,
    ):  # fmt: skip
        """C = op(A) op(B), all by columns: op(A) is (m, k), op(B) is (k, n), C is (m, n)."""
        if not self.workspaces or self.stream != state.streams[-1].ptr:
            return 14  # what is captured would have no memory of its own
        if lda < max(1, k if ta else m) or ldb < max(1, n if tb else k) or ldc < max(1, m):
            return 7  # CUBLAS_STATUS_INVALID_VALUE
        assert (alpha._obj.value, beta._obj.value) == (1, 0)
        self.calls.append((ta, tb, m, n, k, count))
        stack = [
            _columns(kind, p.value, shape, line, step.value, count)
            for p, shape, line, step in (
                (a, (k, m) if ta else (m, k), lda, step_a),
                (b, (n, k) if tb else (k, n), ldb, step_b),
                (c, (m, n), ldc, step_c),
            )
        ]
        turned = zip(stack, (ta, tb), strict=False)
        x, y = (part.swapaxes(1, 2) if turn else part for part, turn in turned)

        def multiply():
            for i in range(count):  # by rows, as NumPy would have been asked: the same bits
                stack[2][i].T[...] = np.matmul(y[i].T, x[i].T)

        write(multiply)
        return 0


def _columns(kind, address, shape, line, step, count):
    """A stack of matrices by columns at an address."""
    dtype, (rows, columns) = np.dtype(kind), shape
    size = abs(step) * (count - 1) + line * (columns - 1) + rows
    memory = (ctypes.c_byte * (size * dtype.itemsize)).from_address(address)
    flat = np.frombuffer(memory, dtype)
    item = dtype.itemsize
    return np.lib.stride_tricks.as_strided(
        flat, (count, rows, columns), (step * item, item, line * item)
    )
