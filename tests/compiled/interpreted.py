"""Generated steps run as plain Python: the same text, with arrays in the place of pointers.

To compile hundreds of steps takes minutes; to interpret them over a few elements each, seconds. And
no index goes unchecked: a pointer is a part of an array here, which ends where the array does.
"""

import math
import re
import types as modules

import numpy as np

from tinygrad_opt.compiled import binding, build
from tinygrad_opt.kernels import functions, micro
from tinygrad_opt.kernels.fused import passage_kernels
from tinygrad_opt.kernels.plain import passes


def install(monkeypatch):
    """Have steps interpreted."""
    monkeypatch.setattr(build, "load", load)
    monkeypatch.setattr(binding, "Table", Table)


def load(function, render, compiler=""):
    """What `pool.load` returns, interpreted."""
    text = render(False)
    text = re.sub(r"^from (numba|llvmlite|numpy|tinygrad_opt)[^\n]*$", "", text, flags=re.MULTILINE)
    text = text.replace("import math\n", "").replace("import numpy as np\n", "")
    space = {
        "np": np, "math": MATH, "njit": njit, "types": Types(), "memory": memory, "at": at,
        "plain": njit, "from_table": from_table, "share": share,
        "f4": np.float32, "f8": np.float64, "i1": np.int8, "i2": np.int16,
        "exchange_mode": lambda *_: 0, "float32": np.float32, "uint32": int,
        "larger": np.maximum, "smaller": np.minimum,
        "i4": np.int32, "i8": np.int64, "u1": np.uint8, **PRODUCTS, **PASSES,
        **{name: quietly(getattr(functions, name)) for name in functions.__all__},
    }  # fmt: skip
    exec(compile(text, "<interpreted step>", "exec"), space)
    return space[function]


def njit(*_, **__):
    return quietly


def quietly(function):
    return np.errstate(all="ignore")(function)


class Types:
    """Answers to any name of a type."""

    def __getattr__(self, name):
        return lambda *_, **__: None


def memory(array):
    return (array.view(np.uint8) if array.dtype == bool else array).reshape(-1)


class Table:
    """What `binding.Table` is, with pointers in the place of addresses."""

    def __init__(self, slots, numbers):
        self.pointers = [at(memory(array), offset) for array, offset in slots]
        self.address = self
        self.numbers = []

    def put(self, *numbers):
        self.numbers = numbers


def from_table(step, direct=0):
    return lambda *given: step(*given[:-1], *given[-1].pointers, *given[-1].numbers)


class Pointer:
    """A vector and a place in it, from which elements are counted; none lies outside."""

    def __init__(self, vector, start):
        self.vector, self.start = vector, start

    def _place(self, i):
        place = self.start + i
        assert 0 <= place < len(self.vector), (place, len(self.vector))
        return place

    def __getitem__(self, i):
        return self.vector[self._place(i)]

    def __setitem__(self, i, value):
        self.vector[self._place(i)] = value


def at(pointer, offset):
    if isinstance(pointer, Pointer):
        return Pointer(pointer.vector, pointer.start + offset)
    return Pointer(pointer, offset)


def share(body, count, grain, cost, *arguments):
    for first in reversed(range(0, count, grain)):  # in any order
        body(first, min(first + grain, count), *arguments)


def matrix(pointer, way, rows, columns, line):
    vector, start = (
        (pointer.vector, pointer.start) if isinstance(pointer, Pointer) else (pointer, 0)
    )
    steps = (line, 1) if way == "n" else (1, line)
    last = start + (rows - 1) * steps[0] + (columns - 1) * steps[1]
    assert start >= 0
    assert last < len(vector)
    strides = tuple(s * vector.itemsize for s in steps)
    return np.lib.stride_tricks.as_strided(vector[start:], (rows, columns), strides)


def product(ways):
    def run(m, n, k, x, x_line, y, y_line, out):
        made = matrix(x, ways[0], m, k, x_line) @ matrix(y, ways[1], k, n, y_line)
        matrix(out, "n", m, n, n)[...] = made

    return run


def products(ways):
    def run(count, m, n, k, x, x_line, x_step, y, y_line, y_step, out):
        for i in range(count):
            product(ways)(m, n, k, at(x, i * x_step), x_line, at(y, i * y_step), y_line,
                          at(out, i * m * n))  # fmt: skip

    return run


PRODUCTS = {
    f"{name}_{ways}_{kind}": make(ways)
    for name, make in (("product", product), ("large_product", product), ("products", products))
    for ways in ("nn", "nt", "tn", "tt")
    for kind in ("f4", "f8")
}


def rest(pointer):
    """The memory that a pointer points to, to its end."""
    return pointer.vector[pointer.start :] if isinstance(pointer, Pointer) else pointer


def loops(write, char):
    def run(count, grain, plan, *arrays):
        micro.loops(write, char)(count, grain, rest(plan), *map(rest, arrays))

    return run


def passage(kind, char):
    cell, _, back = kind.partition("_")
    names = [*passes.PASSAGE_NUMBERS, *" ".join(passes.PASSAGES[kind]).split()]
    wide = {"lstm": 4, "gru": 3, "rnn": 1}[cell]

    def run(*given):
        at = dict(zip(names, given, strict=True))
        rows, batch, hidden, steps = (at[n] for n in ("rows", "batch", "hidden", "steps"))

        def of(name, *shape):
            size = int(np.prod(shape))
            found = rest(at.get(name, at["h_before"]))
            return (found[:size] if name in at else np.zeros(size, found.dtype)).reshape(shape)

        flat, size = rest(at["g" if back else "y"]), rows * hidden
        ends = [flat[size + i * batch * hidden :][: batch * hidden].reshape(batch, hidden)
                for i in range(2 if cell == "lstm" else 1)]  # fmt: skip
        for end, name in zip(ends, ("dh", "dc") if back else ("h0", "c0"), strict=False):
            if back:
                of(name, batch, hidden)[...] = end
            else:
                end[...] = of(name, batch, hidden)
        kernel = passage_kernels._kernel(cell, bool(back), np.dtype(char))
        table = of("begin", steps), of("sizes", steps), bool(at["reverse"]), at["grain"], at["cost"]
        tall, state, gates = (rows, hidden), (batch, hidden), (rows, wide * hidden)
        relu, before = bool(at["relu"]), (of("c_before", *tall), of("h_before", *tall))
        if back:
            dz = of("dz", *gates)
            du = of("du", *gates) if "du" in at else dz
            ends = of("dh", *state), of("dc", *state)
            kernel(of("gates", *gates), of("w", wide * hidden, hidden), relu, *table, *before,
                   of("kept", *tall), of("g", *tall), *ends, dz, du)  # fmt: skip
            return
        bias = of("bias", 2 if cell == "gru" else 1, wide * hidden)
        kept = of("h_before" if cell == "rnn" else "kept", *tall)
        kernel(of("z", *gates), of("w", hidden, wide * hidden), bias,
               relu, *table, ends[0], ends[-1], *before[::-1], kept, of("u", batch, wide * hidden),
               of("y", *tall))  # fmt: skip

    return run


PASSES = {
    f"{name}_{kind}": loops(write, char)
    for name, (write, *_) in passes.LOOPS.items()
    for kind, char in (("f4", "f"), ("f8", "d"))
} | {
    f"{kind}_{short}": passage(kind, char)
    for kind in passes.PASSAGES
    for short, char in (("f4", "f"), ("f8", "d"))
}
MATH = modules.SimpleNamespace(
    sqrt=np.sqrt, sin=np.sin, cos=np.cos, tan=np.tan, asin=np.arcsin, acos=np.arccos,
    atan=np.arctan, atan2=np.arctan2, sinh=np.sinh, cosh=np.cosh, asinh=np.arcsinh,
    acosh=np.arccosh, atanh=np.arctanh, log2=np.log2, log10=np.log10, pow=np.power,
    hypot=np.hypot, copysign=np.copysign, isinf=np.isinf, isfinite=np.isfinite,
    lgamma=lambda x: math.lgamma(x),
)  # fmt: skip
