"""Runs loops of products, convolution, pooling and recurrent layers beside forbidden memory.

Arrays end, or begin, at a page that may not be touched: a step beside one ends the process. Around
each stretch of scratch memory stand words that must still be there when it is given back.
"""

import ctypes
import ctypes.util
import mmap
import sys
from contextlib import contextmanager

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from tinygrad_opt.kernels import blas, micro
from tinygrad_opt.kernels.fused import convolution, passage_kernels, pooling
from tinygrad_opt.kernels.fused.convolution import planning
from tinygrad_opt.kernels.micro.writer import WORD, Writer

C = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
PAGE, MARK = mmap.PAGESIZE, 0x5AFE_5AFE_5AFE
kept = []


class GuardedNumPy:
    """NumPy, whose `empty` gives arrays beside a page that may not be touched."""

    at_end = True

    def __getattr__(self, name):
        return getattr(np, name)

    def empty(self, shape, dtype=np.float64):
        dtype = np.dtype(dtype)
        count = int(np.prod(shape, dtype=np.int64))
        pages = -(-count * dtype.itemsize // PAGE) + 2
        memory = mmap.mmap(-1, pages * PAGE)
        kept.append(memory)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for page in (0, pages - 1):
            if C.mprotect(ctypes.c_void_p(address + page * PAGE), PAGE, 0):
                sys.exit("this system does not protect pages")
        start = (pages - 1) * PAGE - count * dtype.itemsize if self.at_end else PAGE
        return np.frombuffer(memory, dtype, count, start).reshape(shape)

    def empty_like(self, array):
        return self.empty(array.shape, array.dtype)


def with_marks(scratch):
    """`Writer.scratch` with a word before and behind each stretch that is looked at in the end."""

    @contextmanager
    def marked(f, *sizes):
        def mark(place):
            return f.pointer(place, WORD)

        with scratch(f, *(f.number(size) + 128 for size in sizes)) as starts:
            places = [start + 64 for start in starts]
            ends = [place + size for place, size in zip(places, sizes, strict=True)]
            marks = [place - 8 for place in places] + ends
            for place in marks:
                f.builder.store(f.number(MARK).value, mark(place), align=1)
            yield places
            for place in marks:
                found = f.builder.load(mark(place), align=1)
                with f.builder.if_then(f.builder.icmp_signed("!=", found, f.number(MARK).value)):
                    kind = ir.FunctionType(ir.VoidType(), [])
                    f.builder.call(
                        cgutils.get_or_insert_function(f.builder.module, kind, "llvm.trap"), []
                    )

    return marked


def arrays(rng, space, *shapes):
    for shape in shapes:
        array = space.empty(shape, np.float32)
        array[...] = rng.standard_normal(shape)
        yield array


def sampled(rng):
    """Lengths of an image, and settings of windows on it."""
    image = (1, *rng.integers(1, 20, 2).tolist()) if rng.random() < 0.7 else (3, 5, 4)
    kernel = tuple(int(rng.integers(1, 5)) if n > 1 else 1 for n in image)
    stride, dilation = (tuple(rng.integers(1, high, 3).tolist()) for high in (4, 3))
    low = tuple(int(rng.integers(0, k)) for k in kernel)
    output = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(image, low, dilation, kernel, stride, strict=True)
    )
    return image, kernel, output, stride, low, dilation


def with_ceil_mode(*axes):
    """The output of pooling in ceil mode: the last window may reach beyond the image."""
    return tuple(
        o + bool((n + 2 * p - d * (k - 1) - 1) % s and o * s < n + p)
        for n, k, o, s, p, d in zip(*axes, strict=True)
    )


def passage(rng, space, kind):
    """A recurrent layer, forwards or backwards in time, and its way back."""
    hidden, gates = int(2 ** rng.uniform(0, 6)), {"lstm": 4, "gru": 3, "rnn": 1}[kind]
    sizes = tuple(sorted(rng.integers(1, 40, rng.integers(1, 8)).tolist(), reverse=True))
    wide, state = gates * hidden, [(sizes[0], hidden)] * (2 if kind == "lstm" else 1)
    z, w, *state = arrays(rng, space, (sum(sizes), wide), (wide, hidden), *state)
    reverse = bool(rng.integers(2))
    y, back = passage_kernels.run(kind, z, (None, None), tuple(state), w, sizes, reverse)
    (g,) = arrays(rng, space, y.shape)
    back(g)


def run(rounds):
    space = GuardedNumPy()
    Writer.scratch = with_marks(Writer.scratch)
    for module in (blas, convolution, passage_kernels, pooling, micro):
        module.np = space
    blas.WORTH_CUTTING = blas.WORTH_CALLING = 0
    best = planning.best
    rng = np.random.default_rng(0)
    for i in range(rounds):
        image, kernel, output, stride, low, dilation = sampled(rng)
        if min(output) < 1:
            continue
        planning.plan.cache_clear()
        way = ("channels", "samples", None)[i % 3]
        planning.best = best if way is None else lambda *_, way=way: way
        space.at_end = bool(i % 2)
        batch, groups = rng.integers(1, 10), rng.integers(1, 3)
        channels, rows = rng.integers(1, 20, 2)
        x, w, bias, g = arrays(
            rng, space, (batch, groups, channels, *image), (groups, rows, channels, *kernel),
            (groups, rows), (batch, groups, rows, *output),
        )  # fmt: skip
        convolution.convolve(x, w, bias, output, stride, low, dilation)
        convolution.convolve_input(g, w, image, stride, low, dilation)
        convolution.convolve_weight(g, x, kernel, stride, low, dilation)
        if i % 3 == 0 and min(image[1:]) > 1:  # windows side by side, which have loops of their own
            kernel = stride = (1, int(rng.integers(1, 3)), 2)
            low, dilation = (0, 0, 0), (1, 1, 1)
            output = tuple(n // s for n, s in zip(image, stride, strict=True))
        if i % 2:
            output = with_ceil_mode(image, kernel, output, stride, low, dilation)
        x, g = arrays(rng, space, (batch, channels, *image), (batch, channels, *output))
        weights = tuple((0.5,) * n for n in output)
        _, choice = pooling.window_maxima(x, kernel, output, stride, low, dilation)
        pooling.spread_maxima(g, choice, image, kernel, stride, low, dilation)
        pooling.window_means(x, weights, kernel, output, stride, low, dilation)
        pooling.spread_means(g, weights, image, kernel, stride, low, dilation)
        m, n, k = (int(2 ** rng.uniform(0, high)) for high in (8, 9, 9))
        for x_way, y_way in ((0, 0), (0, 1), (1, 0), (1, 1)):
            x, y = arrays(rng, space, (k, m) if x_way else (m, k), (n, k) if y_way else (k, n))
            blas.multiply(x.T if x_way else x, y.T if y_way else y)
        passage(rng, space, ("lstm", "gru", "rnn")[i % 3])
        kept.clear()


def one_past(f, kind, first, last, plan, x, y, z, to):
    """Loops that write a word behind their scratch memory."""
    with f.scratch(16) as (place,):
        f.builder.store(f.number(1).value, f.pointer(place + 16, WORD), align=1)


if __name__ == "__main__":
    what = sys.argv[1]
    if what == "array":
        array = GuardedNumPy().empty(5)
        ctypes.string_at(array.ctypes.data, array.nbytes)
        print("inside", flush=True)
        ctypes.string_at(array.ctypes.data, array.nbytes + 1)
    elif what == "scratch":
        import guarded  # under the name by which it is found again

        Writer.scratch = with_marks(Writer.scratch)
        loops = micro.loops(guarded.one_past, "f")
        print("inside", flush=True)
        loops(1, 1, np.zeros(1, np.int64))
    else:
        run(int(what))
    print("to the end")
