"""A program that no launcher started: a group of one process, without mpi4py."""

import datetime
import json
import socket
import sys

import numpy as np
import pytest
from threads import together

import tinygrad_opt as tg
import tinygrad_opt.distributed as dist
from tinygrad_opt import nn, optim
from tinygrad_opt.distributed import launch, witness
from tinygrad_opt.distributed.batchnorm import _moments
from tinygrad_opt.distributed.checkpoints import Checkpoints
from tinygrad_opt.distributed.line import Line, invite
from tinygrad_opt.distributed.optim import ZeroRedundancyOptimizer
from tinygrad_opt.distributed.shards import cut_at_parameters
from tinygrad_opt.nn.parallel import DistributedDataParallel
from tinygrad_opt.utils.data import DistributedSampler


@pytest.fixture
def alone(monkeypatch):
    for name in (*launch._RANKS, *launch._SIZES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(launch, "is_launched", lambda: False)
    dist.init_process_group("mpi")
    yield
    dist.destroy_process_group()


def test_before_and_after(monkeypatch):
    assert dist.is_available()
    assert not dist.is_initialized()
    with pytest.raises(ValueError, match="has not been initialized"):
        dist.get_rank()
    with pytest.raises(ValueError, match="has not been initialized"):
        DistributedDataParallel(nn.Linear(1, 1))
    dist.destroy_process_group()
    monkeypatch.setattr(launch, "is_launched", lambda: False)
    for backend, text in (("gloo", "it is 'mpi' here"), ("ucc", "must be 'mpi' or 'nccl'")):
        with pytest.raises(ValueError, match=text):
            dist.init_process_group(backend)
    with pytest.raises(ValueError, match="world_size=4, but the launcher says 1"):
        dist.init_process_group(world_size=4)
    with pytest.raises(ValueError, match="find each other through mpiexec"):
        dist.init_process_group("mpi", init_method="tcp://localhost:1")
    assert not dist.is_initialized()


def test_it_asks_for_mpi4py_where_it_was_launched(monkeypatch):
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)
    with pytest.raises(ImportError, match=r"needs mpi4py: pip install 'tinygrad_opt\[mpi\]'"):
        dist.init_process_group("mpi")
    assert not dist.is_initialized()
    monkeypatch.setenv("PMI_SIZE", "1")  # nothing is needed for one
    dist.init_process_group(timeout=datetime.timedelta(seconds=5), rank=0, world_size=1)
    dist.destroy_process_group()


@pytest.mark.usefixtures("alone")
def test_collectives_of_one():
    assert (dist.get_rank(), dist.get_world_size(), dist.get_backend()) == (0, 1, "mpi")
    x = tg.tensor([1.0, 2.0])
    for call in (dist.all_reduce, dist.broadcast, dist.reduce):
        call(x)
    assert x.tolist() == [1.0, 2.0]
    rows, out = [tg.zeros(2)], tg.zeros(2)
    dist.all_gather(rows, x)
    dist.reduce_scatter(out, [x], dist.ReduceOp.AVG)
    assert rows[0].tolist() == out.tolist() == [1.0, 2.0]
    found = [None]
    dist.all_gather_object(found, "a")
    dist.barrier()
    assert found == ["a"]
    assert dist.get_world_size(dist.new_group([0])) == 1
    assert dist.get_rank(dist.new_group([])) == -1
    with pytest.raises(TypeError, match="group must be a ProcessGroup"):
        dist.all_reduce(x, group=3)


@pytest.mark.usefixtures("alone")
def test_a_training_script_is_unchanged(tmp_path):
    def run(wrap, make):
        tg.manual_seed(0)
        model = wrap(nn.Sequential(nn.Linear(4, 8), nn.SyncBatchNorm(8), nn.Linear(8, 2)))
        optimizer = make(model.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            model(tg.randn(6, 4)).square().sum().backward()
            optimizer.step()
        return optimizer, [p.detach().numpy() for p in model.parameters()]

    plain, expected = run(lambda m: m, lambda p: optim.AdamW(p, lr=0.1))
    sharded, found = run(
        DistributedDataParallel, lambda p: ZeroRedundancyOptimizer(p, optim.AdamW, lr=0.1)
    )
    assert all((a == b).all() for a, b in zip(found, expected, strict=True))
    sharded.consolidate_state_dict()
    assert str(sharded.state_dict()) == str(plain.state_dict())
    sharded.load_state_dict(plain.state_dict())
    files = Checkpoints(tmp_path, optimizer=sharded)
    files.save(1)
    assert files.restore() == {"step": 1}
    assert files.steps() == [1]
    with pytest.raises(TypeError, match="must be a class of optimizers"):
        ZeroRedundancyOptimizer([tg.ones(1, requires_grad=True)], "AdamW")
    assert optim.ZeroRedundancyOptimizer is ZeroRedundancyOptimizer


@pytest.mark.usefixtures("alone")
def test_one_process_does_next_to_nothing_more(monkeypatch):
    # No hooks of all modules, as optimizers of other tests have them until they are collected.
    monkeypatch.setattr("tinygrad_opt.nn.module.everywhere", {})
    layer = nn.Linear(2, 2)
    model, x = DistributedDataParallel(layer), tg.ones(1, 2)

    def calls(function):
        """How many functions of Python run."""
        events = []
        sys.setprofile(lambda frame, event, arg: events.append(event))
        try:
            function(x)
        finally:
            sys.setprofile(None)
        return events.count("call")

    calls(model)
    assert calls(model) - calls(layer) <= 4


# Data ---------------------------------------------------------------------------------------------


def test_the_sampler_shares_out_every_item():
    for n, ranks, drop in ((10, 3, False), (10, 3, True), (2, 5, False), (9, 3, False)):
        parts = [DistributedSampler(range(n), ranks, r, drop_last=drop) for r in range(ranks)]
        found = [list(part) for part in parts]
        assert {len(f) for f in found} == {len(parts[0])}
        together = [i for f in zip(*found, strict=True) for i in f]
        assert len(together) == parts[0].total_size
        if not drop:
            assert set(together) == set(range(n))
        assert len(set(together[:n])) == min(n, len(together))
    with pytest.raises(ValueError, match=r"Invalid rank 3, rank should be in the interval \[0, 2"):
        DistributedSampler(range(4), 3, 3)


def test_the_sampler_goes_on_with_another_number_of_processes():
    before = [DistributedSampler(range(23), 2, r, seed=1) for r in range(2)]
    whole = list(zip(*before, strict=True))
    for part in before:
        part.set_epoch(0)
    running = [iter(part) for part in before]
    seen = [next(r) for _ in range(4) for r in running]
    state = before[0].state_dict()
    assert state == before[1].state_dict() == before[0].state_dict(taken=4)
    after = [DistributedSampler(range(23), 3, r) for r in range(3)]
    for part in after:
        part.load_state_dict(state)
        part.set_epoch(0)  # as scripts do
    rest = [i for group in zip(*after, strict=True) for i in group]
    assert (seen + rest)[:23] == [i for pair in whole for i in pair][:23]
    again = [list(part) for part in after]  # the next epoch begins at its beginning
    assert sum(map(len, again)) == 24
    after[0].set_epoch(1)
    assert list(after[0]) != again[0]
    with pytest.raises(ValueError, match="a sampler of 5 items"):
        DistributedSampler(range(5)).load_state_dict(state)


# Parts of a job -----------------------------------------------------------------------------------


def test_shares_of_cores():
    assert launch.share_of_cores([0, 1, 2, 3], [[0, 1, 2, 3]]) == 2
    assert launch.share_of_cores([0, 1, 2, 3], []) == 4
    assert launch.share_of_cores([0], [[0], [0]]) == 1
    assert launch.share_of_cores([0, 1], [[2, 3]]) == 2  # bound by the launcher


def test_cutting_between_parameters():
    assert cut_at_parameters([0, 4, 10, 12], 2) == [0, 4, 12]
    assert cut_at_parameters([0, 100], 3) == [0, 0, 100, 100]


class Peer:
    """A rank, as the witness sees it."""

    def __init__(self, rank, invitation):
        self.socket = socket.create_connection(("127.0.0.1", invitation["port"]))
        self.lines = self.socket.makefile("r")
        self.say(token=invitation["token"], rank=rank, place=f"machine {rank}")

    def say(self, **message):
        self.socket.sendall(json.dumps(message).encode() + b"\n")

    def wait_at(self, call, what):
        self.say(at={"group": "world", "ranks": [0, 1, 2], "call": call, "what": what})

    def hears(self):
        return json.loads(self.lines.readline())

    def ends(self):
        self.lines.close()
        self.socket.close()


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("dies", "rank 1 (machine 1) died: its process was killed, or has crashed"),
        ("raises", "rank 1 (machine 1) stopped: ValueError: no"),
        ("differs", "rank 0 waits in call 4, all_reduce, and rank 1 waits in call 4, barrier"),
    ],
)
def test_the_witness_tells_who_is_gone(how, text, capfd):
    invitation = invite(3, near=True)
    stranger = socket.create_connection(("127.0.0.1", invitation["port"]))
    stranger.sendall(b'{"token": "guessed", "rank": 1, "place": ""}\n')
    assert stranger.recv(1) == b""  # it is sent away
    stranger.close()
    peers = [Peer(rank, invitation) for rank in (0, 1)]
    peers[0].wait_at(4, "all_reduce")
    if how == "dies":
        peers[1].ends()
    elif how == "raises":
        peers[1].say(failed="ValueError: no")
    else:
        peers[1].wait_at(4, "barrier")
    assert text in peers[0].hears()["stop"]
    peers.append(Peer(2, invitation))  # who comes late is told, too
    assert text in peers[2].hears()["stop"]
    assert text in capfd.readouterr().err  # and whoever reads the job's errors
    for peer in peers:
        peer.ends()


def test_the_witness_lets_a_job_end():
    invitation = invite(2, near=True)
    peers = [Peer(rank, invitation) for rank in (0, 1)]
    peers[0].wait_at(7, "all_reduce")
    peers[0].say(on=True)
    for peer in peers:
        peer.say(left=True)
    assert [peer.hears() for peer in peers] == [{"all_left": True}] * 2
    for peer in peers:
        peer.ends()


def test_a_line_without_a_witness():
    with pytest.raises(dist.DistNetworkError, match="cannot reach the witness"):
        Line(0, {"addresses": ["127.0.0.1"], "port": 9, "token": "x"})


def test_the_witness_needs_nothing_but_the_standard_library():
    names = {"json", "os", "selectors", "signal", "socket", "sys", "time", "contextlib"}
    found = set(vars(witness)) & set(sys.modules)
    assert found <= names


def test_moments_of_parts_make_those_of_the_whole():
    x = np.random.default_rng(0).normal(3, 2, (11, 4, 5))
    cuts = [0, 3, 3, 11]  # one rank has nothing

    def work(group):
        return _moments(x[cuts[group.rank()] : cuts[group.rank() + 1]], group)

    for n, mean, var in together(3, work):
        assert n == 55
        assert np.allclose(mean, x.mean(axis=(0, 2)))
        assert np.allclose(var, x.var(axis=(0, 2)))
