"""What several processes check together: `mpiexec -n 2 python checks.py`.

Each function is called by all ranks. Rank 0 prints a line of JSON for each: its name, and the
errors of the ranks that had one.
"""

import copy
import json
import re
import sys
import tempfile
import traceback
import warnings

import numpy as np
import pytest

import tinygrad_opt as tg
import tinygrad_opt.distributed as dist
from tinygrad_opt import nn, optim
from tinygrad_opt.distributed.checkpoints import Checkpoints
from tinygrad_opt.distributed.optim import ZeroRedundancyOptimizer
from tinygrad_opt.kernels.threads import get_num_threads
from tinygrad_opt.nn.parallel import DistributedDataParallel
from tinygrad_opt.utils.data import DataLoader, DistributedSampler, TensorDataset

RANK = SIZE = 0


def raises(kind, text, function, *args, **kwargs):
    """The function raises an error of that kind whose message has the text."""
    with pytest.raises(kind, match=re.escape(text)):
        function(*args, **kwargs)


def of_rank(rank, size, dtype="float32"):
    """The numbers of a rank: any rank can make those of all."""
    return (np.random.default_rng(rank).normal(size=size) * 100).astype(dtype)


def same_everywhere(arrays):
    """Whether all ranks have the same bits."""
    found = [None] * SIZE
    dist.all_gather_object(found, b"".join(np.ascontiguousarray(a).tobytes() for a in arrays))
    return all(other == found[0] for other in found)


# Collectives --------------------------------------------------------------------------------------

OPS = {
    "sum": np.add, "product": np.multiply, "min": np.minimum, "max": np.maximum,
    "band": np.bitwise_and, "bor": np.bitwise_or, "bxor": np.bitwise_xor,
}  # fmt: skip


def check_sums_are_added_in_the_order_of_ranks():
    for size in (1, 7, 1000, 70_001, 300_000):  # sent whole, and in parts
        for dtype in ("float32", "float64", "int64"):
            x = tg.tensor(of_rank(RANK, size, dtype))
            dist.all_reduce(x)
            expected = of_rank(0, size, dtype)
            for rank in range(1, SIZE):
                expected = expected + of_rank(rank, size, dtype)
            assert (x.numpy() == expected).all(), (size, dtype)


def check_other_reductions():
    for name, ufunc in OPS.items():
        dtype = "int64" if name.startswith("b") else "float64"
        x = tg.tensor(of_rank(RANK, 50, dtype))
        dist.all_reduce(x, getattr(dist.ReduceOp, name.upper()))
        expected = ufunc.reduce([of_rank(r, 50, dtype) for r in range(SIZE)])
        assert (x.numpy() == expected).all(), name
    mean = tg.tensor(of_rank(RANK, 9))
    dist.all_reduce(mean, dist.ReduceOp.AVG)
    total = of_rank(0, 9)
    for rank in range(1, SIZE):
        total = total + of_rank(rank, 9)
    assert (mean.numpy() == total / np.float32(SIZE)).all()


def check_collectives():
    everybody = [of_rank(r, (3, 4)) for r in range(SIZE)]
    mine, last = tg.tensor(everybody[RANK]), SIZE - 1

    x = mine.clone().T  # does not lie in order
    assert not x.is_contiguous()
    dist.broadcast(x, last)
    assert (x.numpy() == everybody[last].T).all()

    rows = [tg.zeros(3, 4) for _ in range(SIZE)]
    dist.all_gather(rows, mine)
    assert all((row.numpy() == e).all() for row, e in zip(rows, everybody, strict=True))
    whole = tg.zeros(3 * SIZE, 4)
    dist.all_gather_into_tensor(whole, mine)
    assert (whole.numpy() == np.concatenate(everybody)).all()

    rows = [tg.zeros(3, 4) for _ in range(SIZE)] if last == RANK else None
    dist.gather(mine, rows, dst=last)
    assert rows is None or all((a.numpy() == b).all() for a, b in zip(rows, everybody, strict=True))
    x = tg.zeros(3, 4)
    dist.scatter(x, [tg.tensor(e) for e in everybody] if RANK == 0 else None)
    assert (x.numpy() == everybody[RANK]).all()

    x = mine.clone()
    dist.reduce(x, dst=last)
    total = everybody[0]
    for other in everybody[1:]:
        total = total + other
    assert (x.numpy() == (total if last == RANK else everybody[RANK])).all()

    out = tg.zeros(5)
    dist.reduce_scatter(out, [tg.tensor(of_rank(RANK * 10 + i, 5)) for i in range(SIZE)])
    total = of_rank(RANK, 5)
    for rank in range(1, SIZE):
        total = total + of_rank(rank * 10 + RANK, 5)
    assert (out.numpy() == total).all()
    out = tg.zeros(2)
    dist.reduce_scatter_tensor(out, tg.arange(2.0 * SIZE) * (RANK + 1))
    assert out.tolist() == [k * SIZE * (SIZE + 1) / 2 for k in (2.0 * RANK, 2.0 * RANK + 1)]

    work = dist.all_reduce(tg.ones(2), async_op=True)
    assert work.wait()
    assert work.is_completed()
    dist.barrier()


def check_messages():
    after, before = (RANK + 1) % SIZE, (RANK - 1) % SIZE
    for size in (3, 200_000):
        x = tg.zeros(size)
        if RANK % 2:
            assert dist.recv(x, before, tag=5) == before
        dist.send(tg.full((size,), float(RANK)), after, tag=5)
        if not RANK % 2:
            assert dist.recv(x, None, tag=5) == before
        assert (x.numpy() == before).all()
    raises(ValueError, "to itself", dist.send, tg.ones(1), RANK)


def check_objects():
    found = [None] * SIZE
    dist.all_gather_object(found, {"rank": RANK, "text": "x" * 1000 * RANK})
    assert [f["rank"] for f in found] == list(range(SIZE))
    shared = [RANK, str(RANK)]
    dist.broadcast_object_list(shared, src=SIZE - 1)
    assert shared == [SIZE - 1, str(SIZE - 1)]
    rows = [None] * SIZE if RANK == 0 else None
    dist.gather_object((RANK,), rows)
    assert rows is None or rows == [(r,) for r in range(SIZE)]
    mine = [None]
    dist.scatter_object_list(mine, list("abcdefgh")[:SIZE] if RANK == 0 else None)
    assert mine == ["abcdefgh"[RANK]]


def check_groups():
    pair = dist.new_group([SIZE - 1, 0])
    if RANK in (0, SIZE - 1):
        x = tg.full((3,), float(RANK))
        dist.all_reduce(x, group=pair)
        assert x.tolist() == [SIZE - 1.0] * 3
        assert dist.get_world_size(pair) == 2
        assert dist.get_process_group_ranks(pair) == [0, SIZE - 1]
        dist.broadcast(x, src=SIZE - 1, group=pair)
    else:
        assert dist.get_rank(pair) == -1
        raises(ValueError, "not in the process group", dist.all_reduce, tg.ones(1), group=pair)
    dist.barrier()


def check_refusals():
    x = tg.ones(2)
    raises(ValueError, "twice", dist.init_process_group, "mpi")
    raises(ValueError, "op must be one of", dist.all_reduce, x, "mean")
    raises(ValueError, "AVG is for floats", dist.all_reduce, tg.arange(3), dist.ReduceOp.AVG)
    raises(ValueError, f"a list of {SIZE} tensors", dist.all_gather, [x], x)
    raises(ValueError, "not in the group", dist.broadcast, x, SIZE)
    raises(TypeError, "must be Tensor", dist.all_reduce, np.ones(2))
    raises(ValueError, "different numbers below", dist.new_group, [0, SIZE])


def check_threads_are_shared_out():
    assert get_num_threads() == 1 or SIZE * get_num_threads() <= 64


# Training -----------------------------------------------------------------------------------------


def network(seed, norm=False):
    tg.manual_seed(seed)
    layers = [nn.Linear(6, 8), nn.BatchNorm1d(8) if norm else nn.Tanh(), nn.Linear(8, 3)]
    return nn.Sequential(*layers).double()


def batches(steps, size):
    rng = np.random.default_rng(5)
    for _ in range(steps):
        yield tg.tensor(rng.normal(size=(size, 6))), tg.tensor(rng.integers(0, 3, size))


def part(x, rank=None):
    each = len(x) // SIZE
    rank = RANK if rank is None else rank
    return x[rank * each : (rank + 1) * each]


def train(model, optimizer, steps=6, clip=0.3, mine=lambda x: x, first=0):
    for i, (x, y) in enumerate(batches(first + steps, 24)):
        if i < first:
            continue
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(mine(x)), mine(y)).backward()
        if hasattr(optimizer, "clip_grad_norm_"):
            optimizer.clip_grad_norm_(clip)
        elif clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
    return [p.detach().numpy().copy() for p in model.parameters()]


def close(a, b, tolerance=1e-12):
    return all(np.allclose(x, y, rtol=tolerance, atol=tolerance) for x, y in zip(a, b, strict=True))


def groups_of(model):
    return optim.param_groups_weight_decay(model, 0.1)


def check_training_is_that_of_one_process_on_the_whole_batch():
    for make in (lambda m: optim.AdamW(groups_of(m), lr=0.01), lambda m: optim.SGD(m.parameters())):
        alone = network(0)
        expected = train(alone, make(alone))
        copies = DistributedDataParallel(network(RANK))  # other ranks take over those of rank 0
        found = train(copies, make(copies), mine=part)
        assert close(found, expected)
        assert same_everywhere(found)
        assert next(iter(copies.state_dict())) == "module.0.weight"


def check_two_runs_have_the_same_bits():
    def one():
        model = DistributedDataParallel(network(0).float())
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        for x, y in batches(5, 24):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(part(x).float()), part(y)).backward()
            optimizer.step()
        return [p.detach().numpy().tobytes() for p in model.parameters()]

    assert one() == one()


def check_no_sync_adds_up():
    model = DistributedDataParallel(network(0))
    alone = network(0)
    for p in (*model.parameters(), *alone.parameters()):
        p.grad = None
    (x, y), (x2, y2) = batches(2, 24)
    loss = nn.functional.cross_entropy
    with model.no_sync():
        loss(model(part(x)), part(y)).backward()
        own = [None] * SIZE
        dist.all_gather_object(own, model.module[0].bias.grad.tolist())
        assert own[0] != own[1]
    loss(model(part(x2)), part(y2)).backward()
    (loss(alone(x), y) + loss(alone(x2), y2)).backward()
    found = [p.grad.numpy() for p in model.parameters()]
    assert close(found, [p.grad.numpy() for p in alone.parameters()])
    assert same_everywhere(found)


class Branches(nn.Module):
    """A network of which each rank may use another part."""

    def __init__(self):
        super().__init__()
        self.ways = nn.ModuleList([nn.Linear(3, 3) for _ in range(SIZE + 1)])

    def forward(self, x, way):
        return self.ways[way](x).sum()


def check_unused_parameters():
    model = DistributedDataParallel(Branches(), find_unused_parameters=True)
    x = tg.ones(2, 3)
    model(x, min(RANK, 1)).backward()
    for i, way in enumerate(model.module.ways):
        if i > 1:
            assert way.weight.grad is None  # nobody used it
        else:
            users = 1 if i == 0 else SIZE - 1
            assert np.allclose(way.weight.grad.numpy(), 2.0 * users / SIZE)
    model = DistributedDataParallel(Branches())
    model(x, 0).backward()
    raises(RuntimeError, "ways.1.weight, ways.1.bias", model, x, 0)


def check_buffers_are_those_of_rank_0():
    model = DistributedDataParallel(network(0, norm=True))
    alone = network(0, norm=True)
    for x, _ in batches(3, 24):
        model(part(x)).sum().backward()
        alone(part(x, 0)).sum().backward()
    model(part(x))  # takes over, then moves on by its own batch
    assert model.module[1].num_batches_tracked.item() == 4
    model.require_forward_param_sync = True
    with tg.no_grad():
        model.eval()
        model(part(x))
        model.train()
    alone(part(x, 0))
    assert close([model.module[1].running_var.numpy()], [alone[1].running_var.numpy()])
    own = DistributedDataParallel(network(0, norm=True), broadcast_buffers=False)
    own(part(x))
    own(part(x))
    found = [None] * SIZE
    dist.all_gather_object(found, own.module[1].running_mean.tolist())
    assert found[0] != found[1]


def check_sync_batch_norm():
    tg.manual_seed(0)
    whole = tg.randn(5 * SIZE + 1, 4, 3).double()
    start = RANK * 5
    mine = whole[start : start + 5 + (RANK == SIZE - 1)].clone().requires_grad_()  # uneven
    alone = nn.BatchNorm1d(4).double()
    nn.init.normal_(alone.weight)
    sync = nn.SyncBatchNorm.convert_sync_batchnorm(alone)
    reference = nn.BatchNorm1d(4).double()
    reference.load_state_dict(sync.state_dict())
    x = whole.clone().requires_grad_()
    weights = tg.randn(*whole.shape).double()
    for _ in range(2):
        mine.grad = x.grad = None
        for layer in (sync, reference):
            layer.zero_grad()
        y = sync(mine)
        expected = reference(x)
        own = slice(start, start + len(mine))
        assert close([y.detach().numpy()], [expected.detach().numpy()[own]], 1e-10)
        (y * weights[own]).sum().backward()
        (expected * weights).sum().backward()
        assert close([mine.grad.numpy()], [x.grad.numpy()[own]], 1e-10)
    for name in ("weight", "bias"):
        g = getattr(sync, name).grad.clone()
        dist.all_reduce(g)
        assert close([g.numpy()], [getattr(reference, name).grad.numpy()], 1e-10)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert close([getattr(sync, name).numpy()], [getattr(reference, name).numpy()], 1e-10)
    sync.eval()
    reference.eval()
    assert close([sync(mine).detach().numpy()], [reference(mine).detach().numpy()])


def check_uneven_inputs_join():
    model = DistributedDataParallel(network(RANK))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    alone = network(0)
    reference = optim.SGD(alone.parameters(), lr=0.1)
    data = list(batches(SIZE + 1, 4))
    count = RANK + 2  # the last has most
    loss = nn.functional.cross_entropy
    with model.join():
        for x, y in data[:count]:
            optimizer.zero_grad()
            loss(model(x + RANK), y).backward()
            optimizer.step()
    for i, (x, y) in enumerate(data):
        reference.zero_grad()
        for rank in range(SIZE):
            if i < rank + 2:
                (loss(alone(x + rank), y) / SIZE).backward()
        reference.step()
    found = [p.detach().numpy() for p in model.parameters()]
    assert close(found, [p.detach().numpy() for p in alone.parameters()])
    assert same_everywhere(found)

    def stops():
        with model.join(throw_on_early_termination=True):
            for x, y in data[:count]:
                loss(model(x), y).backward()

    raises(RuntimeError, "have no more batches", stops)


def check_copies_are_averaged_too():
    model = DistributedDataParallel(network(0))
    other = copy.deepcopy(model)
    average = optim.swa_utils.AveragedModel(model)
    for copied in (other, average.module):
        copied(tg.full((2, 6), float(RANK)).double()).sum().backward()
        assert same_everywhere([p.grad.numpy() for p in copied.parameters()])


def check_modules_that_differ():
    other = nn.Linear(3, 2 if RANK == 0 else 4)
    raises(RuntimeError, "rank 1 has weight (4, 3)", DistributedDataParallel, other)
    raises(RuntimeError, "is not needed", DistributedDataParallel, nn.ReLU())


def check_sparse_gradients_are_refused():
    table = nn.Embedding(5, 2, sparse=True)
    model = DistributedDataParallel(table)
    loss = model(tg.tensor([1, 2])).sum()
    raises(NotImplementedError, "the gradient of weight is row-sparse", loss.backward)


def check_a_compiled_step_stays_eager():
    model = DistributedDataParallel(network(0).float())
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @tg.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for x, y in batches(4, 24):
            step(part(x).float(), part(y))
    assert any("sends messages between processes" in str(w.message) for w in seen)
    assert same_everywhere([p.detach().numpy() for p in model.parameters()])


# Sharded state ------------------------------------------------------------------------------------

SHARED_OUT = {
    "AdamW": (optim.AdamW, dict(lr=0.01, weight_decay=0.1)),
    "SGD": (optim.SGD, dict(lr=0.1, momentum=0.9)),
    "NAdam": (optim.NAdam, dict(lr=0.01)),
    "RAdam": (optim.RAdam, dict(lr=0.01)),
    "cautious": (optim.AdamW, dict(lr=0.01, cautious=True)),
    "LAMB": (optim.LAMB, dict(lr=0.01)),
    "Adafactor": (optim.Adafactor, dict(lr=0.01)),
}


def check_sharded_steps_are_those_of_the_plain_optimizer():
    for name, (cls, settings) in SHARED_OUT.items():
        alone = network(0)
        plain = cls(alone.parameters(), **settings)
        expected = train(alone, plain)
        for averaged in (True, False):
            model = network(RANK if not averaged else 0)
            model = DistributedDataParallel(model) if averaged else model
            sharded = ZeroRedundancyOptimizer(model.parameters(), cls, **settings)
            found = train(model, sharded, mine=part)
            assert close(found, expected, 1e-10), (name, averaged)
            assert same_everywhere(found), name
        sharded.consolidate_state_dict(to=SIZE - 1)
        if RANK < SIZE - 1:
            raises(RuntimeError, "has not been consolidated", sharded.state_dict)
            continue
        saved = sharded.state_dict()
        for i, entry in plain.state_dict()["state"].items():
            assert list(entry) == list(saved["state"][i]), name
            for key, value in entry.items():
                assert close([value.numpy()], [saved["state"][i][key].numpy()], 1e-10), (name, key)
        cls(network(0).parameters(), **settings).load_state_dict(saved)


def check_sharded_state_is_small_and_goes_on():
    cls, settings = SHARED_OUT["AdamW"]
    alone = network(0)
    plain = cls(alone.parameters(), **settings)
    train(alone, plain, 3)
    loaded = network(0)
    loaded.load_state_dict(alone.state_dict())
    sharded = ZeroRedundancyOptimizer(loaded.parameters(), cls, **settings)
    sharded.load_state_dict(plain.state_dict())
    assert close(train(loaded, sharded, 3, mine=part, first=3), train(alone, plain, 3, first=3))
    held = sum(e["exp_avg"].array.size for e in sharded.state.values())
    everything = sum(p.array.size for p in loaded.parameters())
    assert held in (everything // SIZE, everything // SIZE + 1)


def check_sharded_groups():
    model = DistributedDataParallel(network(0))
    alone = network(0)
    plain = optim.AdamW(groups_of(alone), lr=0.01)
    sharded = ZeroRedundancyOptimizer(groups_of(model.module), optim.AdamW, lr=0.01)
    halving = [optim.lr_scheduler.StepLR(o, 2, 0.5) for o in (plain, sharded)]
    for _ in range(2):
        train(alone, plain, 2)
        train(model, sharded, 2, mine=part)
        for scheduler in halving:
            scheduler.step()
    assert close(*([p.detach().numpy() for p in m.parameters()] for m in (alone, model)))
    one = DistributedDataParallel(nn.Linear(1, 1, bias=False))  # fewer elements than ranks
    small = ZeroRedundancyOptimizer(one.parameters(), optim.SGD, lr=1.0)
    start = one.module.weight.item()
    one(tg.ones(1, 1)).backward()
    small.step()
    assert np.isclose(one.module.weight.item(), start - 1)
    raises(TypeError, "cannot be shared out", ZeroRedundancyOptimizer, model.parameters(),
           optim.LBFGS)  # fmt: skip


# Data, checkpoints --------------------------------------------------------------------------------


def check_data_is_shared_out():
    data = TensorDataset(tg.arange(30))
    sampler = DistributedSampler(data, seed=3)
    loader = DataLoader(data, batch_size=4, sampler=sampler)
    orders = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        mine = [i for (batch,) in loader for i in batch.tolist()]
        found = [None] * SIZE
        dist.all_gather_object(found, mine)
        assert len({len(f) for f in found}) == 1
        assert sorted({i for f in found for i in f}) == list(range(30))
        orders.append(found)
    assert orders[0] != orders[1]


def check_checkpoints():
    folder = [tempfile.mkdtemp() if RANK == 0 else None]
    dist.broadcast_object_list(folder)

    def parts():
        model = DistributedDataParallel(network(0))
        optimizer = ZeroRedundancyOptimizer(model.parameters(), optim.AdamW, lr=0.01)
        sampler = DistributedSampler(range(40))
        files = Checkpoints(folder[0], model=model, optimizer=optimizer, sampler=sampler)
        return model, optimizer, files

    model, optimizer, files = parts()
    assert files.restore() is None
    train(model, optimizer, 3, mine=part)
    tg.manual_seed(RANK)
    path = files.save(3, loss=0.5)
    assert (path is not None) == (RANK == 0)
    numbers = tg.randn(3).tolist()
    expected = train(model, optimizer, 2, mine=part, first=3)
    model, optimizer, files = parts()
    assert files.restore() == {"step": 3, "loss": 0.5}
    assert files.steps() == [3]
    assert tg.randn(3).tolist() == numbers
    found = train(model, optimizer, 2, mine=part, first=3)
    assert all((a == b).all() for a, b in zip(found, expected, strict=True))
    raises(FileNotFoundError, "step-000000099", files.restore, 99)


def main():
    """Run the checks named, or all."""
    global RANK, SIZE
    dist.init_process_group("mpi")
    RANK, SIZE = dist.get_rank(), dist.get_world_size()
    names = sys.argv[1:] or [name for name in globals() if name.startswith("check_")]
    for name in names:
        fault = None
        try:
            globals()[name]()
        except Exception:
            fault = traceback.format_exc()
        faults = [None] * SIZE
        dist.all_gather_object(faults, fault)
        if RANK == 0:
            print("\n" + json.dumps({name: [f for f in faults if f]}), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
