"""What a training step asks of CuPy and of the device, counted with the stand-in.

    with counting() as found:
        step()
    found.of("launch"), found.table()

Nothing is computed by the kernels of the library meanwhile: the counts do not depend on values, and
steps of real sizes take no time. Kinds of events:

    launch    an array operation of CuPy's that runs a kernel: 4 to 11 us of host
    gemm      a matrix product: 16 to 25 us
    kernel    one of the library's own: 4 to 6 us
    copy      that CuPy's `matmul` makes of operands it cannot read where they lie
    memory    an allocation, from CuPy's pool: 1 us
    view      1 us
    wait      for the device
    upload    from the host
"""

import collections
import contextlib
import sys

import numpy as np
import on_device  # noqa: F401  installs the stand-in
import standin_cupy
from numba.cuda.simulator import kernel as simulator
from standin_cupy import FakeCUDAArray

import tinygrad_opt as tg
from tinygrad_opt.kernels.compiler import cuda

DEVICE = ("launch", "gemm", "kernel", "copy")  # each runs something there
HOST = {"launch": 6, "gemm": 20, "kernel": 5, "copy": 5, "memory": 1, "view": 1, "wait": 10,
        "upload": 15}  # fmt: skip  # microseconds, of which an estimate is made
_SHARED = "/arrays/", "/kernels/", "/standin", "/counted", "/numpy/", "/numba"


class Counts:
    """Events of (kind, name, the function of the library that caused it)."""

    def __init__(self):
        self.events = []

    def add(self, kind, name):
        if simulator._get_kernel_context() is not None:
            return  # a kernel reads its arrays
        frame = sys._getframe(2)
        while frame.f_back and any(part in frame.f_code.co_filename for part in _SHARED):
            frame = frame.f_back
        self.events.append((kind, name, frame.f_code.co_qualname.split(".<")[0]))

    def of(self, *kinds):
        return sum(kind in kinds for kind, _, _ in self.events)

    def on_device(self):
        """How many launches there were, whoever made the kernel."""
        return self.of(*DEVICE)

    def host(self):
        """Microseconds that the calls cost the host, about."""
        return sum(HOST[kind] for kind, _, _ in self.events)

    def table(self, least=1):
        """Lines (number, kind, name, caller), the most frequent first."""
        rows = collections.Counter(e for e in self.events if e[0] not in ("view", "memory"))
        return [f"{n:5} {' '.join(event)}" for event, n in rows.most_common() if n >= least]


def _array_call(counts, plain):
    def call(function, keywords, args, kwargs):
        y = plain(function, keywords, args, kwargs)
        name, parts = function.__name__, y if isinstance(y, tuple) else (y,)
        arrays = [a for a in (*args, *kwargs.values()) if isinstance(a, FakeCUDAArray)]
        if name in ("matmul", "dot"):
            counts.add("gemm", name)
            for a in arrays:
                if a.ndim > 2 and not a.flags.c_contiguous:
                    counts.add("copy", "of an operand")
        elif name == "empty":
            counts.add("memory", name)
        elif "out" not in kwargs and any(_same_memory(p, a) for p in parts for a in arrays):
            counts.add("view", name)
        elif name in ("concatenate", "stack"):
            for _ in args[0]:
                counts.add("launch", name)
            counts.add("memory", name)
        else:
            counts.add("launch", name)
            counts.add("memory", name)
        return y

    return call


def _same_memory(y, x):
    return isinstance(y, FakeCUDAArray) and np.may_share_memory(y._ary, x._ary)


def _method(counts, kind, name, plain):
    def call(*args, **kwargs):
        what = kind
        if name in ("__getitem__", "__setitem__"):
            heavy = standin_cupy._is_advanced(args[1])
            what = "launch" if heavy or name == "__setitem__" else "view"
            for part in args[1] if isinstance(args[1], tuple) else (args[1],):
                if isinstance(part, np.ndarray) and not isinstance(part, FakeCUDAArray):
                    counts.add("upload", name)
        elif name == "asarray" and isinstance(args[0], FakeCUDAArray):
            what = "view"
        counts.add(what, name)
        return plain(*args, **kwargs)

    return call


WAITS = ("get", "item", "tolist", "__float__", "__int__", "__bool__")


@contextlib.contextmanager
def counting(run_kernels=False):
    """Count what happens within; `run_kernels`: compute what the library's kernels compute."""
    counts, cupy, kept = Counts(), sys.modules["cupy"], []

    def put(owner, name, made):
        kept.append((owner, name, getattr(owner, name)))
        setattr(owner, name, made)

    def kernel(plain):
        def call(kernel, *args, **kwargs):
            counts.add("kernel", getattr(kernel, "__name__", "kernel"))
            if run_kernels:
                plain(kernel, *args, **kwargs)

        return call

    put(standin_cupy, "_called", _array_call(counts, standin_cupy._called))
    for name in WAITS:
        put(FakeCUDAArray, name, _method(counts, "wait", name, getattr(FakeCUDAArray, name)))
    for name in ("__getitem__", "__setitem__"):
        put(FakeCUDAArray, name, _method(counts, "", name, getattr(FakeCUDAArray, name)))
    put(FakeCUDAArray, "fill", _method(counts, "launch", "fill", FakeCUDAArray.fill))
    put(cupy, "asarray", _method(counts, "upload", "asarray", cupy.asarray))
    for name in ("where", "broadcast_to", "diagonal"):
        kind = "launch" if name == "where" else "view"
        if name != "where":
            put(cupy, name, _method(counts, kind, name, getattr(cupy, name)))
    strided = cupy.lib.stride_tricks
    put(strided, "as_strided", _method(counts, "view", "as_strided", strided.as_strided))
    for ufunc in {
        id(u): u for u in vars(cupy).values() if isinstance(u, standin_cupy.Ufunc)
    }.values():
        put(ufunc, "at", _method(counts, "launch", "at", ufunc.at))
    for name in ("launch", "launch_over"):
        put(cuda, name, kernel(getattr(cuda, name)))
    try:
        yield counts
    finally:
        for owner, name, plain in reversed(kept):
            setattr(owner, name, plain)


def _steps():
    """Training steps by name: those of `benchmarks/gpu/networks.py`, and three more."""
    from benchmarks.gpu import networks

    def gru(nn):
        class Recurrent(nn.Module):
            def __init__(self):
                super().__init__()
                self.gru, self.head = nn.GRU(32, 64, batch_first=True), nn.Linear(64, 10)

            def forward(self, x):
                return self.head(self.gru(x)[0][:, -1])

        return Recurrent()

    def encoder(nn):
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.1, "gelu", batch_first=True)
        return nn.Sequential(nn.Embedding(65, 32), layer, nn.Linear(32, 65), nn.Flatten(0, 1))

    found = {name: net for name, net in networks.NETWORKS.items() if "4096" not in name}
    more = networks.Network
    found["GRU 64, 50 steps, batch 8"] = more(gru, (8, 50, 32), 0, 10)
    found["encoder layer with dropout"] = more(encoder, (2, 8), 65, 65)
    found["embedding and cross-entropy"] = more(lambda nn: nn.Embedding(65, 65), (16,), 65, 65)
    return {name: networks._training(tg, net, {}) for name, net in found.items()}


if __name__ == "__main__":  # NUMBA_ENABLE_CUDASIM=1 python tests/simulator/counted.py [a name]
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    for title, step in _steps().items():
        if wanted not in title:
            continue
        with counting():
            step()
        with counting() as found:
            step()
        kinds = ", ".join(f"{found.of(kind)} {kind}" for kind in HOST)
        print(f"{title}: {found.on_device()} on the device ({kinds})")
        print("\n".join(found.table()) if wanted else "", end="\n" if wanted else "")
