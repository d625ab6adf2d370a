"""Worker processes: the same batches in the same order, exceptions, deaths, and clean ends."""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tinygrad_opt as T
from tinygrad_opt.data.workers.transfer import LARGE
from tinygrad_opt.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    TensorDataset,
    WorkerInfo,
    get_worker_info,
)

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="these tests fork"),
    pytest.mark.filterwarnings("ignore:.*worker processes in total"),
]


def loader(dataset, *args, num_workers=2, multiprocessing_context="fork", **kwargs):
    return DataLoader(
        dataset, *args, num_workers=num_workers,
        multiprocessing_context=multiprocessing_context, **kwargs,
    )  # fmt: skip


def plain(batches):
    return [[t.tolist() for t in b] if isinstance(b, list) else b.tolist() for b in batches]


def no_children_left():
    limit = time.monotonic() + 10
    while multiprocessing.active_children() and time.monotonic() < limit:
        time.sleep(0.01)
    return not multiprocessing.active_children()


class Function(Dataset):
    """Item i is function(i)."""

    def __init__(self, n, function):
        self.n, self.function = n, function

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.function(i)


class Numbers(IterableDataset):
    """0 to n - 1; with `shared`, each worker a part."""

    def __init__(self, n, shared=True):
        self.n, self.shared = n, shared

    def __iter__(self):
        info = get_worker_info()
        if info is None or not self.shared:
            return iter(range(self.n))
        return iter(range(info.id, self.n, info.num_workers))


# Batches ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [
    {"batch_size": 3}, {"batch_size": 3, "shuffle": True}, {"batch_size": 3, "drop_last": True},
    {"batch_sampler": [[5, 1], [0], [2, 3, 4]]}, {"batch_size": None, "sampler": [3, 1]},
    {"batch_size": 2, "collate_fn": lambda items: T.tensor([x.item() for x, _ in items])},
])  # fmt: skip
def test_workers_give_the_batches_of_one_process(settings):
    dataset = TensorDataset(T.arange(10), T.randn(10, 2))
    T.manual_seed(1)
    alone = DataLoader(dataset, **settings)
    expected = [plain(alone), plain(alone)]
    for workers, ahead in ((1, 1), (2, 2), (3, 1)):
        T.manual_seed(1)
        shared = loader(dataset, num_workers=workers, prefetch_factor=ahead, **settings)
        assert [plain(shared), plain(shared)] == expected
        assert len(shared) == len(alone) == len(iter(shared))
    gc.collect()
    assert no_children_left()


def test_spawned_workers():
    dataset = TensorDataset(T.arange(6), T.arange(6) * 2.0)
    batches = plain(loader(dataset, 2, num_workers=1, multiprocessing_context="spawn"))
    assert batches == [[[0, 1], [0, 2]], [[2, 3], [4, 6]], [[4, 5], [8, 10]]]


@pytest.mark.parametrize("nbytes", [8, LARGE - 8, LARGE, 8 * LARGE + 8])
def test_arrays_of_all_sizes(nbytes):
    def item(i):
        return {"a": np.full(nbytes // 8, i * 1.0), "b": T.full((3,), i), "text": str(i)}

    for i, batch in enumerate(loader(Function(4, item), None)):
        assert batch["text"] == str(i)
        assert batch["b"].tolist() == [i] * 3
        assert batch["a"].shape == (nbytes // 8,)
        assert (batch["a"] == i).all()
        batch["a"].array[0] = 7  # writable


def test_long_lists_of_indices_do_not_block():
    n = 200_000
    batches = list(loader(TensorDataset(T.arange(n)), n // 4, prefetch_factor=4))
    assert T.cat([b for (b,) in batches]).tolist() == list(range(n))


def test_numerical_work_after_a_fork(monkeypatch):
    a = T.randn(300, 300)
    monkeypatch.setattr("tinygrad_opt.kernels.threads.threshold", 10)

    def work():
        w = (a @ a).requires_grad_()
        optimizer = T.optim.SGD([w], lr=0.1)
        T.nn.functional.relu(w).sum().backward()
        optimizer.step()
        return w.detach().sum()

    expected = work().item()  # starts the threads of BLAS and Numba, which a fork leaves behind
    assert [b.item() for b in loader(Function(3, lambda i: work()), None)] == [expected] * 3


def test_streams_are_shared_out():
    assert plain(loader(Numbers(10), 2)) == [[0, 2], [1, 3], [4, 6], [5, 7], [8], [9]]
    assert plain(loader(Numbers(5), 2)) == [[0, 2], [1, 3], [4]]
    assert plain(loader(Numbers(5), 2, drop_last=True)) == [[0, 2], [1, 3]]
    assert list(loader(Numbers(3), None)) == [0, 1, 2]
    assert list(loader(Numbers(2, shared=False), None)) == [0, 0, 1, 1]


def test_out_of_order():
    seen = multiprocessing.get_context("fork").Event()

    def item(i):
        assert i or seen.wait(60)
        return i

    batches = iter(loader(Function(4, item), None, in_order=False))
    early = [next(batches), next(batches)]
    assert early == [1, 3]
    seen.set()
    assert list(batches) == [0, 2]
    assert list(loader(Function(4, item), None, in_order=True)) == [0, 1, 2, 3]


# Who a worker is ----------------------------------------------------------------------------------


def test_worker_info_and_init():
    def told(id):
        info = get_worker_info()
        assert type(info) is WorkerInfo
        assert info.id == id
        info.dataset.function = lambda i: (i, id, info.num_workers, info.seed)

    assert get_worker_info() is None
    g = T.Generator().manual_seed(3)
    rows = list(loader(Function(4, lambda i: i), None, worker_init_fn=told, generator=g))
    assert [row[:3] for row in rows] == [[0, 0, 2], [1, 1, 2], [2, 0, 2], [3, 1, 2]]
    assert rows[1][3] == rows[0][3] + 1
    again = list(loader(Function(4, lambda i: i), None, worker_init_fn=told,
                        generator=T.Generator().manual_seed(3)))  # fmt: skip
    assert again == rows


def draws(i):
    return [T.rand(1).item(), random.random(), np.random.random()]


@pytest.mark.parametrize("persistent", [False, True])
def test_random_numbers_of_workers(persistent):
    def epochs(seed):
        T.manual_seed(seed)
        shared = loader(Function(4, draws), None, persistent_workers=persistent)
        return [row for _ in range(2) for row in shared]

    rows = epochs(0)
    assert len({x for row in rows for x in row}) == 3 * 8  # none twice: not by worker, nor by epoch
    assert epochs(0) == rows
    assert epochs(1) != rows
    state = T.default_generator.numpy.bit_generator.state
    list(loader(Function(2, draws), None))
    assert T.default_generator.numpy.bit_generator.state == state, (
        "going through a loader in order draws nothing"
    )


def test_a_seed_for_others_draws_nothing():
    g = T.Generator().manual_seed(5)
    state, stream = g.get_state(), g.numpy.bit_generator.state
    seeds = [g.child_seed() for _ in range(3)]
    assert len(set(seeds)) == 3
    assert g.numpy.bit_generator.state == stream
    g.set_state(state)
    assert [g.child_seed() for _ in range(3)] == seeds
    assert g.manual_seed(6).child_seed() not in seeds


def test_persistent_workers_stay():
    pids = Function(2, lambda i: os.getpid())
    staying = loader(pids, None, persistent_workers=True)
    first = list(staying)
    assert len(set(first)) == 2
    assert list(staying) == first
    early = iter(staying)
    next(early)
    assert list(staying) == first, "what an abandoned epoch left behind is passed over"
    with pytest.raises(RuntimeError, match="newer iteration has taken over"):
        next(early)
    del staying, early
    assert no_children_left()
    assert set(loader(pids, None)).isdisjoint(first)


# Exceptions and deaths ----------------------------------------------------------------------------


class Odd(Exception):
    def __init__(self, number, text):
        super().__init__(number, text)


def test_exceptions_come_through():
    def item(i):
        if i == 1:
            raise KeyError("the key")
        if i == 2:
            raise Odd(1, "two arguments")
        if i == 3:
            return lambda: 0
        return i

    batches = iter(loader(Function(5, item), None))
    assert next(batches) == 0
    with pytest.raises(KeyError) as caught:
        next(batches)
    text = str(caught.value)
    assert "Caught KeyError in DataLoader worker process 1.\nOriginal Traceback" in text
    assert "in item\n" in text
    assert "the key" in text
    with pytest.raises(RuntimeError, match=r"(?s)Caught Odd in .*two arguments"):
        next(batches)
    with pytest.raises(RuntimeError, match=r"(?s)Caught .*pickle"):
        next(batches)
    assert next(batches) == 4
    assert list(batches) == []


def test_an_exception_of_a_type_that_cannot_travel():
    class Local(Exception):
        pass

    def item(i):
        raise Local("far from home")

    with pytest.raises(RuntimeError, match=r"(?s)Caught Local in .*far from home"):
        list(loader(Function(1, item), None))


def test_a_worker_that_cannot_begin():
    def fails(id):
        raise OSError(f"no disk for {id}")

    batches = iter(loader(Function(4, int), None, worker_init_fn=fails))
    for id in (0, 1):
        with pytest.raises(OSError, match=f"no disk for {id}"):
            next(batches)
    with pytest.raises(RuntimeError, match="the worker could not begin"):
        next(batches)


@pytest.mark.parametrize(("end", "text"), [
    (lambda: os.kill(os.getpid(), signal.SIGKILL), r"SIGKILL \(is there too little memory"),
    (lambda: os._exit(3), "exit code 3"),
])  # fmt: skip
@pytest.mark.parametrize("persistent", [False, True])
def test_the_death_of_a_worker(end, text, persistent):
    dying = loader(Function(4, lambda i: end() if i == 1 else i), None,
                   persistent_workers=persistent)  # fmt: skip
    batches = iter(dying)
    assert next(batches) == 0
    with pytest.raises(RuntimeError, match=rf"DataLoader worker \(pid.*unexpectedly: .*{text}"):
        next(batches)
    with pytest.raises(RuntimeError, match="begin a new iteration"):
        next(batches)
    assert no_children_left()
    assert next(iter(dying)) == 0, "a new iteration has new workers"


def test_a_worker_that_takes_too_long():
    start = time.monotonic()
    with pytest.raises(RuntimeError, match=r"timed out after 0\.2 seconds, waiting for worker 0"):
        list(loader(Function(1, lambda i: time.sleep(60)), None, timeout=0.2))
    assert time.monotonic() - start < 10
    assert no_children_left()


# Ends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [8, 4 * LARGE])
def test_leaving_early_ends_the_workers(size):
    for _ in loader(Function(100, lambda i: np.zeros(size)), None, prefetch_factor=4):
        break
    del _
    assert no_children_left()
    iter(loader(Function(100, lambda i: np.zeros(size)), None))  # not even begun
    gc.collect()
    assert no_children_left()


SCRIPT = """
import os, signal, sys, time
from tinygrad_opt.utils.data import DataLoader

signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it

class Slow:
    def __len__(self):
        return 1000
    def __getitem__(self, i):
        time.sleep(0.01)
        return os.getpid()

loader = DataLoader(Slow(), None, num_workers=2, multiprocessing_context="fork",
                    persistent_workers=True)
batches = iter(loader)
print(next(batches), next(batches), flush=True)
if sys.argv[1] == "exit":
    sys.exit()
for batch in batches:
    pass
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="asks Linux for processes")
@pytest.mark.parametrize("ending", ["exit", "SIGINT", "SIGKILL"])
def test_workers_end_with_their_process(ending):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, ending], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    workers = [int(pid) for pid in process.stdout.readline().split()]
    assert len(workers) == 2
    if ending == "SIGINT":
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: to the workers, too
    if ending == "SIGKILL":
        process.kill()
    _, errors = process.communicate(timeout=30)
    if ending == "exit":
        assert process.returncode == 0
        assert errors == ""
    if ending == "SIGINT":
        assert errors.rstrip().endswith("KeyboardInterrupt")
        assert errors.count("Traceback") == 1, "workers are quiet"
    limit = time.monotonic() + 10
    while any(map(alive, workers)) and time.monotonic() < limit:
        time.sleep(0.02)
    assert not any(map(alive, workers))
