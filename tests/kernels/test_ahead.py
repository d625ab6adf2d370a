"""Code that is asked for soon is made on another thread, once; no process forks meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from numba.core import config
from settled import settled

from tinygrad_opt import nn, no_grad, optim, randn
from tinygrad_opt.kernels import direct, micro, pool, update_rule
from tinygrad_opt.kernels.compiler import within
from tinygrad_opt.kernels.direct import library
from tinygrad_opt.kernels.fused import arithmetic, places, rows
from tinygrad_opt.kernels.fused.convolution import loops as convolution_loops
from tinygrad_opt.kernels.micro import machine
from tinygrad_opt.kernels.micro.spaces import Space
from tinygrad_opt.kernels.pool import ahead


@pytest.fixture(autouse=True)
def _two_threads(monkeypatch):
    monkeypatch.setattr(ahead, "threads", lambda: 2)
    monkeypatch.setattr(ahead, "_works", {})


def named(made_by):
    def make(name):
        made_by.append((name, threading.current_thread() is threading.main_thread()))
        return name.upper()

    return make


def test_what_follows_is_made_once_and_elsewhere():
    calls = []
    make = named(calls)
    assert ahead.made(make, "a", then=[(make, "b")], back=[(make, "c")]) == "A"
    settled()
    assert [ahead.made(make, name) for name in "bc"] == ["B", "C"]
    assert sorted(calls) == [("a", True), ("b", False), ("c", False)]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_not_wanted_is_not_begun(monkeypatch, threads):
    monkeypatch.setattr(ahead, "threads", lambda: threads)
    calls = []
    make = named(calls)
    with no_grad():
        ahead.made(make, "a", then=[(make, "b")], back=[(make, "c")])
    settled()
    assert sorted(name for name, _ in calls) == ["a", "b"][:threads]


def test_nobody_waits_for_what_numpy_does_meanwhile():
    inside, go_on, calls = threading.Event(), threading.Event(), []

    def make(name):
        calls.append(name)
        if name == "first":
            inside.set()
            assert go_on.wait(60)
        return name.upper()

    ahead.soon(make, "first")
    assert inside.wait(60)
    assert ahead.ready(make, "spare") is None
    ahead.soon(make, "second")
    assert ahead.ready(make, "spare") is None
    go_on.set()
    settled()
    assert calls == ["first", "second", "spare"]  # which comes last
    assert ahead.ready(make, "spare") == "SPARE"
    assert len(calls) == 3


def test_without_a_thread_it_is_made_at_once(monkeypatch):
    monkeypatch.setattr(ahead, "threads", lambda: 1)
    assert ahead.ready(str.upper, "spare") == "SPARE"


def test_an_error_on_the_thread_is_that_of_who_asks_again():
    def make(name):
        raise KeyError(name)

    assert ahead.ready(make, "bad") is None
    settled()
    with pytest.raises(KeyError, match="bad"):
        ahead.ready(make, "bad")


FORMS = [
    ("add", lambda x: x[::-1].copy()), ("sub", lambda x: 0.3), ("div", lambda x: x[0].copy()),
    ("mul", lambda x: x[:, :1].copy()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "other"), FORMS)
def test_arithmetic_is_the_same_before_its_kernel_is_there(monkeypatch, name, other):
    monkeypatch.setattr(arithmetic, "_kernels", arithmetic._Kernels())
    monkeypatch.setattr(arithmetic, "_by_rows", arithmetic.ByType(arithmetic._rows_text))
    x = np.random.default_rng(0).standard_normal((300, 250)).astype("f")
    y = other(x)
    form = arithmetic.form(x, y)
    with ahead._busy:  # the thread does not begin
        before, onto = arithmetic.combine(name, form, x, y), x.copy()
        added = arithmetic.into(name, onto, y)
    settled()
    after, onto_it = arithmetic.combine(name, form, x, y), x.copy()
    assert arithmetic._kernels or arithmetic._by_rows
    np.testing.assert_array_equal(before, after)
    assert arithmetic.into(name, onto_it, y) is added
    np.testing.assert_array_equal(onto, onto_it)


def test_rows_are_picked_by_numpy_and_those_of_the_gradient_begun_until_there_are_kernels(
    monkeypatch,
):
    begun, soon = [], ahead.soon
    monkeypatch.setattr(ahead, "soon", lambda *what: begun.append(what) or soon(*what))
    kernels = places.ByType(lambda name: places._HEAD + places._TEXTS[name], part=places.PART)
    monkeypatch.setattr(places, "_kernels", kernels)
    x = np.random.default_rng(0).standard_normal((9, 5, 4)).astype("f")
    index = np.array([3, -1, 0, 8, 3])
    with ahead._busy:  # the thread does not begin
        with no_grad():
            before = places.pick(x, index, 0)
            assert not begun
        places.pick(x, index, 0)
        assert begun == [(rows.load, "float32")]
        inner = places.pick(x, index % 5, 1)
        assert len(begun) == 1
        with pytest.raises(IndexError, match="index 12 is out of bounds for axis 0 with size 9"):
            places.pick(x, index + 9, 0)
    settled()
    np.testing.assert_array_equal(places.pick(x, index, 0), before)
    np.testing.assert_array_equal(places.pick(x, index % 5, 1), inner)
    assert kernels
    with pytest.raises(IndexError, match="index 12 is out of bounds for axis 0 with size 9"):
        places.pick(x, index + 9, 0)


def test_the_kernel_of_a_step_is_begun_with_zero_grad(monkeypatch):
    model, large = nn.Linear(3, 4), nn.Linear(1000, 999)
    begun = []
    monkeypatch.setattr(ahead, "_begin", lambda make, what: begun.append(what))
    rule = update_rule(halved)
    for optimizer in (Halved(model.parameters(), rule), Halved(model.parameters(), None)):
        optimizer.zero_grad()
    assert begun == [("serial", np.dtype("float32"))]
    optimizer = Halved(large.parameters(), rule)
    optimizer.zero_grad()
    assert begun[1:] == [("parallel", np.dtype("float32"))]
    model(randn(2, 3)).sum().backward()
    optimizer = Halved(model.parameters(), rule)
    optimizer.step()
    optimizer.zero_grad()
    assert len(begun) == 2


def halved(p, g, lr):
    return p - lr * g / 2


class Halved(optim.Optimizer):
    def __init__(self, params, rule):
        super().__init__(params, {"lr": 1.0})
        self.own = rule

    def rule_for(self, group):
        if self.own is None:
            raise NotImplementedError
        return self.own


def test_gradients_are_asked_for_as_operations_are_recorded():
    assert ahead.gradients()
    with no_grad():
        assert not ahead.gradients()


def test_an_error_is_that_of_who_asks():
    def make(name):
        if name == "bad" and threading.current_thread() is threading.main_thread():
            raise KeyError(name)
        return 1 / (name != "bad")

    ahead.made(make, "good", then=[(make, "bad")])
    settled()
    with pytest.raises(KeyError, match="bad"):
        ahead.made(make, "bad")


def second(x):
    return x[1]


def odd(x):
    return sum([x[i] for i in range(1, x.shape[0], 2)])  # a list: the reader knows none


@within.function("float64(float64)")
def odd_within(y):
    return sum([y for _ in range(3)])


def caller(x):
    return odd_within(x[0]) + x[1]


@pytest.mark.parametrize(
    ("function", "checks", "elsewhere"),
    [(second, 0, True), (second, 1, False), (odd, 0, False), (caller, 0, False)],
)
def test_numba_compiles_where_it_is_waited_for(monkeypatch, function, checks, elsewhere):
    """Its passes change the filters of warnings, in the whole process."""
    while pool._workers and pool._crew is None:  # which a worker may compile
        time.sleep(0.01)
    monkeypatch.setattr(config, "BOUNDSCHECK", checks)
    made_by, changed_by = [], set()
    enter = warnings.catch_warnings.__enter__

    def watched(self):
        changed_by.add(threading.current_thread())
        return enter(self)

    monkeypatch.setattr(warnings.catch_warnings, "__enter__", watched)

    def make(name):
        if name == "other":
            return None
        kernel = direct.njit("float64(float64[::1])")(function)
        made_by.append(threading.current_thread())
        return kernel

    ahead.made(make, "other", then=[(make, "kernel")])
    settled()
    kernel = ahead.made(make, "kernel")
    main = threading.main_thread()
    assert (made_by[0] is not main, len(made_by)) == (elsewhere, 1)
    assert changed_by <= {main}
    x = np.arange(4.0)
    assert kernel(x) == (3 * x[0] + x[1] if function is caller else function(x))


def test_what_has_not_begun_is_made_at_once_and_what_has_is_waited_for():
    inside, go_on, calls = threading.Event(), threading.Event(), []

    def make(name):
        calls.append(name)
        if name == "slow":
            inside.set()
            go_on.wait(60)
        return name

    ahead.made(make, "first", then=[(make, "slow"), (make, "late")])
    assert inside.wait(60)
    assert ahead.made(make, "late") == "late"
    threading.Timer(0.05, go_on.set).start()
    assert ahead.made(make, "slow") == "slow"
    settled()
    assert sorted(calls) == ["first", "late", "slow"]


def test_a_process_forks_between_two_works_and_its_child_may_fork_too():
    inside, go_on, ended = threading.Event(), threading.Event(), []

    def make(name):
        if name == "slow":
            inside.set()
            go_on.wait(60)
            ended.append(name)

    ahead.made(make, "first", then=[(make, "slow")])
    assert inside.wait(60)
    threading.Timer(0.05, go_on.set).start()
    child = os.fork()
    if child == 0:
        try:
            grandchild = os.fork()
            if grandchild == 0:
                os._exit(len(ended) - 1)  # 0: the work had ended
            _, status = os.waitpid(grandchild, 0)
            clean = ahead._thread is None and not ahead._works
            os._exit(status + (0 if clean else 2))
        finally:
            os._exit(3)
    assert os.waitpid(child, 0)[1] == 0
    assert ended == ["slow"]


def test_loops_that_follow_are_begun_with_the_first(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path / "kernels"))
    begun = []
    monkeypatch.setattr(ahead, "_begin", lambda make, what: begun.append(what[0].name))
    monkeypatch.setattr(machine, "_bound", {})
    monkeypatch.setattr(machine, "_address", lambda symbol, code: 1)
    monkeypatch.setattr(machine, "_machine_code", lambda *_: b"code")
    micro.loops.cache_clear()
    try:
        with no_grad():
            micro.loops(convolution_loops.panels, "f")
        assert begun == ["channels"]
        micro.loops(convolution_loops.positions, "f")
        assert begun == ["channels", "position_slopes"]
    finally:
        micro.loops.cache_clear()


def test_others_compile_while_a_kernel_is_optimised(monkeypatch):
    """Numba's lock is free meanwhile, and is had again when it is done."""
    emitted, lock, seen = Space.emitted, library.global_compiler_lock, []

    def take():
        with lock:
            seen.append(True)

    def watched(*what):
        thread = threading.Thread(target=take)
        thread.start()
        thread.join(60)
        return emitted(*what)

    monkeypatch.setattr(Space, "emitted", watched)

    kernel = direct.njit("float64(float64[::1])")(second)
    assert seen == [True]
    assert not lock.is_locked()
    assert kernel(np.arange(3.0)) == 1.0


FORKS = """
import os, sys, time, warnings
import tinygrad_opt as torch
from numba.core.compiler_lock import global_compiler_lock

warnings.simplefilter("ignore")  # Python's about a fork beside threads
torch.randn(300, 300).exp()  # the first kernel: workers begin to compile what they do
lock, end = global_compiler_lock._lock, time.monotonic() + 60
while lock.acquire(False) and time.monotonic() < end:
    lock.release()
    time.sleep(0.0005)
child = os.fork()
torch.randn(400, 400).sigmoid().sum()  # another one, here and there
if child:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os._exit(0)
"""


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_compiles_that_was_forked_while_a_worker_did(tmp_path):
    threads = {"NUMBA_NUM_THREADS": "2", "TINYGRAD_OPT_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", FORKS]
    subprocess.run(command, env=os.environ | threads, check=True, timeout=120)


CHECKED = """
import threading, time, warnings
import tinygrad_opt as torch
from tinygrad_opt.kernels import pool

entered, enter = set(), warnings.catch_warnings.__enter__

def watched(self):
    entered.add(threading.current_thread())
    return enter(self)

warnings.catch_warnings.__enter__ = watched
torch.randn(300, 300).exp()
while pool._crew is None:
    time.sleep(0.01)
assert entered <= {threading.main_thread()}, entered
"""


@pytest.mark.thorough
def test_what_workers_do_is_compiled_by_the_caller_where_numba_does_it(tmp_path):
    checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_NUM_THREADS": "2"}
    settings = os.environ | checked | {"TINYGRAD_OPT_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", CHECKED], env=settings, check=True, timeout=300)
