"""The collectives of messages on any number of ranks, and the order of their sums."""

from functools import reduce

import numpy as np
import pytest
from threads import together

from tinygrad_opt.distributed import groups
from tinygrad_opt.distributed.groups import ProcessGroup, even

SIZES = [1, 2, 3, 5, 8, 17, 20]  # 17 and 20 go round


def of(rank, size, dtype="float32"):
    return (np.random.default_rng(rank).normal(size=size) * 100).astype(dtype)


@pytest.mark.parametrize("ranks", SIZES)
def test_sums_have_the_bits_of_an_addition_in_order(ranks, monkeypatch):
    rows = [of(r, 1000) for r in range(ranks)]
    expected = reduce(np.add, rows)
    assert ranks < 3 or (expected != reduce(np.add, rows[::-1])).any()  # the order matters

    def work(group):
        whole, mean = of(group.rank(), 1000), of(group.rank(), 1000)
        group.all_reduce(whole, "sum")
        group.all_reduce(mean, "avg")
        return whole, mean

    for direct in (2**18, 0):  # sent whole, and in parts
        monkeypatch.setattr(groups, "DIRECT", direct)
        for whole, mean in together(ranks, work):
            assert (whole == expected).all()
            assert (mean == expected / np.float32(ranks)).all()


@pytest.mark.parametrize("ranks", SIZES)
def test_every_collective(ranks):
    rows = np.stack([of(r, 7, "float64") for r in range(ranks)])
    total = reduce(np.add, rows)
    root, bounds = ranks // 2, even(7, ranks)

    def work(group):
        me = group.rank()
        own = rows[me].copy()
        group.broadcast(own, root)
        assert (own == rows[root]).all()
        found = np.zeros_like(rows)
        group.all_gather(rows[me].copy(), found)
        assert (found == rows).all()
        found = np.zeros_like(rows)
        group.gather(rows[me].copy(), found, root)
        assert (found == rows).all() == (me == root) or ranks == 1
        own = np.zeros(7)
        group.scatter(own, list(rows) if me == root else None, root)
        assert (own == rows[me]).all()
        own = rows[me].copy()
        group.reduce(own, root, "sum")
        assert (own == (total if me == root else rows[me])).all()
        own = rows[me].copy()
        group.reduce_parts(own, bounds, "sum")
        mine = slice(bounds[me], bounds[me + 1])
        assert (own[mine] == total[mine]).all()
        assert (np.delete(own, np.r_[mine]) == np.delete(rows[me], np.r_[mine])).all()
        group.spread_parts(own, bounds)
        assert (own == total).all()
        texts = [b"x" * r for r in range(ranks)]
        assert group.all_gather_bytes(texts[me], "texts") == texts
        assert group.gather_bytes(texts[me], root, "texts") == (texts if me == root else [])
        assert group.broadcast_bytes(texts[me], root, "texts") == texts[root]
        group.barrier()

    together(ranks, work)


def test_parts_are_even():
    assert even(10, 4) == [0, 3, 6, 8, 10]
    assert even(2, 4) == [0, 1, 2, 2, 2]


def test_calls_that_differ_have_other_tags():
    group = ProcessGroup([0, 1])
    group._calls = 5
    tags = set()
    for name, x, op, root in (
        ("all_reduce", np.ones(5, "f4"), "sum", 0), ("all_reduce", np.ones(5, "i4"), "sum", 0),
        ("all_reduce", np.ones(6, "f4"), "sum", 0), ("all_reduce", np.ones(5, "f4"), "max", 0),
        ("broadcast", np.ones(5, "f4"), "", 0), ("broadcast", np.ones(5, "f4"), "", 1),
        ("barrier", np.ones(0, "u1"), "", 0),
    ):  # fmt: skip
        group._calls = 5
        tags.add(group._call(name, x, op, root).tag)
    assert len(tags) == 7
    assert group._call("all_reduce", np.ones(5, "f4"), "sum").tag not in tags  # the next call
