"""Memory for loops to work in, which threads keep from call to call: so that none is allocated.

There are so many places, each with memory of the size that was last too small. Who needs some takes
a place by one exchange, first that to which its stack leads it: a thread finds its own again, which
lies in its core's cache. If all are taken, memory is allocated and freed.

Where there is none, the process is ended with a line that says so: loops on the pool's threads have
nobody to raise an error to.
"""

from __future__ import annotations

import os
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils

__all__ = ["give_back", "take"]

SYMBOL = "tinygrad_opt_scratch"
PLACES = 64
STACK = 23  # bits of an address within a thread's stack, about
TAKEN, ADDRESS, SIZE = 0, 1, 2  # words of a place, which has a cache line for itself
LINE = 8

_TEXT = b"tinygrad_opt: no memory for a kernel to work in\0"

_WORD = ir.IntType(64)
_memory = np.zeros((PLACES + 1) * LINE, np.int64)
_offset = -_memory.ctypes.data % 64 // 8
words = _memory[_offset : _offset + PLACES * LINE].reshape(PLACES, LINE)

llvm.add_symbol(SYMBOL, words.ctypes.data)


def take(builder: Any, size: Any) -> tuple[Any, Any]:
    """Write code that takes memory of so many bytes: (its address, what `give_back` is told)."""
    own = cgutils.alloca_once(builder, ir.ArrayType(_WORD, LINE))
    builder.store(ir.Constant(own.type.pointee, None), own)
    own = builder.bitcast(own, _WORD.as_pointer())
    block = builder.module.globals.get(SYMBOL)
    if block is None:
        block = ir.GlobalVariable(builder.module, ir.ArrayType(_WORD, PLACES * LINE), SYMBOL)
    hint = builder.lshr(builder.ptrtoint(own, _WORD), _WORD(STACK))
    look, more, found = (builder.append_basic_block(n) for n in ("look", "more", "found"))
    before = builder.block
    builder.branch(look)
    builder.position_at_end(look)
    i = builder.phi(_WORD)
    which = builder.mul(builder.and_(builder.add(hint, i), _WORD(PLACES - 1)), _WORD(LINE))
    place = builder.gep(block, [_WORD(0), which])
    free = builder.icmp_signed("==", builder.atomic_rmw("xchg", place, _WORD(1), "seq_cst"),
                               _WORD(0))  # fmt: skip
    builder.cbranch(free, found, more)
    builder.position_at_end(more)
    following = builder.add(i, _WORD(1))
    i.add_incoming(_WORD(0), before)
    i.add_incoming(following, more)
    builder.cbranch(builder.icmp_signed("<", following, _WORD(PLACES)), look, found)
    builder.position_at_end(found)
    mine = builder.phi(_WORD.as_pointer())
    mine.add_incoming(place, look)
    mine.add_incoming(own, more)
    address, held = (builder.gep(mine, [_WORD(word)]) for word in (ADDRESS, SIZE))
    with builder.if_then(builder.icmp_signed("<", builder.load(held), size), likely=False):
        _free(builder, builder.load(address))
        made = _call(builder, "malloc", _WORD, size)
        with builder.if_then(builder.icmp_signed("==", made, _WORD(0)), likely=False):
            _end(builder)
        builder.store(made, address)
        builder.store(size, held)
    return builder.load(address), (mine, own)


def give_back(builder: Any, taken: tuple[Any, Any]) -> None:
    """Write code that leaves memory to the next."""
    mine, own = taken
    with builder.if_else(builder.icmp_unsigned("==", mine, own), likely=False) as (then, otherwise):
        with then:
            _free(builder, builder.load(builder.gep(own, [_WORD(ADDRESS)])))
        with otherwise:
            builder.store_atomic(_WORD(0), mine, "seq_cst", 8)


def _end(builder: Any) -> None:
    """Write code that ends the process, and says why: loops cannot raise, nor go on without."""
    text = cgutils.global_constant(builder.module, f"{SYMBOL}_text", cgutils.make_bytearray(_TEXT))
    _call(builder, "perror", ir.VoidType(), builder.ptrtoint(text, _WORD))
    kind = ir.FunctionType(ir.VoidType(), [])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, "abort"), [])
    builder.unreachable()


def _free(builder: Any, address: Any) -> None:
    _call(builder, "free", ir.VoidType(), address)


def _call(builder: Any, name: str, returns: Any, number: Any) -> Any:
    """A call of a function of C's, with an address as an integer."""
    kind = ir.FunctionType(returns, [_WORD])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [number])


def _after_fork() -> None:
    words[:, TAKEN] = 0  # by threads that stayed in the parent


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
