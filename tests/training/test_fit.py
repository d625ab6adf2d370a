"""The training helper: the same bits as a loop by hand, and what it takes care of."""

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau
from tinygrad_opt.training import Callback, Run, accuracy, evaluate, fit
from tinygrad_opt.utils.data import DataLoader, TensorDataset


def problem(n=20, seed=0):
    """Inputs (n, 3), and their classes 0 and 1."""
    x = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    return tg.tensor(x), tg.tensor((x.sum(1) > 0).astype(np.int64))


def network():
    tg.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 2))


def weights(model):
    return [p.detach().numpy().copy() for p in model.parameters()]


def assert_same_bits(model, other):
    for ours, theirs in zip(weights(model), weights(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def loader_of(data, **options):
    return DataLoader(TensorDataset(*data), batch_size=8, **options)


@pytest.mark.parametrize("per", ["epoch", "step"])
def test_it_does_what_a_loop_does(per):
    x, y = problem()
    by_hand, criterion = network(), nn.CrossEntropyLoss()
    optimizer = optim.Adam(by_hand.parameters(), lr=0.05)
    scheduler = ExponentialLR(optimizer, 0.9)
    losses, rates = [], []
    for _ in range(3):
        total = 0.0
        rates.append(optimizer.param_groups[0]["lr"])
        for a, b in loader_of((x, y), shuffle=True):
            optimizer.zero_grad()
            loss = criterion(by_hand(a), b)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(a)
            if per == "step":
                scheduler.step()
        losses.append(total / 20)
        if per == "epoch":
            scheduler.step()

    model = network()
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    history = fit(
        model, criterion, optimizer, loader_of((x, y), shuffle=True), 3,
        scheduler=ExponentialLR(optimizer, 0.9), scheduler_per=per,
    )  # fmt: skip
    assert_same_bits(model, by_hand)
    assert history["loss"] == pytest.approx(losses, rel=1e-12)
    assert history["lr"] == rates
    assert history["epoch"] == [1, 2, 3]
    assert history["step"] == [3, 6, 9]


def test_accumulated_batches_are_one_batch():
    x, y = problem()
    ends = [(0, 8), (8, 14), (14, 20)]
    parts = [(x[a:b], y[a:b]) for a, b in ends]
    models = []
    for batches, accumulate in [([(x, y)], 1), (parts, 3), (parts, 5), (parts, 1)]:
        model = network().eval()
        optimizer = optim.SGD(model.parameters(), lr=0.5)
        frozen = Frozen()
        history = fit(
            model, nn.CrossEntropyLoss(), optimizer, batches, accumulate=accumulate,
            callbacks=[frozen],
        )  # fmt: skip
        models.append((weights(model), history["loss"][0], history["step"][0]))
    for others, loss, steps in models[1:3]:
        assert steps == 1
        assert loss == pytest.approx(models[0][1], rel=1e-6)
        for a, b in zip(others, models[0][0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert models[3][2] == 3
    assert not np.allclose(models[3][0][0], models[0][0][0], rtol=1e-4)


class Frozen(Callback):
    """Keeps the whole model in eval mode, as one does with single layers."""

    def start(self, run):
        run.model.eval()


def test_means_are_over_samples_not_batches():
    x = tg.tensor([[1.0], [1.0], [4.0]])
    batches = [(x[:2], x[:2] * 0), (x[2:], x[2:] * 0)]
    found = evaluate(nn.Identity(), nn.MSELoss(), batches, {"largest": lambda y, t: y.max()})
    assert found == {"loss": (1 + 1 + 16) / 3, "largest": (1 + 1 + 4) / 3}


def test_validation_sees_eval_mode_and_leaves_modes_alone():
    x, y = problem()
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    seen = []
    model[2].register_forward_pre_hook(lambda m, a: seen.append((m.training, tg.is_grad_enabled())))

    class FreezeNorm(Callback):
        def start(self, run):
            run.model[1].eval()

    before = model[1].running_mean.clone()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    history = fit(
        model, nn.CrossEntropyLoss(), optimizer, [(x, y)], 2, validation=[(x, y)],
        metrics={"accuracy": accuracy}, callbacks=[FreezeNorm()],
    )  # fmt: skip
    assert seen == [(True, True), (False, False)] * 2
    assert [m.training for m in model] == [True, False, True, True]
    assert model[1].running_mean.tolist() == before.tolist()
    model.eval()
    expected = (model(x).argmax(1) == y).float().mean().item()
    assert history["val_accuracy"][-1] == pytest.approx(expected)
    assert set(history.names) == {
        "epoch", "step", "lr", "loss", "accuracy", "val_loss", "val_accuracy",
    }  # fmt: skip


def test_a_plateau_is_shown_the_validation_loss():
    x, y = problem()
    for validation, falls in [(None, False), ([(x, 1 - y)], True)]:
        model = network().eval()
        optimizer = optim.SGD(model.parameters(), lr=0.2)
        scheduler = ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
        history = fit(
            model, nn.CrossEntropyLoss(), optimizer, [(x, y)], 6, scheduler=scheduler,
            validation=validation, callbacks=[Frozen()],
        )  # fmt: skip
        # The training loss falls all the time; that of turned-round labels rises.
        assert (history["lr"][-1] < 0.2) is falls


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.LBFGS(p, lr=0.5, max_iter=5),
        lambda p: optim.AdamWScheduleFree(p, lr=0.05),
        lambda p: optim.Muon([x for x in p if x.ndim == 2], lr=0.05),
    ],
    ids=["closure", "modes", "matrices"],
)
def test_optimizers_of_every_kind(make):
    x, y = problem()
    model = network()
    model[1].p = 0.0
    optimizer = make(list(model.parameters()))
    batches = [(x, y)]  # whole, and without dropout: L-BFGS needs the same function at each step
    history = fit(
        model, nn.CrossEntropyLoss(), optimizer, batches, 15, validation=batches, metrics={
            "accuracy": accuracy
        },
    )  # fmt: skip
    assert history["val_loss"][-1] < 0.75 * history["val_loss"][0]
    # What is left in the model is what the last validation judged.
    again = evaluate(model, nn.CrossEntropyLoss(), batches)
    assert again["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-6)


def test_several_inputs_and_numpy_batches():
    class Adds(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 1)

        def forward(self, a, b):
            return self.layer(a + b)

    a, b = np.ones((4, 2), np.float32), np.zeros((4, 2), np.float32)
    model = Adds()
    batches = [(a, b, np.full((4, 1), 3, np.float32))]
    history = fit(model, nn.MSELoss(), optim.SGD(model.parameters(), 0.1), batches, 40)
    assert history["loss"][-1] < 1e-3


def test_callbacks_hear_of_everything_in_order():
    heard = []

    class Ear(Callback):
        def __getattribute__(self, name):
            if name.startswith("__") or name == "evaluating":
                return super().__getattribute__(name)
            return lambda run: heard.append(f"{name} {run.epoch} {run.step}")

    x, y = problem(8)
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    fit(model, nn.CrossEntropyLoss(), optimizer, [(x, y)], 2, callbacks=[Ear()])
    one = ["before_epoch 0 0", "before_step 0 0", "after_step 0 1", "evaluated 1 1",
           "after_epoch 1 1"]  # fmt: skip
    two = ["before_epoch 1 1", "before_step 1 1", "after_step 1 2", "evaluated 2 2",
           "after_epoch 2 2"]  # fmt: skip
    assert heard == ["start 0 0", *one, *two, "end 2 2"]


def test_stop_ends_before_the_next_epoch():
    class Enough(Callback):
        def after_epoch(self, run):
            assert type(run) is Run
            run.stop = run.epoch == 2

    x, y = problem(8)
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    assert len(fit(model, nn.CrossEntropyLoss(), optimizer, [(x, y)], 9, callbacks=[Enough()])) == 2


def test_mistakes():
    x, y = problem(8)
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    start = model, nn.CrossEntropyLoss(), optimizer
    with pytest.raises(ValueError, match=r"scheduler_per must be .*, got 'batch'"):
        fit(*start, [(x, y)], scheduler_per="batch")
    with pytest.raises(ValueError, match=r"accumulate must be at least 1, got 0"):
        fit(*start, [(x, y)], accumulate=0)
    with pytest.raises(ValueError, match=r"no batches in epoch 2.*gone through once"):
        fit(*start, iter([(x, y)]), 2)
    with pytest.raises(ValueError, match="evaluate: the loader gave no batches"):
        evaluate(*start[:2], [])
    with pytest.raises(ValueError, match=r"a tuple \(inputs..., target\), but is a Tensor"):
        fit(*start, [x])
