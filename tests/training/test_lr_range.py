"""The range test: its numbers, and that nothing of it is left behind."""

import copy

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.training import LRRange, lr_range_test
from tinygrad_opt.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

mpl.use("agg")


class Setup:
    """A model with everything that changes in training, an optimizer with state, a loader."""

    def __init__(self, make=lambda p: optim.Adam(p, lr=0.01), warm=2):
        tg.manual_seed(2)
        self.model = nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 1)
        )
        groups = [{"params": self.model[:2].parameters()}, {"params": self.model[4].parameters()}]
        self.optimizer = make(groups)
        x = tg.randn(32, 3)
        data = TensorDataset(x, x.sum(1, keepdim=True))
        own = tg.Generator().manual_seed(4)
        self.loader = DataLoader(data, batch_size=8, shuffle=True, generator=own)
        self.criterion = nn.MSELoss()
        self.train(warm)
        self.model[1].eval()  # modes differ

    def train(self, epochs):
        self.model.train()
        for _ in range(epochs):
            for x, y in self.loader:
                self.optimizer.step(lambda x=x, y=y: self.loss(x, y))

    def loss(self, x, y):
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(x), y)
        loss.backward()
        return loss

    def range_test(self, **options):
        options = dict(steps=30) | options
        return lr_range_test(self.model, self.criterion, self.optimizer, self.loader, **options)

    def everything(self):
        return copy.deepcopy(
            [
                [(n, x.numpy()) for n, x in self.model.state_dict().items()],
                [None if p.grad is None else p.grad.numpy() for p in self.model.parameters()],
                [module.training for module in self.model.modules()],
                repr(self.optimizer.state_dict()),
                tg.get_rng_state().tolist(),
                self.loader.generator.get_state().tolist(),
                self.optimizer._opt_called,
            ]
        )


def assert_same(one, other):
    np.testing.assert_equal(one, other)


OPTIMIZERS = {
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "fresh": lambda p: optim.Adam(p, lr=0.01),
    "momentum": lambda p: optim.SGD(p, lr=0.01, momentum=0.9),
    "tensor rate": lambda p: optim.SGD(p, lr=tg.tensor(0.01)),
    "closure": lambda p: optim.LBFGS([x for g in p for x in g["params"]], lr=0.1, max_iter=2),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_everything_is_put_back(name):
    setup = Setup(OPTIMIZERS[name], warm=0 if name == "fresh" else 2)
    before = setup.everything()
    found = setup.range_test(end=1.0)
    assert type(found) is LRRange
    assert len(found.losses) > 5
    assert_same(setup.everything(), before)
    setup.train(2)
    after = setup.everything()
    other = Setup(OPTIMIZERS[name], warm=0 if name == "fresh" else 2)
    other.train(2)
    assert_same(after, other.everything())  # training goes on with the same bits


def test_twice_it_says_the_same_twice():
    setup = Setup()
    before = setup.everything()
    first, second = setup.range_test(), setup.range_test()
    assert first == second
    assert_same(setup.everything(), before)


class Exchanging(nn.Module):
    """A layer, or a loss, that puts a new tensor in the place of its buffer at each call."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", tg.zeros(1))
        self.register_buffer("last", None)
        self.register_buffer("kept_out", tg.zeros(1), persistent=False)
        self.scale = nn.Parameter(tg.ones(1))

    def forward(self, output, target=None):
        self.seen = self.seen + 1
        self.last, self.kept_out = self.seen * 2, self.seen * 3
        output = output * self.scale
        return output if target is None else ((output - target) ** 2).mean()


def test_exchanged_buffers_and_those_of_the_loss_are_put_back():
    setup = Setup(warm=0)
    setup.model.append(Exchanging())
    setup.criterion = Exchanging().eval()
    parts = [setup.model[-1], setup.criterion]
    setup.optimizer.add_param_group({"params": setup.criterion.parameters()})
    held = [(part.seen, part.kept_out, part.scale) for part in parts]
    setup.range_test()
    for part, (seen, kept_out, scale) in zip(parts, held, strict=True):
        assert (part.seen is seen, part.kept_out is kept_out, part.scale is scale) == (True,) * 3
        assert [seen.item(), kept_out.item(), scale.item(), part.last] == [0, 0, 1, None]
        assert list(part.state_dict()) == ["scale", "seen"]
    assert not setup.criterion.training


@pytest.mark.parametrize("where", ["sampler", "batch sampler", "loader"])
def test_generators_of_samplers_are_put_back(where):
    setup, own = Setup(), tg.Generator().manual_seed(8)
    data = setup.loader.dataset
    sampler = RandomSampler(data, generator=own)
    options = {
        "sampler": dict(batch_size=8, sampler=sampler),
        "batch sampler": dict(batch_sampler=BatchSampler(sampler, 8, False)),
        "loader": dict(batch_size=8, shuffle=True, generator=own),
    }[where]
    setup.loader = DataLoader(data, **options)
    before = own.get_state()
    setup.range_test()
    assert tg.equal(own.get_state(), before)


def test_schedule_free_optimizers_keep_their_mode():
    for mode in ("train", "eval"):
        setup = Setup(lambda p: optim.AdamWScheduleFree(p, lr=0.01), warm=0)
        setup.optimizer.train()
        setup.train(2)
        getattr(setup.optimizer, mode)()
        before = setup.everything()
        setup.range_test()
        assert_same(setup.everything(), before)
        assert (setup.optimizer._watch is None) == (mode == "eval")


class Fuse(nn.Module):
    """A loss that fails after so many calls."""

    def __init__(self, calls, error):
        super().__init__()
        self.calls, self.error = calls, error

    def forward(self, output, target):
        self.calls -= 1
        if self.calls < 0:
            raise self.error
        return ((output - target) ** 2).mean()


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt()], ids=["error", "^C"])
@pytest.mark.parametrize("calls", [0, 1, 7])
def test_everything_is_put_back_after_an_exception(error, calls):
    setup = Setup()
    before = setup.everything()
    setup.criterion = Fuse(calls, error)
    with pytest.raises(type(error)):
        setup.range_test()
    assert_same(setup.everything(), before)


def test_an_interruption_while_things_are_put_back():
    setup = Setup()
    before = setup.everything()
    load, calls = setup.optimizer.load_state_dict, []

    def interrupted(state):
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        load(state)

    setup.optimizer.load_state_dict = interrupted
    with pytest.raises(KeyboardInterrupt):
        setup.range_test()
    assert_same(setup.everything(), before)


def test_the_rates_and_the_losses():
    w = nn.Linear(1, 1, bias=False)
    w.weight.data.fill_(1.0)
    sgd = optim.SGD(w.parameters(), lr=3.0)
    x = tg.ones(1, 1)
    found = lr_range_test(
        w, nn.MSELoss(), sgd, [(x, x * 0)], start=1e-3, end=0.1, steps=3, smoothing=0.5
    )
    assert found.lrs == pytest.approx([1e-3, 1e-2, 1e-1])
    weight = [1.0, 1.0 * (1 - 2e-3), (1 - 2e-3) * (1 - 2e-2)]  # gradient descent on w^2
    losses = [value**2 for value in weight]
    assert found.losses == pytest.approx(losses, rel=1e-6)
    expected = [losses[0], (losses[0] + 2 * losses[1]) / 3]
    expected.append((losses[0] + 2 * losses[1] + 4 * losses[2]) / 7)
    assert found.smoothed == pytest.approx(expected, rel=1e-6)


def test_the_suggestion_is_the_steepest_place():
    found = Setup(warm=0).range_test(steps=60, start=1e-5)
    slopes = np.gradient(found.smoothed)[1 : int(np.argmin(found.smoothed))]
    assert found.suggested_lr == found.lrs[1 + int(np.argmin(slopes))]
    assert found.suggested_lr < found.lrs[int(np.argmin(found.smoothed))]


def test_it_ends_where_the_loss_explodes():
    found = Setup(lambda p: optim.SGD(p, lr=0.1), warm=0).range_test(end=1e4, steps=50)
    assert len(found.lrs) == len(found.losses) == len(found.smoothed) < 50
    later = Setup(lambda p: optim.SGD(p, lr=0.1), warm=0).range_test(end=1e4, steps=50, stop_at=1e6)
    assert len(later.losses) > len(found.losses)
    assert np.isfinite(later.smoothed).all()


def test_groups_keep_their_ratios():
    a, b = (nn.Linear(1, 1, bias=False) for _ in range(2))
    optimizer = optim.SGD(
        [{"params": a.parameters(), "lr": 0.2}, {"params": b.parameters(), "lr": 0.1}]
    )
    seen = []
    optimizer.register_step_pre_hook(
        lambda o, args, kwargs: seen.append([group["lr"] for group in o.param_groups])
    )
    x = tg.ones(1, 1)
    model = nn.Sequential(a, b)
    lr_range_test(model, nn.MSELoss(), optimizer, [(x, x)], start=1e-3, end=1e-1, steps=3)
    assert np.array(seen) == pytest.approx(np.array([[1e-3, 5e-4], [1e-2, 5e-3], [1e-1, 5e-2]]))
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.1]


def test_no_suggestion_where_nothing_falls():
    x = tg.ones(1, 1)
    model = nn.Linear(1, 1)
    found = lr_range_test(
        model, lambda y, t: (y * 0).sum() + 1, optim.SGD(model.parameters(), lr=1.0), [(x, x)],
        steps=9,
    )  # fmt: skip
    assert found.suggested_lr is None
    assert "suggested" not in str(found.plot(Figure().subplots()).get_legend_handles_labels())


def test_mistakes():
    setup = Setup()
    for options in (dict(start=0.0), dict(start=2.0, end=1.0), dict(steps=1), dict(smoothing=1.0)):
        with pytest.raises(ValueError, match="lr_range_test: 0 < start < end, steps >= 2"):
            setup.range_test(**options)
    setup.loader = iter([])
    with pytest.raises(ValueError, match="there are no more batches"):
        setup.range_test()
    lazy = nn.LazyLinear(1)
    with pytest.raises(ValueError, match=r"LazyLinear has lazy parameters, .* call the model once"):
        lr_range_test(lazy, setup.criterion, optim.SGD(lazy.parameters()), [(1, 2)])


def test_the_picture():
    found = Setup(warm=0).range_test(start=1e-4, steps=60)
    assert found.suggested_lr is not None
    ax = Figure().subplots()
    assert found.plot(ax) is ax
    raw, smoothed, mark = ax.lines
    assert list(raw.get_ydata()) == found.losses
    assert list(smoothed.get_ydata()) == found.smoothed
    assert list(mark.get_xdata()) == [found.suggested_lr]
    assert ax.get_xscale() == "log"
