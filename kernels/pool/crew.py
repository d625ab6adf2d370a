"""What the threads of the pool do: `run`, which a caller enters, and `work`; `crew` has them.

A job is a number of parts. Whoever takes part, the caller first of all, claims a part by counting
LEFT down, until none is left: the caller the first one that is left, a worker the last one. So the
caller never waits for a worker that has not begun, and a job with a late helper costs no more than
without one. A worker without a job looks out for one during SPINS pauses, then it sleeps.
"""

# mypy: ignore-errors

from tinygrad_opt.kernels.compiler import within
from tinygrad_opt.kernels.direct import njit
from tinygrad_opt.kernels.pool.state import (
    ALONE,
    ARGUMENTS,
    ASLEEP,
    BODY,
    BUSY,
    CALL,
    CALLED,
    COUNT,
    DELAY,
    DONE,
    FIND,
    GAP,
    GRAIN,
    HELPED,
    LAST,
    LEFT,
    MISSED,
    PARTS,
    PATIENCE,
    PAUSE,
    ROUSE,
    SPINS,
    STOP,
    TAKEN,
    TIMES,
    TURN,
    WAKE,
    WORK,
    WORKERS,
    add,
    call_body,
    exchange,
    give_way,
    load,
    now,
    pause,
    sleep,
    store,
    wake,
)

LATE = 100_000  # nanoseconds: such a loss is no matter of a late start
MOST_TIMES = 32
LONGEST_ALONE = 200_000_000  # nanoseconds
FOREVER = 1 << 62
LONGEST_CALL, LONGEST_DELAY, SHORTEST_WAKE = 100_000, 200_000, 60_000  # nanoseconds
SAFETY = 2


@within.function("UniTuple(int64, 2)(boolean)")
def do_parts(calling):
    """Claim parts and do them until none is left; return how many, and the shortest time of one.

    The caller's are the first ones, the workers' the last: then each has mostly those of the job
    before, and what lies in its caches need not be fetched from another core's.
    """
    mine, shortest = 0, FOREVER
    while True:
        if add(LEFT, -1) <= 0:
            return mine, shortest
        grain, count = load(GRAIN), load(COUNT)
        first = grain * (mine if calling else load(PARTS) - 1 - add(TAKEN, 1))
        last = min(first + grain, count)
        begin = now()
        call_body(load(BODY), load(ARGUMENTS), first, last)
        if last - first == grain:
            shortest = min(shortest, now() - begin)
        add(DONE, 1)
        mine += 1


@within.function("void(int64, int64, int64, int64)")
def do_alone(body, arguments, count, grain):
    for first in range(0, count, grain):
        call_body(body, arguments, first, min(first + grain, count))


@within.function("void(int64)")
def wait_for(parts):
    pauses = 0
    patience = load(PATIENCE)
    while load(DONE) < parts:
        if pauses < patience:
            pauses += 1
            pause()
        else:  # whoever has the last part may be waiting for this core
            give_way()


@within.function("void(int64, int64, int64)")
def judge(end, lost, saved):
    """Where a worker was waited for in vain, do without for as long as that took.

    If it happens again, for twice as long, and so on: what the waiting may cost on a busy machine
    is a small share of the time. Where another process held the caller's own core, nothing is lost.
    """
    times = load(TIMES)
    if lost > LATE:
        store(ALONE, end + min(times * lost, LONGEST_ALONE))
        store(TIMES, min(2 * times, MOST_TIMES))
    elif saved:
        store(TIMES, max(times // 2, 1))


@within.function("boolean(int64, int64)")
def is_worth_waking(work, begin):
    """Whether this job and those just before it are long enough to pay for a wake-up."""
    missed = work
    if begin - load(LAST) < load(GAP):
        missed += load(MISSED)
    enough = missed >= load(WAKE)
    store(MISSED, 0 if enough else missed)
    return enough


@within.function("void()")
def call_workers():
    begin = now()
    store(CALLED, begin)
    add(TURN, 1)
    wake()
    store(CALL, mixed(load(CALL), min(now() - begin, LONGEST_CALL)))


@within.function("void()")
def note_delay():
    """Measure how late a wake-up is, and from what length on a job pays for one.

    With a caller that spends c on it and a worker that comes d late, a job of length w takes
    c + d + (w - d) / 2, which is less than w from w = 2 c + d on.
    """
    store(DELAY, mixed(load(DELAY), min(now() - load(CALLED), LONGEST_DELAY)))
    store(WAKE, max(SAFETY * (2 * load(CALL) + load(DELAY)), SHORTEST_WAKE))


@within.function("int64(int64, int64)")
def mixed(before, now):
    return (3 * before + now) // 4


def run(body, arguments, count, grain, cost):
    """Call body(arguments, first, last) for all parts of range(count), with who comes to help.

    A part takes about `cost` nanoseconds.
    """
    parts = (count + grain - 1) // grain
    if load(WORKERS) == 0 or exchange(BUSY, 1) != 0:  # no one to help, or they help another thread
        do_alone(body, arguments, count, grain)
        return
    begin, sleepers = now(), load(ASLEEP)
    waking = sleepers > 0 and is_worth_waking(parts * cost, begin)
    if begin < load(ALONE) or (sleepers >= load(WORKERS) and not waking):
        do_alone(body, arguments, count, grain)
        store(LAST, now())
        store(BUSY, 0)
        return
    store(BODY, body)
    store(ARGUMENTS, arguments)
    store(COUNT, count)
    store(GRAIN, grain)
    store(PARTS, parts)
    store(DONE, 0)
    store(TAKEN, 0)
    store(LEFT, parts)  # from here on, it can be claimed
    if waking:
        call_workers()
    _, shortest = do_parts(True)
    done = now()
    wait_for(parts)
    end = now()
    if shortest < FOREVER:
        more = end - begin - parts * shortest  # than the caller would have taken on its own
        judge(end, min(more, end - done), more < -shortest // 4)
    store(LAST, end)
    store(BUSY, 0)


@within.function("boolean(int64)")
def is_wanted(number):
    return load(LEFT) > 0 and number < load(WORKERS)


@within.function("void(int64)")
def work(number):
    """Do parts of every job, as worker `number`, until STOP."""
    while load(STOP) == 0:
        spins = 0
        limit = load(SPINS)
        while spins < limit and not is_wanted(number):
            pause()
            spins += 1
        if is_wanted(number):
            parts, _ = do_parts(False)
            add(HELPED, parts)
        else:
            turn = load(TURN)
            add(ASLEEP, 1)
            if not is_wanted(number) and load(STOP) == 0:
                sleep(turn)
            add(ASLEEP, -1)
            if load(TURN) != turn and number == 0:
                note_delay()


address_of_run = within.address(run, "void(int64, int64, int64, int64, int64)")


@njit("int64(int64, int64)", nogil=True, no_cfunc_wrapper=True, cache=True)
def crew(task, number):
    """Do one of the tasks; one function, as each would take as long to compile as all of them."""
    if task == FIND:
        return address_of_run()
    if task == PAUSE:  # how long that takes tells how long a pause is
        for _ in range(number):
            pause()
    elif task == ROUSE:  # all workers
        add(TURN, 1)
        wake()
    elif task == WORK:  # as worker `number`
        work(number)
    return 0
