"""Convolution, pooling and recurrent layers for generated steps: the eager kernels, by pointer.

    convolve_f4(12, 1, plan, x, w, bias, y)

runs the loops that an eager convolution runs, from this plan, on the pool's threads: 12 items, one
at a time. `lstm_f4(1024, 32, 64, 32, ...)` takes 32 sequences of 32 steps, 1024 rows in all,
through the kernel of an eager LSTM with 64 features.

All of them are calls of functions that are there, by names that are bound in each process: nothing
of them is compiled with a step, and nothing is allocated.
"""

# mypy: ignore-errors
from __future__ import annotations

import inspect
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from .. import micro, pool
from ..fused import passage_kernels
from ..fused.convolution import loops as convolution
from ..fused.convolution import slopes
from ..fused.pooling import loops as pooling

__all__ = ["LOOPS", "PASSAGES", "PASSAGE_NUMBERS"]

# Loops by what they are called in generated text: how many arrays they read beside their plan, and
# the names of those that they write.
LOOPS = {
    "convolve": (convolution.positions, 3, ["convolve"]),
    "convolve_channels": (convolution.channels, 3, ["convolve"]),
    "pack_filters": (convolution.panels, 1, ["filters"]),
    "convolve_slopes": (slopes.position_slopes, 2, ["weight", "bias"]),
    "convolve_channels_slopes": (slopes.channel_slopes, 2, ["weight", "bias"]),
    "window_maxima": (pooling.maxima, 2, ["maxima", "choice"]),
    "spread_maxima": (pooling.spread_maxima, 2, ["spread"]),
    "window_means": (pooling.means, 2, ["means"]),
    "spread_means": (pooling.spread_means, 2, ["spread"]),
}

# What all passages take first, and then each: what it reads, and what it writes.
PASSAGE_NUMBERS = ["rows", "batch", "hidden", "steps", "relu", "reverse", "grain", "cost"]
PASSAGES = {
    "lstm": ("z w bias begin sizes h0 c0", "y h_before c_before kept u"),
    "gru": ("z w bias begin sizes h0", "y h_before kept u"),
    "rnn": ("z w bias begin sizes h0", "y h_before u"),
    "lstm_back": ("gates w begin sizes h_before c_before kept g", "dz dh dc"),
    "gru_back": ("gates w begin sizes h_before kept g", "dz du dh"),
    "rnn_back": ("gates w begin sizes h_before g", "dz dh"),
}
_GATES = {"lstm": 4, "gru": 3, "rnn": 1}

_CHARS = {"f4": "f", "f8": "d"}
_WORD, _BIT = ir.IntType(64), ir.IntType(1)


def __getattr__(name: str) -> Any:
    """Make a function by its name; what it calls is there from then on, for code from the disk."""
    shape, _, kind = name.rpartition("_")
    if kind not in _CHARS or (shape not in LOOPS and shape not in PASSAGES):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    make = _loops if shape in LOOPS else _passage
    made = globals()[name] = make(name, shape, _CHARS[kind])
    return made


def _named(name: str, numbers: list[str], pointers: list[str], generate: Any) -> Any:
    """The function of these arguments, whose code `generate` writes."""

    def typing(typing_context: Any, *given: Any) -> Any:
        return types.void(*[types.int64] * len(numbers), *given[len(numbers) :]), generate

    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = ["typing_context", *numbers, *pointers]
    typing.__signature__ = inspect.Signature([inspect.Parameter(n, positional) for n in names])
    typing.__name__ = name
    return intrinsic(typing)


def _loops(name: str, shape: str, char: str) -> Any:
    write, reads, made = LOOPS[shape]
    symbol = micro.bind(write, char)
    pool.start()

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        count, grain, *pointers = values
        words = [builder.ptrtoint(p, _WORD) for p in pointers]
        words += [_WORD(0)] * (micro.ARRAYS + 1 - len(words))
        packed = cgutils.pack_struct(builder, words)

        def part(context: Any, inside: Any, first: Any, last: Any, values: Any) -> None:
            kind = ir.FunctionType(ir.VoidType(), [_WORD] * (micro.ARRAYS + 3))
            function = cgutils.get_or_insert_function(inside.module, kind, symbol)
            inside.call(function, [first, last, *values])

        pool.write_job(context, builder, part, count, grain, _WORD(pool.USUAL), packed)
        return context.get_dummy_value()

    return _named(name, ["count", "grain"], ["plan", *"xyz"[:reads], *made], generate)


def _passage(name: str, shape: str, char: str) -> Any:
    cell, _, way = shape.partition("_")
    symbol, kinds = passage_kernels.bind(cell, bool(way), char)
    reads, writes = PASSAGES[shape]
    pointers = f"{reads} {writes}".split()
    write = _back if way else _forward

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        names = [*PASSAGE_NUMBERS, *pointers]
        arguments = write(_Call(context, builder, dict(zip(names, values, strict=True)), cell))
        kind = context.call_conv.get_function_type(types.void, kinds)
        function = cgutils.get_or_insert_function(builder.module, kind, symbol)
        given = [
            _array(context, builder, kind, *x) if isinstance(x, tuple) else x
            for x, kind in zip(arguments, kinds, strict=True)
        ]
        context.call_conv.call_function(builder, function, types.void, kinds, given)
        return context.get_dummy_value()

    return _named(name, PASSAGE_NUMBERS, pointers, generate)


class _Call:
    """What a passage is called with, by name."""

    def __init__(self, context: Any, builder: Any, values: dict[str, Any], cell: str) -> None:
        self.context, self.builder, self.values = context, builder, values
        self.wide = builder.mul(values["hidden"], _WORD(_GATES[cell]))
        self.biases = _WORD(2 if cell == "gru" else 1)

    def __getattr__(self, name: str) -> Any:
        return self.values[name]

    def of(self, name: str, *shape: Any) -> tuple[Any, ...]:
        """An array of that shape at a pointer; where a cell has none, at another, not looked at."""
        pointer = self.values.get(name)
        return (self.values["h_before"] if pointer is None else pointer, *shape)

    def bit(self, name: str) -> Any:
        return self.builder.icmp_signed("!=", self.values[name], _WORD(0))

    def states(self, flat: str) -> list[Any]:
        """Where the final states lie behind the outputs, or their gradients."""
        start = self.builder.gep(self.values[flat], [self.builder.mul(self.rows, self.hidden)])
        size = self.builder.mul(self.batch, self.hidden)
        return [start, self.builder.gep(start, [size])]

    def copy(self, target: Any, source: Any) -> None:
        """Copy a state."""
        size = self.context.get_abi_sizeof(target.type.pointee)
        count = self.builder.mul(self.batch, self.hidden)
        cgutils.raw_memcpy(self.builder, target, source, count, size)


def _forward(call: _Call) -> list[Any]:
    rows, batch, hidden, wide = call.rows, call.batch, call.hidden, call.wide
    h, c = call.states("y")
    call.copy(h, call.h0)
    if "c0" in call.values:
        call.copy(c, call.c0)
    else:
        c = h
    return [
        call.of("z", rows, wide), call.of("w", hidden, wide), call.of("bias", call.biases, wide),
        call.bit("relu"), call.of("begin", call.steps),
        call.of("sizes", call.steps), call.bit("reverse"), call.grain, call.cost,
        (h, batch, hidden), (c, batch, hidden), call.of("h_before", rows, hidden),
        call.of("c_before", rows, hidden), call.of("kept", rows, hidden),
        call.of("u", batch, wide), call.of("y", rows, hidden),
    ]  # fmt: skip


def _back(call: _Call) -> list[Any]:
    rows, batch, hidden, wide = call.rows, call.batch, call.hidden, call.wide
    h, c = call.states("g")
    call.copy(call.dh, h)
    if "dc" in call.values:
        call.copy(call.dc, c)
    return [
        call.of("gates", rows, wide), call.of("w", wide, hidden), call.bit("relu"),
        call.of("begin", call.steps), call.of("sizes", call.steps), call.bit("reverse"),
        call.grain, call.cost, call.of("c_before", rows, hidden),
        call.of("h_before", rows, hidden), call.of("kept", rows, hidden),
        call.of("g", rows, hidden), call.of("dh", batch, hidden),
        call.of("dc" if "dc" in call.values else "dh", batch, hidden), call.of("dz", rows, wide),
        call.of("du" if "du" in call.values else "dz", rows, wide),
    ]  # fmt: skip


def _array(context: Any, builder: Any, kind: Any, pointer: Any, *shape: Any) -> Any:
    """A row-major array in somebody else's memory, as Numba's functions take it."""
    made = context.make_array(kind)(context, builder)
    step = _WORD(context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    strides = [step]
    for n in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], n))
    populate_array(made, pointer, list(shape), strides, step, None)
    return made._getvalue()
