"""The pool of threads: each part once, no matter who does it, and no way to hang."""

import subprocess
import sys
import threading
import time

import numba
import numpy as np
import pytest

from tinygrad_opt.kernels import pool, threads
from tinygrad_opt.kernels.pool import crew, split, state

several = pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="one processor")


@numba.njit(nogil=True)
def count(first, last, visits, sizes):
    for i in range(first, last):
        visits[i] += 1
    sizes[first] = last - first


@numba.njit(nogil=True)
def count_all(visits, sizes, grain):
    split(count, visits.shape[0], grain, visits, sizes)


@numba.njit(nogil=True)
def work(first, last, x):
    for i in range(first, last):
        for _ in range(200):
            x[i] = x[i] * 0.5 + 1


@numba.njit(nogil=True)
def work_all(x):
    split(work, x.shape[0], 100, x)


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.001)


@pytest.fixture
def _pool():
    """The workers run, and have helped: they are awake."""
    pool.start()
    wait_until(lambda: state.words[state.ENTRY])
    before = state.words[state.HELPED]
    x = np.zeros(10_000)

    def helped():
        work_all(x)
        return state.words[state.HELPED] > before

    wait_until(helped)


@several
@pytest.mark.usefixtures("_pool")
@pytest.mark.parametrize("grain", [1, 7, 100, 999, 1000, 1001, 10**9])
def test_every_part_is_done_once_and_is_of_the_grain(grain):
    for size in (0, 1, 99, 1000):
        for _ in range(50):
            visits, sizes = np.zeros(size, np.int64), np.zeros(max(size, 1), np.int64)
            count_all(visits, sizes, grain)
            assert (visits == 1).all()
            starts = np.arange(0, size, min(grain, max(size, 1)))
            np.testing.assert_array_equal(np.flatnonzero(sizes), starts)
            assert (sizes[starts[:-1]] == grain).all()


thread = numba.types.ExternalFunction("pthread_self", numba.types.int64())


@numba.njit(nogil=True)
def sign_parts(first, last, x, signed):
    for i in range(first, last):
        for _ in range(200):
            x[i] = x[i] * 0.5 + 1
    signed[first] = thread()


@numba.njit(nogil=True)
def sign_all(x, signed):
    split(sign_parts, x.shape[0], 100, x, signed)
    return thread()


@several
@pytest.mark.skipif(sys.platform == "win32", reason="threads have no such name")
@pytest.mark.usefixtures("_pool")
def test_the_caller_has_the_first_parts_and_workers_the_last():
    x, helped = np.zeros(10_000), 0
    while helped < 50:
        signed = np.zeros(10_000, np.int64)
        caller = sign_all(x, signed)
        by_the_caller = signed[::100] == caller
        assert (signed[::100] != 0).all()
        assert by_the_caller[: by_the_caller.sum()].all()
        helped += not by_the_caller.all()


@pytest.mark.parametrize(
    ("count", "grain", "parts"),
    [(0, 64, 0), (1, 64, 1), (1000, 512, 2), (32_768, 16_384, 2), (32_769, 8256, 4),
     (100_000, 12_544, 8), (1_000_003, 16_192, 62)],
)  # fmt: skip
def test_an_even_grain_leaves_two_threads_as_much(count, grain, parts):
    assert pool.even_grain(count, 16_384) == grain
    assert -(-count // grain) == parts


@several
@pytest.mark.usefixtures("_pool")
def test_many_callers_at_once():
    results = []

    def call():
        visits, sizes = np.zeros(5000, np.int64), np.zeros(5000, np.int64)
        for _ in range(500):
            count_all(visits, sizes, 50)
        results.append(visits)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert len(results) == 4
    assert all((visits == 500).all() for visits in results)


@several
@pytest.mark.usefixtures("_pool")
def test_one_thread_means_no_help():
    x, before = np.zeros(10_000), threads.get_num_threads()
    try:
        threads.set_num_threads(1)
        helped = state.words[state.HELPED]
        for _ in range(20):
            work_all(x)
        assert state.words[state.HELPED] == helped
    finally:
        threads.set_num_threads(before)


@numba.njit(nogil=True)
def wait(first, last, rounds, x):
    for i in range(first, last):
        for _ in range(rounds[i]):
            x[i] = x[i] * 0.5 + 1


@numba.njit(nogil=True)
def wait_all(rounds, x):
    split(wait, x.shape[0], 1, rounds, x)


@several
@pytest.mark.usefixtures("_pool")
def test_where_a_worker_was_late_none_is_asked_for_a_while():
    rounds, x = np.array([3_000_000, 12_000_000]), np.zeros(2)
    wait_all(rounds * 0, x)  # compiled

    def run_until(times, most=1000):  # one job right after the other: so a worker is woken
        while state.words[state.TIMES] != times:
            wait_all(rounds, x)
            most -= 1
            assert most, "it did not happen"

    state.words[[state.ALONE, state.TIMES]] = 0, 1
    run_until(2)  # the last part is a worker's, and takes longer than the first one
    assert state.words[state.ALONE] > time.monotonic_ns() - 10**9
    helped = state.words[state.HELPED]
    state.words[state.ALONE] = time.monotonic_ns() + 10**12
    for _ in range(3):
        wait_all(rounds, x)
    assert state.words[state.HELPED] == helped
    state.words[[state.ALONE, state.TIMES]] = 0, 1


@numba.njit
def judge_all(end, lost, saved, seen):
    for i in range(lost.shape[0]):
        crew.judge(end, lost[i], saved[i])
        seen[i, 0], seen[i, 1] = crew.load(state.ALONE), crew.load(state.TIMES)


@several
@pytest.mark.usefixtures("_pool")
def test_how_long_none_is_asked_doubles_and_halves():
    end, late = time.monotonic_ns() + 10**12, 2 * crew.LATE  # far off: no job of others judges
    lost = np.array([late, late, late, 0, 0, 0, 0, crew.LATE])
    saved = np.array([False, False, False, False, True, True, True, False])
    seen = np.zeros((8, 2), np.int64)
    try:
        state.words[[state.ALONE, state.TIMES]] = end - 1, 1
        judge_all(end, lost, saved, seen)
    finally:
        state.words[[state.ALONE, state.TIMES]] = 0, 1
    last = end + 4 * late
    assert seen[:, 0].tolist() == [end + late, end + 2 * late, *[last] * 6]
    assert seen[:, 1].tolist() == [2, 4, 8, 8, 4, 2, 1, 1]


@several
@pytest.mark.usefixtures("_pool")
def test_after_a_stop_the_caller_goes_on_and_a_start_brings_help_again():
    pool.stop()
    assert not state.words[state.ENTRY]
    visits, sizes = np.zeros(1000, np.int64), np.zeros(1000, np.int64)
    count_all(visits, sizes, 10)
    assert (visits == 1).all()
    pool.start()
    wait_until(lambda: state.words[state.ENTRY])


@several
@pytest.mark.usefixtures("_pool")
def test_idle_workers_sleep():
    wait_until(lambda: state.words[state.ASLEEP] == numba.config.NUMBA_NUM_THREADS - 1, 10)


def test_a_process_ends_while_workers_look_out():
    code = (
        "import numpy as np; from tinygrad_opt.kernels import norm, pool\n"
        "x = np.ones(10_000_000, np.float32)\n"
        "for _ in range(300): norm(x)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_pool_that_cannot_be_compiled_is_told_once(monkeypatch):
    def fail(*_):
        raise OSError("no room")

    monkeypatch.setattr(pool.cache, "load", fail)
    monkeypatch.setattr(pool, "_crew", None)
    with pytest.warns(RuntimeWarning, match="kernels run on one thread.*no room"):
        pool._work(0)


def test_a_worker_that_is_stopped_before_it_began_compiles_nothing(monkeypatch):
    pool.stop()
    with monkeypatch.context() as patched:
        patched.setattr(pool, "_crew", None)
        patched.setattr(pool, "_compile", None)  # a call would warn
        pool._work(0)
    pool.start()


@several
def test_workers_start_when_more_threads_are_allowed_later():
    script = """
import time
import numpy as np
from tinygrad_opt.kernels import norm, pool, threads
threads.set_num_threads(1)
norm(np.ones(1_000_000, np.float32))
assert pool.info()["workers started"] == 0
threads.set_num_threads(2)
end = time.monotonic() + 60
while pool.info()["parts that workers did"] == 0 and time.monotonic() < end:
    norm(np.ones(1_000_000, np.float32))
print(pool.info()["workers started"], pool.info()["parts that workers did"] > 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1 True\n"
