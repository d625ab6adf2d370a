"""utils.data beside PyTorch's: structure, types, lengths and errors; orders differ by generator."""

from __future__ import annotations

import inspect
from collections import OrderedDict, UserDict, UserList, defaultdict, deque, namedtuple

import numpy as np
import pytest

import tinygrad_opt as T
from tinygrad_opt.utils import data

pytestmark = pytest.mark.peers
Point = namedtuple("Point", "x y")


def described(value):
    """What a value is, without the library it comes from."""
    if hasattr(value, "numpy") and hasattr(value, "requires_grad"):
        array = value.numpy()
        return "tensor", array.dtype.str, array.tolist()
    if isinstance(value, (dict, UserDict)):
        return type(value).__name__, {k: described(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, deque, UserList)):
        return type(value).__name__, [described(v) for v in value]
    return type(value).__name__, value


def outcome(act):
    try:
        return described(act())
    except Exception as error:
        return type(error)


BATCHES = {
    "ints": [1, 2], "floats": [1.0, 2.5], "mixed": [1, 2.5], "bools": [True, False],
    "bool and int": [True, 2], "float32": [np.float32(1), np.float32(2)],
    "float64": [np.float64(1)], "uint8": [np.uint8(1)], "int16": [np.array(3, np.int16)],
    "arrays": [np.ones((2, 1)), np.zeros((2, 1))], "strings": ["a", "b"], "bytes": [b"a"],
    "tuples": [(1, "a"), (2, "b")], "lists": [[1, 2.0], [3, 4.0]], "points": [Point(1, 2.0)] * 2,
    "dicts": [{"a": 1, "b": [2]}, {"a": 3, "b": [4]}], "ordered": [OrderedDict(a=1)] * 2,
    "default": [defaultdict(list, a=[1])] * 2, "user dict": [UserDict(a=1)] * 2,
    "user list": [UserList([1, 2])] * 2, "deque": [deque([1])] * 2, "range": [range(2)] * 2,
    "nested": [{"x": (1, [2.0, {"y": np.ones(2)}])}] * 2,
    "uneven": [[1, 2], [3]], "uneven arrays": [np.ones(2), np.ones(3)], "none": [None],
    "object": [object()], "sets": [{1}, {1}], "text array": [np.array(["a"])], "empty": [],
    "complex": [1j], "missing key": [{"a": 1}, {"b": 1}], "int and text": [1, "a"],
}  # fmt: skip


@pytest.mark.parametrize("name", BATCHES)
def test_collate_and_convert(name, torch):
    theirs = torch.utils.data
    batch = BATCHES[name]
    ours_made = outcome(lambda: data.default_collate(batch))
    assert ours_made == outcome(lambda: theirs.default_collate(batch))
    for item in batch:
        if name != "text array":  # an array that is left as it is compares as an array
            ours_made = outcome(lambda item=item: data.default_convert(item))
            assert ours_made == outcome(lambda item=item: theirs.default_convert(item))


SPLITS = [[7, 3], [0.3, 0.7], [0.35, 0.35, 0.3], [0.5, 0.2], [11], [1.5, -0.5], [10, 0], []]


@pytest.mark.parametrize("lengths", SPLITS, ids=str)
def test_random_split(lengths, torch):
    def sizes(package):
        return [len(part) for part in package.random_split(range(10), lengths)]

    assert outcome(lambda: sizes(data)) == outcome(lambda: sizes(torch.utils.data))


LOADERS = [
    {}, {"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None},
    {"batch_size": 4, "shuffle": True}, {"sampler": [4, 2, 0]}, {"batch_sampler": [[1, 2], [3]]},
    {"batch_size": None, "sampler": [1, 2]}, {"batch_size": 20, "drop_last": True},
    {"batch_size": 0}, {"batch_size": -1}, {"shuffle": True, "sampler": [1]}, {"timeout": -1},
    {"batch_size": None, "drop_last": True}, {"batch_size": 2, "batch_sampler": [[1]]},
    {"num_workers": -1}, {"prefetch_factor": 2}, {"persistent_workers": True},
    {"multiprocessing_context": "spawn"}, {"num_workers": 1, "multiprocessing_context": "x"},
    {"num_workers": 1, "multiprocessing_context": 1}, {"batch_size": True}, {"nonsense": 1},
]  # fmt: skip


@pytest.mark.parametrize("settings", LOADERS, ids=str)
def test_loaders(settings, torch):
    def batches(package, library):
        items = package.TensorDataset(library.arange(10), library.ones(10, 2))
        loader = package.DataLoader(items, **settings)
        made = list(loader)
        if settings.get("shuffle"):
            order = [i for x, _ in made for i in x.tolist()]
            return len(loader), [len(x) for x, _ in made], sorted(order)
        return len(loader), made

    assert outcome(lambda: batches(data, T)) == outcome(lambda: batches(torch.utils.data, torch))


def streams(package):
    class Stream(package.IterableDataset):
        def __iter__(self):
            return iter(range(7))

        def __len__(self):
            return 7

    return Stream()


@pytest.mark.parametrize("settings", [
    {}, {"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": None},
    {"shuffle": True}, {"shuffle": False}, {"sampler": [1]}, {"batch_sampler": [[1]]},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.filterwarnings("ignore:Length of IterableDataset")
def test_streams(settings, workers, torch):
    def batches(package):
        loader = package.DataLoader(streams(package), num_workers=workers, **settings)
        return len(loader), list(loader)

    assert outcome(lambda: batches(data)) == outcome(lambda: batches(torch.utils.data))


DATASETS = {
    "stack": lambda p: p.StackDataset(range(3), range(3))[1],
    "stack by name": lambda p: p.StackDataset(a=range(3), b=range(3))[1],
    "stack of many": lambda p: p.StackDataset(range(3), range(3)).__getitems__([2, 0]),
    "stack of none": lambda p: p.StackDataset(),
    "stack of uneven": lambda p: p.StackDataset([1], [1, 2]),
    "stack of both": lambda p: p.StackDataset([1], a=[1]),
    "subset": lambda p: p.Subset(range(9), [4, 5]).__getitems__([1, 0]),
    "concat": lambda p: [p.ConcatDataset([[1, 2], [3]])[i] for i in (-3, -1, 0, 2)],
    "concat beyond": lambda p: p.ConcatDataset([[1, 2], [3]])[3],
    "concat before": lambda p: p.ConcatDataset([[1, 2], [3]])[-4],
    "concat of none": lambda p: p.ConcatDataset([]),
    "concat of streams": lambda p: p.ConcatDataset([streams(p)]),
    "sizes": lambda p: p.ConcatDataset([[1, 2], [3]]).cumulative_sizes,
    "chain": lambda p: list(streams(p) + streams(p)),
    "length of chain": lambda p: len(streams(p) + streams(p)),
    "chain of lists": lambda p: list(p.ChainDataset([[1]])),
    "stream without iter": lambda p: p.IterableDataset(),
    "without getitem": lambda p: p.Dataset()[0],
    "without len": lambda p: len(p.Dataset()),
    "no worker": lambda p: p.get_worker_info(),
    "sampler without iter": lambda p: list(p.Sampler()),
    "sampler with a source": lambda p: p.Sampler([1]),
    "random of none": lambda p: p.RandomSampler([]),
    "random samples": lambda p: len(list(p.RandomSampler(range(3), num_samples=8))),
    "random by text": lambda p: p.RandomSampler([1], replacement="yes"),
    "random of 0": lambda p: p.RandomSampler([1], num_samples=0),
    "weights": lambda p: list(p.WeightedRandomSampler([0, 1.0], 3)),
    "weights kept": lambda p: p.WeightedRandomSampler([0, 1.0], 3).weights,
    "weights in rows": lambda p: p.WeightedRandomSampler([[1.0]], 1),
    "weights below 0": lambda p: list(p.WeightedRandomSampler([-1.0, 1], 1)),
    "too few weights": lambda p: list(p.WeightedRandomSampler([1.0], 2, False)),
    "weights by text": lambda p: p.WeightedRandomSampler([1.0], 2, "no"),
    "batches": lambda p: list(p.BatchSampler(range(5), 2, False)),
    "batches of true": lambda p: p.BatchSampler(range(5), True, False),
    "batches by text": lambda p: p.BatchSampler(range(5), 2, "no"),
    "fixed": lambda p: setattr(p.DataLoader([1]), "batch_size", 3),
}


@pytest.mark.parametrize("name", DATASETS)
def test_datasets_and_samplers(name, torch):
    act = DATASETS[name]
    assert outcome(lambda: act(data)) == outcome(lambda: act(torch.utils.data))


def test_exceptions_of_workers(torch):
    class Bad(list):
        def __getitem__(self, i):
            raise KeyError("no")

    def text(package):
        with pytest.raises(KeyError) as caught:
            list(package.DataLoader(Bad([1, 2]), num_workers=1))
        return str(caught.value).splitlines()

    ours, theirs = text(data), text(torch.utils.data)
    assert ours[:2] == theirs[:2]
    assert ours[-1] == theirs[-1]


UNKNOWN = {
    "DFIterDataPipe", "DataChunk", "IterDataPipe", "MapDataPipe",
    "_DatasetKind", "argument_validation", "functional_datapipe",
    "guaranteed_datapipes_determinism", "non_deterministic", "runtime_validation",
    "runtime_validation_disabled",
}  # fmt: skip


def test_names_and_signatures(torch):
    theirs = torch.utils.data
    assert set(theirs.__all__) - set(data.__all__) == UNKNOWN
    for name in set(theirs.__all__) & set(data.__all__):
        ours, other = (inspect.signature(getattr(p, name)) for p in (data, theirs))
        if name in ("default_convert", "Dataset", "IterableDataset", "Sampler"):
            continue
        assert list(ours.parameters) == list(other.parameters), name
        for mine, their in zip(ours.parameters.values(), other.parameters.values(), strict=True):
            assert mine.kind == their.kind
            if name != "random_split":  # the default generator stands in the signature there
                assert mine.default == their.default, (name, mine)
