"""The pool's shared words, and what machine code does with them: load, store, add, sleep, wake.

All of it lies in one block of 64-bit words. Machine code knows the block by a name, `SYMBOL`, that
is bound to its address in each process; so code from the disk cache finds it too.
"""

from __future__ import annotations

import platform
import sys
import time
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

SYMBOL = "tinygrad_opt_pool"

# Places in the block, in words. Each stands alone in a cache line where several threads write it.
ENTRY = 0  # address of `run`; 0 while there is no pool: then the caller does all parts itself
WORKERS = 1  # threads beside the caller's that a job may use
SPINS = 2  # pauses for which an idle worker looks out for a job before it sleeps
PATIENCE = 3  # pauses that a caller waits for the last part before it lets others have its core
WAKE = 4  # nanoseconds of work that pay for waking the workers, as measured
STOP = 5  # workers end
LEFT = 8  # parts that nobody has claimed; at or below 0: none
TAKEN = 12  # parts that workers have claimed
DONE = 16  # parts that are finished
BODY, ARGUMENTS, COUNT, GRAIN, PARTS = 24, 25, 26, 27, 28  # the job
TURN = 32  # a number that changes to wake sleepers: they sleep until it does
ASLEEP = 40  # how many do
HELPED = 41  # parts that workers have done since the start
BUSY = 48  # 1 while a job runs
ALONE = 56  # until when callers do jobs alone, since help came late: the machine is busy
TIMES = 57  # how many times as long as they then waited they will the next time
MISSED = 58  # work of the last jobs, one soon after the other, that no worker was awake for
LAST = 59  # when the last job ended
GAP = 60  # nanoseconds after which a job is no longer one soon after the other
CALL, DELAY = 61, 62  # nanoseconds: what a wake-up costs the caller; until a worker is there
CALLED = 63  # when workers were last woken
BLAS_LOCK, BLAS_USERS, BLAS_THREADS = 9, 10, 11  # see borrow.py
WORDS = 64

FIND, PAUSE, ROUSE, WORK = range(4)  # what `crew` is asked for

_memory = np.zeros(WORDS + 8, np.int64)
_offset = -_memory.ctypes.data % 64 // 8
words = _memory[_offset : _offset + WORDS]  # from Python's side

llvm.add_symbol(SYMBOL, words.ctypes.data)

_WORD = ir.IntType(64)
_LINUX_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine())
if not sys.platform.startswith("linux"):
    _LINUX_FUTEX = None


def place(module: Any, builder: Any, index: Any) -> Any:
    """Return the address of a word of the block, in LLVM."""
    block = module.globals.get(SYMBOL)
    if block is None:
        block = ir.GlobalVariable(module, ir.ArrayType(_WORD, WORDS), SYMBOL)
    return builder.gep(block, [ir.Constant(_WORD, 0), index], inbounds=True)


@intrinsic
def load(typing, index):
    """Return the word at `index`, and see all that was written before it was stored."""

    def generate(context, builder, signature, arguments):
        return builder.load_atomic(place(builder.module, builder, arguments[0]), "acquire", 8)

    return types.int64(types.int64), generate


@intrinsic
def store(typing, index, value):
    """Put `value` into the word at `index`; whoever loads it sees what was written before."""

    def generate(context, builder, signature, arguments):
        where = place(builder.module, builder, arguments[0])
        builder.store_atomic(arguments[1], where, "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def add(typing, index, value):
    """Add `value` to the word at `index` in one step; return what it held."""

    def generate(context, builder, signature, arguments):
        where = place(builder.module, builder, arguments[0])
        return builder.atomic_rmw("add", where, arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


@intrinsic
def exchange(typing, index, value):
    """Put `value` into the word at `index` in one step; return what it held."""

    def generate(context, builder, signature, arguments):
        where = place(builder.module, builder, arguments[0])
        return builder.atomic_rmw("xchg", where, arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


@intrinsic
def pause(typing):
    """Tell the processor that this thread waits in a loop."""

    def generate(context, builder, signature, arguments):
        name = {"x86_64": "llvm.x86.sse2.pause", "amd64": "llvm.x86.sse2.pause"}.get(
            platform.machine().lower()
        )
        if name is not None:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        else:
            builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def give_way(typing):
    """Let another thread have this core, if one waits for it."""

    def generate(context, builder, signature, arguments):
        name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def sleep(typing, turn):
    """Sleep until `wake` is called, unless the word TURN is no longer `turn`; may return early."""

    def generate(context, builder, signature, arguments):
        if _LINUX_FUTEX is not None:
            wait_private = 128
            _futex(builder, wait_private, builder.and_(arguments[0], _constant(0xFFFFFFFF)))
        elif sys.platform == "win32":
            kind = ir.FunctionType(ir.VoidType(), [ir.IntType(32)])
            function = cgutils.get_or_insert_function(builder.module, kind, "Sleep")
            builder.call(function, [ir.Constant(ir.IntType(32), 1)])
        else:  # looks again a thousand times a second
            kind = ir.FunctionType(ir.IntType(32), [ir.IntType(32)])
            function = cgutils.get_or_insert_function(builder.module, kind, "usleep")
            builder.call(function, [ir.Constant(ir.IntType(32), 1000)])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def wake(typing):
    """Wake all who sleep; change TURN before."""

    def generate(context, builder, signature, arguments):
        if _LINUX_FUTEX is not None:
            wake_private = 129
            _futex(builder, wake_private, _constant(1 << 20))
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def now(typing):
    """Return nanoseconds on a steady clock."""

    def generate(context, builder, signature, arguments):
        moment = cgutils.alloca_once(builder, ir.ArrayType(_WORD, 2))
        first = builder.bitcast(moment, _WORD.as_pointer())
        small = ir.IntType(32)
        if sys.platform == "win32":
            kind = ir.FunctionType(small, [_WORD.as_pointer()])
            name = "QueryPerformanceCounter"
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [first])
            return builder.mul(builder.load(first), _WORD(100))  # it counts ten million a second
        kind = ir.FunctionType(small, [small, _WORD.as_pointer()])
        clock = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
        builder.call(clock, [small(time.CLOCK_MONOTONIC), first])
        nanoseconds = builder.load(builder.gep(first, [_WORD(1)]))
        return builder.add(builder.mul(builder.load(first), _WORD(10**9)), nanoseconds)

    return types.int64(), generate


@intrinsic
def call_body(typing, body, arguments, first, last):
    """Call the function at the address `body`."""

    def generate(context, builder, signature, values):
        kind = ir.FunctionType(ir.VoidType(), [_WORD] * 3)
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


def _constant(value: int) -> Any:
    return ir.Constant(_WORD, value)


def _futex(builder: Any, operation: int, value: Any) -> None:
    kind = ir.FunctionType(_WORD, [_WORD], var_arg=True)
    syscall = cgutils.get_or_insert_function(builder.module, kind, "syscall")
    address = builder.ptrtoint(place(builder.module, builder, _constant(TURN)), _WORD)
    null = _constant(0)
    builder.call(
        syscall,
        [_constant(_LINUX_FUTEX), address, _constant(operation), value, *[null] * 3],  # type: ignore[arg-type]
    )
