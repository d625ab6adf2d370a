"""The state of a DataLoader: what follows after loading it is what would have followed."""

from __future__ import annotations

import json
import os
import random

import numpy as np
import pytest

import tinygrad_opt as T
from tinygrad_opt.checkpoints import Checkpoints
from tinygrad_opt.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    get_worker_info,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*worker processes in total")
CONTEXT = "fork" if hasattr(os, "fork") else "spawn"


class Noisy(Dataset):
    """Items that depend on all random generators there are."""

    def __len__(self):
        return 11

    def __getitem__(self, i):
        return i, T.rand(1).item()

    @staticmethod
    def in_worker(i):
        return i, T.rand(1).item(), random.random(), np.random.random()


class NoisyInWorkers(Noisy):
    def __getitem__(self, i):
        return self.in_worker(i)


class Stream(IterableDataset):
    """Its numbers are drawn on the way, in workers by the generators of the worker."""

    def __iter__(self):
        info = get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        for i in range(first, 13, step):
            yield i, (random.random() if info else 0.0)


class Remembering(Stream):
    """Resumes without going through what has been seen."""

    def __init__(self):
        self.at, self.read = 0, 0

    def __iter__(self):
        info = get_worker_info()
        end = 13 if info is None else 6 + info.id
        while self.at < end:
            self.at += 1
            self.read += 1
            yield self.at, self.read > self.at  # never, unless something is read twice
        self.at = self.read = 0

    def state_dict(self):
        return {"at": self.at}

    def load_state_dict(self, state):
        self.at = state["at"]
        self.read = 0


def own():
    return T.Generator().manual_seed(9)


def in_workers(**kwargs):
    return dict(num_workers=2, multiprocessing_context=CONTEXT, **kwargs)


LOADERS = {
    "in order": lambda: DataLoader(Noisy(), 2),
    "shuffled": lambda: DataLoader(Noisy(), 2, shuffle=True),
    "own generator": lambda: DataLoader(Noisy(), 2, shuffle=True, generator=own()),
    "items": lambda: DataLoader(Noisy(), None, shuffle=True),
    "dropping": lambda: DataLoader(Noisy(), 3, shuffle=True, drop_last=True),
    "rows": lambda: DataLoader(TensorDataset(T.arange(9), T.arange(9)), 2, shuffle=True),
    "sampler": lambda: DataLoader(
        Noisy(), 2, sampler=WeightedRandomSampler([1.0] * 11, 8, generator=own())
    ),
    "many samples": lambda: DataLoader(Noisy(), 5, sampler=RandomSampler(Noisy(), num_samples=30)),
    "batch sampler": lambda: DataLoader(Noisy(), batch_sampler=[[1, 2], [7], [3, 4, 5], [0]]),
    "stream": lambda: DataLoader(Stream(), 2),
    "stream of items": lambda: DataLoader(Stream(), None),
    "stream with state": lambda: DataLoader(Remembering(), 2),
    "workers": lambda: DataLoader(NoisyInWorkers(), 2, shuffle=True, **in_workers()),
    "workers, own generator": lambda: DataLoader(
        NoisyInWorkers(), 2, shuffle=True, generator=own(), **in_workers(prefetch_factor=3)
    ),
    "persistent workers": lambda: DataLoader(
        NoisyInWorkers(), 2, shuffle=True, **in_workers(persistent_workers=True)
    ),
    "stream from workers": lambda: DataLoader(Stream(), 2, **in_workers()),
    "stream from persistent workers": lambda: DataLoader(
        Stream(), 3, **in_workers(persistent_workers=True)
    ),
    "stream with state from workers": lambda: DataLoader(Remembering(), 2, **in_workers()),
}


def plain(batch):
    return [plain(x) if isinstance(x, list) else getattr(x, "tolist", lambda x=x: x)()
            for x in batch]  # fmt: skip


def epoch(loader, seen=None):
    """One epoch of a training loop that draws numbers of its own; a state after each batch."""
    for batch in loader:
        mine = T.rand(2).tolist()
        if seen is not None:
            seen.append(loader.state_dict())
        yield plain(batch), mine


@pytest.mark.thorough
@pytest.mark.parametrize("name", LOADERS)
def test_resuming_after_any_batch(name):
    T.manual_seed(3)
    loader, states = LOADERS[name](), []
    list(epoch(loader))  # an epoch before
    expected = list(epoch(loader, states))
    following = list(epoch(loader))
    assert following != expected
    for k in {0, 1, len(states) // 2, len(states) - 2, len(states) - 1}:
        T.manual_seed(77)
        resumed = LOADERS[name]()
        resumed.load_state_dict(json.loads(json.dumps(states[k])))
        assert list(epoch(resumed)) == expected[k + 1 :], f"after batch {k}"
        assert list(epoch(resumed)) == following, f"the epoch after that of batch {k}"


@pytest.mark.parametrize("name", LOADERS)
def test_resuming_between_epochs_and_before_the_first(name):
    T.manual_seed(3)
    loader = LOADERS[name]()
    before = loader.state_dict()
    first = list(epoch(loader))
    between = loader.state_dict()
    second = list(epoch(loader))
    for state, expected in ((before, [first, second]), (between, [second])):
        T.manual_seed(77)
        resumed = LOADERS[name]()
        resumed.load_state_dict(json.loads(json.dumps(state)))
        assert [list(epoch(resumed)) for _ in expected] == expected


def test_a_state_is_small_and_does_not_change():
    loader = DataLoader(list(range(10_000)), 2, shuffle=True)
    batches = iter(loader)
    next(batches)
    state = loader.state_dict()
    text = json.dumps(state)
    assert len(text) < 2000
    next(batches)
    assert json.dumps(state) == text
    assert json.loads(text) == state


def test_a_loaded_state_can_be_stored_again():
    loader = DataLoader(list(range(10)), 2, shuffle=True)
    next(iter(loader))
    state = loader.state_dict()
    other = DataLoader(list(range(10)), 2, shuffle=True)
    other.load_state_dict(state)
    assert other.state_dict() == state


def test_an_epoch_left_early_is_gone_on_with_after_loading():
    loader = DataLoader(list(range(10)), 2, shuffle=True)
    order = []
    for batch in loader:
        order += batch.tolist()
        if len(order) == 4:
            break
    state = loader.state_dict()
    assert sorted(x for b in loader for x in b.tolist()) == list(range(10)), "a new epoch"
    other = DataLoader(list(range(10)), 2, shuffle=True)
    other.load_state_dict(state)
    rest = [x for b in other for x in b.tolist()]
    assert sorted(order + rest) == list(range(10))
    assert len(rest) == 6


def test_another_number_of_workers():
    T.manual_seed(3)
    loader = DataLoader(list(range(20)), 3, shuffle=True, **in_workers())
    batches = iter(loader)
    for _ in range(3):
        next(batches)
    state = loader.state_dict()
    rest = [b.tolist() for b in batches]
    for settings in ({}, in_workers() | {"num_workers": 3}):
        other = DataLoader(list(range(20)), 3, shuffle=True, **settings)
        other.load_state_dict(state)
        assert [b.tolist() for b in other] == rest


def test_a_batch_that_failed_counts():
    class Bad(Noisy):
        def __getitem__(self, i):
            if i == 1:
                raise ValueError("bad item")
            return i

    for settings in ({}, in_workers()):
        loader = DataLoader(Bad(), None, **settings)
        batches = iter(loader)
        next(batches)
        with pytest.raises(ValueError, match="bad item"):
            next(batches)
        other = DataLoader(Bad(), None, **settings)
        other.load_state_dict(loader.state_dict())
        assert next(iter(other)) == 2


def test_a_stream_with_a_state_is_not_read_again():
    loader = DataLoader(Remembering(), 2)
    next(iter(loader))
    other = DataLoader(Remembering(), 2)
    other.load_state_dict(loader.state_dict())
    next(iter(other))
    assert other.dataset.at == 4
    assert other.dataset.read == 2


def test_as_a_part_of_checkpoints(tmp_path):
    def run():
        loader = DataLoader(Noisy(), 2, shuffle=True)
        return loader, Checkpoints(tmp_path, loader=loader)

    loader, checkpoints = run()
    epochs = []
    for _ in range(2):
        for step, (batch, mine) in enumerate(epoch(loader)):
            epochs.append((batch, mine))
            if len(epochs) == 3:
                checkpoints.save(step)
    T.manual_seed(1)
    loader, checkpoints = run()
    assert checkpoints.restore() == {"step": 2}
    assert [*epoch(loader), *epoch(loader)] == epochs[3:]


@pytest.mark.parametrize(("there", "here", "text"), [
    (lambda: DataLoader(range(4)), lambda: DataLoader(range(5)), r"'batches': 4.*'batches': 5"),
    (lambda: DataLoader(range(4)), lambda: DataLoader(range(4), generator=own()),
     r"'generators': 1.*'generators': 2"),
    (lambda: DataLoader(Stream(), **in_workers()), lambda: DataLoader(Stream()),
     r"'num_workers': 2.*'num_workers': 0"),
    (lambda: DataLoader(Stream()), lambda: DataLoader(Remembering()), "'dataset state': False"),
])  # fmt: skip
def test_the_state_of_another_loader(there, here, text):
    loader = there()
    batches = iter(loader)
    next(batches)
    random_state = T.get_rng_state()
    with pytest.raises(ValueError, match=text):
        here().load_state_dict(loader.state_dict())
    assert T.equal(T.get_rng_state(), random_state)


def test_what_is_no_state():
    with pytest.raises(ValueError, match=r"this is no DataLoader's state, it has \['weight'\]"):
        DataLoader(range(4)).load_state_dict({"weight": 1})


def test_batches_in_any_order_have_no_state():
    with pytest.raises(RuntimeError, match="no repeatable order with in_order=False"):
        DataLoader(range(4), in_order=False, **in_workers()).state_dict()
