"""Checkpoints of a run: what is kept, what comes back, and what happens to damaged ones."""

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.checkpoints import CheckpointError, Checkpoints
from tinygrad_opt.optim.lr_scheduler import CosineAnnealingLR


class Run:
    """A model that trains on random numbers, and all that belongs to it."""

    def __init__(self, folder, **kwargs):
        tg.manual_seed(5)
        self.model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
        self.optimizer = optim.AdamW(self.model.parameters(), lr=0.1)
        self.scheduler = CosineAnnealingLR(self.optimizer, T_max=20)
        self.checkpoints = Checkpoints(
            folder, model=self.model, optimizer=self.optimizer, scheduler=self.scheduler, **kwargs
        )

    def train(self, steps):
        for _ in range(steps):
            self.optimizer.zero_grad()
            (self.model(tg.randn(5, 3)) ** 2).mean().backward()
            self.optimizer.step()
            self.scheduler.step()

    def weights(self):
        return [p.detach().numpy().copy() for p in self.model.parameters()]


def test_a_restored_run_goes_on_with_the_same_bits(tmp_path):
    run = Run(tmp_path)
    run.train(4)
    run.checkpoints.save(4, best=0.25)
    run.train(6)
    again = Run(tmp_path)
    assert again.checkpoints.restore() == {"step": 4, "best": 0.25}
    again.train(6)
    for ours, expected in zip(again.weights(), run.weights(), strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert again.optimizer.param_groups[0]["lr"] == run.optimizer.param_groups[0]["lr"]


def test_nothing_to_restore(tmp_path):
    assert Run(tmp_path / "new").checkpoints.restore() is None


@pytest.mark.parametrize(("keep", "left"), [(1, [5]), (3, [3, 4, 5]), (None, [1, 2, 3, 4, 5])])
def test_the_newest_are_kept(keep, left, tmp_path):
    run = Run(tmp_path, keep=keep)
    for step in range(1, 6):
        run.checkpoints.save(step)
    assert run.checkpoints.steps() == left
    run.checkpoints.save(left[-1])  # the same step again replaces it
    assert run.checkpoints.steps() == left


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    run = Run(tmp_path)
    (tmp_path / ".step-000000001.safetensors.99.tmp").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    run.checkpoints.save(1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.txt", "step-000000001.safetensors"]


def test_a_damaged_newest_file_is_passed_over(tmp_path):
    run = Run(tmp_path)
    for step in (1, 2):
        run.train(1)
        path = run.checkpoints.save(step)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.warns(UserWarning, match=r"step-000000002.safetensors cannot be loaded.*before"):
        assert Run(tmp_path).checkpoints.restore() == {"step": 1}
    with pytest.raises(CheckpointError, match="step-000000002"):
        run.checkpoints.restore(step=2)
    run.checkpoints._path(1).write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="cannot be loaded"),
        pytest.raises(CheckpointError, match="step-000000002"),
    ):
        run.checkpoints.restore()


def test_a_state_that_does_not_fit_changes_nothing(tmp_path):
    run = Run(tmp_path)
    run.train(2)
    run.checkpoints.save(2)
    other = Run(tmp_path / "other")
    optimizer = optim.SGD([tg.ones(2, requires_grad=True)], lr=0.5)
    mixed = Checkpoints(tmp_path, model=other.model, optimizer=optimizer, scheduler=other.scheduler)
    before = other.weights()
    with pytest.raises(ValueError, match=r"SGD: .*doesn't match the size"):
        mixed.restore()
    for now, then in zip(other.weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_a_part_that_was_not_saved_is_named(tmp_path):
    run = Run(tmp_path)
    run.checkpoints.save(1)
    with pytest.raises(CheckpointError, match="has no ema; it has model, optimizer, scheduler"):
        Checkpoints(tmp_path, ema=run.model).restore()


def test_mistakes(tmp_path):
    with pytest.raises(ValueError, match="keep must be at least 1, or None for all, got 0"):
        Checkpoints(tmp_path, keep=0)
    with pytest.raises(TypeError, match=r"step must have state_dict\(\).* is a int.* save\(step"):
        Checkpoints(tmp_path, step=3)
    with pytest.raises(FileNotFoundError):
        Run(tmp_path).checkpoints.restore(step=77)
