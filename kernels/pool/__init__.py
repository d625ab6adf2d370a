"""The one pool of threads on which kernels and products run.

Inside a kernel, `split(body, count, grain, *arguments)` calls `body(first, last, *arguments)` for
parts of `range(count)`, `grain` items each, the last part shorter. Who does which part is decided
as they go: the caller claims one after the other from the first one on, workers that are awake do
so from the last one on. So each finds in its caches what it left there in the job before, and a job
never waits for a thread that has not begun, and costs what it costs on one thread at most. The
parts are the same whoever does them: sums that are kept per part, and added in order, have the same
bits on any number of threads.

Why not Numba's `prange`: its OpenMP threads either sleep between jobs, and waking them costs more
than most jobs, or spin, beside the spinning threads of NumPy's OpenBLAS. Here the products run on
the same threads (`kernels/blas.py`), idle ones look out for 0.3 ms and then sleep, and a forked
child may go on: it has no workers and does its parts itself.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

from ..compiler import cache, within
from . import ahead, count, state
from .state import words

__all__ = ["even", "even_grain", "info", "load", "resize", "share", "size", "size_and_reason",
           "split", "start", "stop", "write_job"]  # fmt: skip

SPIN = 300e-6  # seconds for which an idle worker looks out for the next job
PATIENCE = 100e-6  # seconds that a caller waits for the last part before it gives way
CALL, DELAY, WAKE = 20_000, 50_000, 180_000  # nanoseconds, until they are measured: see crew.py
USUAL = 30_000  # nanoseconds that a part takes

_limit: int | None = None  # of threads, as the program set it
_usual: tuple[int, str] | None = None  # what `count.usual` found
_workers: list[threading.Thread] = []
_started = False  # whether a kernel asked for workers: there are none with a limit of one thread
_lock = threading.Lock()
_WORD = ir.IntType(64)


# These are intrinsics, and no `@njit` functions around one: each of those would be compiled, and
# what it calls optimised once more, within every kernel.
@intrinsic
def split(typing, body, count, grain, *arguments):
    """Call body(first, last, *arguments) for all parts of range(count), on the pool's threads.

    Args:
        typing: Numba's own.
        body: an `@njit` function; it must neither raise nor split. What it returns is dropped.
        count: items.
        grain: items of a part, 1 or more: as many as take 20 to 50 us.
        arguments: arrays and numbers.
    """
    run = _job(body, arguments)

    def generate(context, builder, signature, values):
        _, count, grain, packed = values
        return run(context, builder, count, grain, _WORD(USUAL), packed)

    return types.void(body, *[types.int64] * 2, types.StarArgTuple(arguments)), generate


@intrinsic
def share(typing, body, count, grain, cost, *arguments):
    """Do what `split` does, for parts that take about `cost` nanoseconds each."""
    run = _job(body, arguments)

    def generate(context, builder, signature, values):
        _, count, grain, cost, packed = values
        return run(context, builder, count, grain, cost, packed)

    return types.void(body, *[types.int64] * 3, types.StarArgTuple(arguments)), generate


def even_grain(count: int, most: int) -> int:
    """Return a grain of `most` items or fewer with which two threads have as much to do each.

    count: items.  most: a multiple of 64, as the grain is one: so parts begin at whole cache lines.
    """
    parts = 2 * max((count + 2 * most - 1) // (2 * most), 1)
    return max(((count + parts - 1) // parts + 63) // 64, 1) * 64


even = within.function("int64(int64, int64)")(even_grain)  # for kernels


def _job(body: Any, arguments: Any) -> Callable[..., Any]:
    kinds = types.int64, types.int64, *arguments

    def call(context: Any, inside: Any, first: Any, last: Any, values: Any) -> None:
        within.call(context, inside, body.dispatcher, kinds, [first, last, *values], inline=False)

    def generate(context: Any, builder: Any, *rest: Any) -> Any:
        write_job(context, builder, call, *rest)
        return context.get_dummy_value()

    return generate


def write_job(
    context: Any, builder: Any, call: Callable[..., None], count: Any, grain: Any, cost: Any,
    packed: Any,
) -> None:  # fmt: skip
    """Write what `share` does, in LLVM.

    call(context, builder, first, last, values) writes a part. packed: the values that it needs.
    """
    slot = builder.ptrtoint(cgutils.alloca_once_value(builder, packed), _WORD)
    entry = _entry_point(context, builder, call, packed.type)
    body_address = builder.ptrtoint(entry, _WORD)
    run = builder.load_atomic(
        state.place(builder.module, builder, ir.Constant(_WORD, state.ENTRY)), "acquire", 8
    )
    alone = builder.or_(
        builder.icmp_signed("<=", count, grain), builder.icmp_signed("==", run, _WORD(0))
    )
    with builder.if_else(alone) as (then, otherwise):
        with then, cgutils.for_range_slice(builder, _WORD(0), count, grain) as (first, _):
            end = builder.add(first, grain)
            last = builder.select(builder.icmp_signed("<", end, count), end, count)
            builder.call(entry, [slot, first, last])
        with otherwise:
            kind = ir.FunctionType(ir.VoidType(), [_WORD] * 5)
            run = builder.inttoptr(run, kind.as_pointer())
            builder.call(run, [body_address, slot, count, grain, cost])


def _entry_point(context: Any, builder: Any, call: Callable[..., None], packed: Any) -> Any:
    """Write the function (address of the packed values, first, last) that does a part."""
    kind = ir.FunctionType(ir.VoidType(), [_WORD] * 3)
    name = builder.module.get_unique_name(f"part_of_{builder.function.name[-40:]}")
    function = ir.Function(builder.module, kind, name)
    function.linkage = "internal"
    inside = ir.IRBuilder(function.append_basic_block())
    values = inside.load(inside.inttoptr(function.args[0], packed.as_pointer()))
    arguments = [inside.extract_value(values, i) for i in range(len(packed.elements))]
    call(context, inside, *function.args[1:], arguments)
    inside.ret_void()
    return function


def load(function: str, render: Callable[[bool], str], compiler: str = "") -> Any:
    """Do what `cache.load` does, for the text of a kernel that splits: start the workers, too."""
    kernel = cache.load(function, render, compiler)
    start()
    return kernel


def start() -> None:
    """Start the workers, unless they run: as many as may take part beside the caller.

    Returns at once. Kernels run on the caller's thread alone until the workers are there. What
    workers do is compiled by the first of them; where Numba does it, by the caller: its passes
    change the filters of warnings in the whole process.
    """
    global _crew, _started
    if getattr(config, "BOUNDSCHECK", 0) and size() > 1 and _compiling.acquire(blocking=False):
        try:
            if _crew is None:
                _crew = _compile()
        finally:
            _compiling.release()
    with _lock:
        _started = True
        _start_missing()


def _start_missing() -> None:
    if not _workers:
        words[state.STOP] = 0
    for number in range(len(_workers), size() - 1):
        name = f"tinygrad_opt worker {number}"
        _workers.append(threading.Thread(target=_work, args=(number,), name=name, daemon=True))
        _workers[-1].start()


def size() -> int:
    """Return how many threads take part in a job at most, the caller's among them."""
    return size_and_reason()[0]


def size_and_reason() -> tuple[int, str]:
    """Return that number, and who said it: the program, the environment or the system."""
    global _usual
    if _limit is not None:
        return min(_limit, count.most()), "set_num_threads"
    if _usual is None:
        _usual = count.usual()
    return _usual


def resize(threads: int | None) -> None:
    """Let so many threads take part, the caller's among them; from the next job on.

    None: as many as the environment says.
    """
    global _limit
    with _lock:
        _limit = threads
        words[state.WORKERS] = size() - 1
        if _started:
            _start_missing()


def was_resized() -> bool:
    """Return whether somebody has said how many threads there shall be."""
    return _limit is not None


def info() -> dict[str, int | str]:
    """Return what the pool has measured: nanoseconds, and how many parts its workers have done."""
    threads, reason = size_and_reason()
    return {
        "threads": threads,
        "who said how many": reason,
        "workers started": len(_workers),
        "parts that workers did": int(words[state.HELPED]),
        "ns that a wake-up costs the caller": int(words[state.CALL]),
        "ns until a worker is awake": int(words[state.DELAY]),
        "ns of work that pay for a wake-up": int(words[state.WAKE]),
        "times as long as a late worker took that none is asked next": int(words[state.TIMES]),
    }


def stop() -> None:
    """End the workers; kernels go on, on the caller's thread."""
    global _started
    with _lock:
        _started = False
        words[state.ENTRY] = 0
        words[state.STOP] = 1
        if _crew is not None:
            _crew(state.ROUSE, 0)
        for worker in _workers:
            worker.join()
        _workers.clear()


_crew: Any = None  # the function of crew.py, compiled
_compiling = threading.Lock()


def _work(number: int) -> None:
    global _crew
    try:
        with _compiling:
            if _crew is None:
                _wait_for_callers()
                if words[state.STOP]:
                    return
                _crew = _compile()
            _open()
    except Exception as problem:
        warnings.warn(f"tinygrad_opt: kernels run on one thread ({problem})", RuntimeWarning, 2)
        return
    _crew(state.WORK, number)  # until `stop`


def _wait_for_callers() -> None:
    """Let them have their kernels first: a job is done without workers, but not without those."""
    while cache.is_busy() and not words[state.STOP]:
        time.sleep(cache.MOMENT / 10)


def _compile() -> Any:
    text = Path(__file__).with_name("crew.py").read_text(encoding="utf-8")
    crew = cache.load(
        "crew", lambda on_disk: text if on_disk else text.replace("cache=True", "cache=False")
    )
    pauses = _pauses_per_second(crew)
    words[state.SPINS] = int(SPIN * pauses)
    words[state.PATIENCE] = int(PATIENCE * pauses)
    return crew


def _open() -> None:
    """Set the block's figures, and let callers in."""
    words[[state.CALL, state.DELAY, state.WAKE]] = CALL, DELAY, WAKE
    words[state.GAP] = int(SPIN * 1e9)
    words[state.TIMES] = 1
    words[state.WORKERS] = size() - 1
    words[state.ENTRY] = _crew(state.FIND, 0)


def _pauses_per_second(crew: Any) -> float:
    best = 0.0
    for _ in range(5):
        begin = time.perf_counter()
        crew(state.PAUSE, 2000)
        best = max(best, 2000 / (time.perf_counter() - begin))
    return best


def _after_fork() -> None:
    # The workers stayed in the parent, in the middle of a job maybe; so may have the locks.
    global _lock, _compiling, _crew, _started
    words[:] = 0
    _started = False
    _workers.clear()
    _crew = None
    _lock, _compiling = threading.Lock(), threading.Lock()


ahead.threads = size
atexit.register(stop)  # machine code must not be running when it is unloaded
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
