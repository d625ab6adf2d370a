"""How many threads kernels use, and from what size on; and that none of it changes a bit."""

import multiprocessing
import os
import subprocess
import sys
import threading
import warnings

import numba
import numpy as np
import pytest
from rules import arrays, coefficients, copies

from tinygrad_opt.kernels import adam, norm, pool, threads

SIZE = 10_000


def step(vectors):
    adam.launch(vectors, coefficients(adam))


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    return done.stdout.strip() or done.stderr


@pytest.fixture
def _parallel_always(monkeypatch):
    monkeypatch.setattr(threads, "threshold", 1)


def test_threshold_decides():
    vectors, before = arrays(adam, "float32", SIZE), threads.threshold
    adam._kernels["parallel"].clear()
    try:
        threads.set_parallel_threshold(SIZE + 1)
        step(vectors)
        assert not adam._kernels["parallel"]
        threads.set_parallel_threshold(SIZE)
        step(vectors)
        assert adam._kernels["parallel"]
    finally:
        threads.set_parallel_threshold(before)


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, "two"])
def test_number_of_threads_is_checked(bad):
    with pytest.raises(ValueError, match="set_num_threads expects a positive whole number, got"):
        threads.set_num_threads(bad)


def test_number_of_threads_is_set():
    most = threads.get_num_threads()
    try:
        threads.set_num_threads(1)
        assert threads.get_num_threads() == 1
        threads.set_num_threads(10**6)
        assert threads.get_num_threads() == most == numba.config.NUMBA_NUM_THREADS
    finally:
        threads.set_num_threads(most)


V1 = {"cpu.cfs_quota_us": "150000", "cpu.cfs_period_us": "100000"}


@pytest.mark.parametrize(
    ("variables", "files", "expected"),
    [
        ({}, {}, (64, "the processors of this process")),
        ({"OMP_NUM_THREADS": "3"}, {}, (3, "OMP_NUM_THREADS")),
        ({"OMP_NUM_THREADS": "4,2"}, {}, (4, "OMP_NUM_THREADS")),
        ({"OMP_NUM_THREADS": "999"}, {}, (64, "OMP_NUM_THREADS")),
        ({"OMP_NUM_THREADS": "0"}, {}, (64, "the processors of this process")),
        ({"OMP_NUM_THREADS": "many"}, {}, (64, "the processors of this process")),
        ({"NUMBA_NUM_THREADS": "64", "OMP_NUM_THREADS": "3"}, {}, (64, "NUMBA_NUM_THREADS")),
        ({}, {"cpu.max": "200000 100000"}, (2, "the container's limit of 2 processors")),
        ({}, {"cpu.max": "50000 100000"}, (1, "the container's limit of 0.5 processors")),
        ({}, {"cpu.max": "max 100000"}, (64, "the processors of this process")),
        ({}, {"cpu.max": "junk"}, (64, "the processors of this process")),
        ({}, {"a/cpu.max": "max 100000", "a/b/cpu.max": "250000 100000"}, (3, "the container's l")),
        ({}, {"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000"}, (1, "the container's l")),
        ({}, {f"cpu,cpuacct/a/{k}": v for k, v in V1.items()}, (2, "the container's limit of 1.5")),
        ({}, {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
         (64, "the processors of this process")),
        ({"OMP_NUM_THREADS": "3"}, {"cpu.max": "200000 100000"}, (3, "OMP_NUM_THREADS")),
    ],
)  # fmt: skip
def test_who_says_how_many(variables, files, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(pool.count, "most", lambda: 64)
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    own = tmp_path / "proc/self/cgroup"
    own.parent.mkdir(parents=True)
    own.write_text("2:cpu,cpuacct:/a\n1:memory:/c\n0::/a/b\n")
    for name, text in files.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    number, reason = pool.count.usual(tmp_path)
    assert number == expected[0]
    assert reason.startswith(expected[1])


def test_the_environment_is_heeded():
    code = """
from tinygrad_opt.kernels import pool, threads
print(threads.get_num_threads(), pool.info()["who said how many"])
threads.set_num_threads(10**6)
print(threads.get_num_threads() == pool.count.most(), pool.info()["who said how many"])
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("NUMBA_NUM_THREADS", None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=environment)  # fmt: skip
    assert done.stdout == "1 OMP_NUM_THREADS\nTrue set_num_threads\n", done.stderr


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, "many"])
def test_threshold_is_checked(bad):
    with pytest.raises(ValueError, match="parallel threshold must be a positive whole number, got"):
        threads.set_parallel_threshold(bad)


@pytest.mark.thorough
def test_threshold_from_the_environment():
    code = "from tinygrad_opt.kernels import threads; print(threads.threshold)"
    assert run(code) == str(threads.DEFAULT_THRESHOLD)
    assert run(code, TINYGRAD_OPT_PARALLEL_THRESHOLD="123") == "123"
    message = "TINYGRAD_OPT_PARALLEL_THRESHOLD must be a positive whole number, got 'many'"
    assert message in run(code, TINYGRAD_OPT_PARALLEL_THRESHOLD="many")


def test_bad_threshold_in_the_environment(monkeypatch):
    monkeypatch.setenv("TINYGRAD_OPT_PARALLEL_THRESHOLD", "-3")
    with pytest.raises(ValueError, match="TINYGRAD_OPT_PARALLEL_THRESHOLD must be a positive"):
        threads._threshold_from_environment()


@pytest.mark.usefixtures("_parallel_always")
def test_two_python_threads_at_once():
    vectors = arrays(adam, "float32", SIZE)
    expected = copies(vectors)
    for _ in range(50):
        step(expected)
    results = [copies(vectors) for _ in range(4)]

    def work(mine):
        for _ in range(50):
            step(mine)

    workers = [threading.Thread(target=work, args=(mine,)) for mine in results]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for result in results:
        np.testing.assert_array_equal(result[0], expected[0])


def _in_child(queue, vectors):
    step(vectors)
    queue.put((vectors[0], norm(vectors[0]), pool.state.words[pool.state.ENTRY]))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.usefixtures("_parallel_always")
def test_forked_child_goes_on_without_workers():
    vectors = arrays(adam, "float32", SIZE)
    step(copies(vectors))  # the parent's pool is running
    expected = copies(vectors)
    step(expected)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking a process with threads
        child = context.Process(target=_in_child, args=(queue, vectors))
        child.start()
    result, length, entry = queue.get(timeout=60)
    child.join(timeout=60)
    assert child.exitcode == 0
    assert not entry
    assert length == norm(expected[0])
    np.testing.assert_array_equal(result, expected[0])
