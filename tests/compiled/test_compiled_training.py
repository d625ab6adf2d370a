"""Compiled steps against eager ones: the same losses, parameters, gradients and statistics.

Many activations, losses or optimizers stand in one step, so that it is compiled once for all.
"""

import copy

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.compiled import compile
from tinygrad_opt.nn import functional as F
from tinygrad_opt.optim import lr_scheduler

LIMITS = {"float64": 1e-12, "float32": 1e-5}


def close(a, b, limit, what=""):
    a, b = (np.asarray(x.detach().numpy() if hasattr(x, "detach") else x) for x in (a, b))
    np.testing.assert_allclose(b, a, rtol=limit, atol=limit, err_msg=what)


class Task:
    """A model, optimizers and a step on them, made twice: run eagerly, and compiled."""

    def __init__(self, model, optimizers, loss, schedulers=(), clip=None, dtype="float64"):
        self.model = model.to(getattr(tg, dtype))
        self.optimizers = optimizers(self.model)
        self.schedulers = [make(o) for make, o in zip(schedulers, self.optimizers, strict=False)]
        self.loss, self.clip = loss, clip

    def step(self, x, y):
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        if self.clip:
            self.clip(self.model.parameters())
        for optimizer in self.optimizers:
            optimizer.step()
        for scheduler in self.schedulers:
            scheduler.step()
        return loss


def run_both(make, batches, steps=20, limit=1e-12, states=True):
    """Train two of a kind, one eagerly and one compiled, on the same random stream."""
    eager, compiled = make(), make()
    step = compile(compiled.step, strict=True)
    for i in range(steps):
        batch = batches[i % len(batches)]
        tg.manual_seed(i)
        expected = eager.step(*batch)
        stream = tg.get_rng_state()
        tg.manual_seed(i)
        close(expected, step(*batch), limit, f"loss of step {i}")
        assert tg.equal(tg.get_rng_state(), stream)
    for (name, a), (_, b) in zip(
        eager.model.state_dict().items(), compiled.model.state_dict().items(), strict=True
    ):
        close(a, b, limit, name)
    for (name, a), (_, b) in zip(
        eager.model.named_parameters(), compiled.model.named_parameters(), strict=True
    ):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            close(a.grad, b.grad, limit, name)
    if states:
        for a, b in zip(eager.optimizers, compiled.optimizers, strict=True):
            same_states(a.state_dict(), b.state_dict(), limit)
    return step


def same_states(a, b, limit):
    for mine, other in zip(a["param_groups"], b["param_groups"], strict=True):
        for name, value in mine.items():
            assert value == other[name] or value == pytest.approx(other[name], rel=1e-9), name
    for key, entry in a["state"].items():
        for name, value in entry.items():
            if hasattr(value, "shape"):
                close(value, b["state"][key][name], limit, name)


def seeded(make):
    def made():
        tg.manual_seed(3)
        return make()

    return made


def numbers(*shape, seed=0, dtype="float64"):
    return tg.tensor(np.random.default_rng(seed).standard_normal(shape), dtype=getattr(tg, dtype))


def classes(n, count, seed=0):
    return tg.tensor(np.random.default_rng(seed).integers(0, count, n))


ACTIVATIONS = [
    nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.ELU(), nn.SELU(),
    nn.CELU(), nn.LeakyReLU(), nn.Softplus(), nn.Softsign(), nn.Mish(), nn.Hardswish(),
    nn.Hardtanh(), nn.Hardsigmoid(), nn.LogSigmoid(), nn.PReLU(), nn.ReLU6(), nn.Softshrink(),
    nn.Hardshrink(), nn.Tanhshrink(), nn.Softmin(1), nn.Softmax(1), nn.LogSoftmax(1), nn.RReLU(),
    nn.Threshold(0.1, 0.5), nn.GLU(), nn.Identity(),
]  # fmt: skip
LOSSES = {
    "numbers": [nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(), nn.HuberLoss(), nn.PoissonNLLLoss(),
                nn.MSELoss(reduction="sum")],
    "signs": [nn.SoftMarginLoss()],
    "chances": [nn.BCEWithLogitsLoss(), nn.MultiLabelSoftMarginLoss(),
                nn.BCEWithLogitsLoss(pos_weight=tg.full((5,), 2.0))],
    "classes": [nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.1),
                nn.CrossEntropyLoss(weight=tg.arange(1.0, 6.0)), nn.MultiMarginLoss(),
                nn.CrossEntropyLoss(reduction="sum"), nn.CrossEntropyLoss(ignore_index=2)],
}  # fmt: skip


class Side(nn.Module):
    """The sum of layers side by side."""

    def __init__(self, layers, width=6):
        super().__init__()
        self.before, self.layers = nn.Linear(4, width), nn.ModuleList(layers)

    def forward(self, x):
        x = self.before(x)
        return sum(layer(x).sum() * 0.1 for layer in self.layers)


def adam(model):
    return [optim.Adam(model.parameters(), lr=1e-2)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_activation(dtype):
    layers = copy.deepcopy(ACTIVATIONS)

    def make():
        side = Side(copy.deepcopy(layers)).to(getattr(tg, dtype))
        return Task(side, adam, lambda y, _: y, dtype=dtype)

    batches = [(numbers(5, 4, seed=s, dtype=dtype), numbers(1)) for s in range(3)]
    run_both(seeded(make), batches, steps=100 if dtype == "float64" else 20,
             limit=LIMITS[dtype] * 10)  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_loss(dtype):
    kind = getattr(tg, dtype)

    def total(y, given):
        targets, signs, chances, index = given
        sums = [loss(y, targets.exp()) for loss in LOSSES["numbers"]]
        sums += [loss(y, signs) for loss in LOSSES["signs"]]
        sums += [loss.to(kind)(y, chances) for loss in LOSSES["chances"]]
        sums += [loss.to(kind)(y, index) for loss in LOSSES["classes"]]
        sums += [
            F.nll_loss(F.log_softmax(y, 1), index), F.cross_entropy(y, chances.softmax(1)),
            F.binary_cross_entropy(y.sigmoid(), chances), F.kl_div(
                F.log_softmax(y, 1), chances, reduction="batchmean"),
            F.gaussian_nll_loss(y, targets, chances + 0.1), F.cosine_embedding_loss(
                y, targets, signs[:, 0]), F.triplet_margin_loss(y, targets, chances),
            F.margin_ranking_loss(y, targets, signs), F.multilabel_soft_margin_loss(y, chances),
        ]  # fmt: skip
        return sum(sums)

    def batch(seed):
        rng = np.random.default_rng(seed)
        targets, chances = numbers(7, 5, seed=seed, dtype=dtype), rng.uniform(size=(7, 5))
        signs = tg.tensor(rng.choice([-1.0, 1.0], (7, 5)), dtype=kind)
        return numbers(7, 4, seed=seed + 9, dtype=dtype), (
            targets * 0.3, signs, tg.tensor(chances, dtype=kind), classes(7, 5, seed)
        )  # fmt: skip

    run_both(
        seeded(lambda: Task(nn.Linear(4, 5), adam, total, dtype=dtype)),
        [batch(s) for s in range(3)], steps=100 if dtype == "float64" else 20,
        limit=LIMITS[dtype] * 10,
    )  # fmt: skip


class Norms(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
        self.layers = nn.ModuleList([
            nn.LayerNorm(6), nn.RMSNorm(6), nn.BatchNorm1d(6), nn.GroupNorm(2, 6), nn.Dropout(0.3),
            nn.AlphaDropout(0.2), nn.BatchNorm1d(6, affine=False), nn.LayerNorm(6, bias=False),
        ])  # fmt: skip

    def forward(self, x):
        x = self.first(x)
        return self.last(sum(layer(x).tanh() for layer in self.layers))


def test_norms_statistics_and_dropout():
    batches = [(numbers(5, 4, seed=s), classes(5, 3, s)) for s in range(3)]
    make = seeded(lambda: Task(Norms(), lambda m: [optim.SGD(m.parameters(), 0.1, 0.9)],
                               F.cross_entropy))  # fmt: skip
    run_both(make, batches, steps=100)


class Noisy(nn.Module):
    """All that is drawn by one call of a kernel, and from a generator of its own, too."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 3)
        self.own = tg.Generator().manual_seed(0)

    def forward(self, x):
        noise = tg.zeros(5, 4).uniform_(-1, 1) + tg.randint(0, 3, (5, 4)) + tg.randn(5, 4)
        noise = noise + tg.empty(5, 4).exponential_() + tg.normal(0.0, 0.1, (5, 4))
        x = F.alpha_dropout(x, 0.3, True) * tg.bernoulli(tg.sigmoid(x))
        return F.dropout(self.last(x + noise), 0.4, generator=self.own)


def test_what_is_drawn_is_what_an_eager_step_draws():
    batches = [(numbers(5, 4, seed=s), classes(5, 3, s)) for s in range(3)]
    make = seeded(lambda: Task(Noisy(), lambda m: [optim.SGD(m.parameters(), 0.1)],
                               F.cross_entropy))  # fmt: skip
    run_both(make, batches, steps=6)


RULES = [
    lambda p: optim.SGD(p, 0.1), lambda p: optim.SGD(p, 0.05, 0.9, nesterov=True, weight_decay=0.1),
    lambda p: optim.Adam(p, 0.01), lambda p: optim.Adam(p, 0.01, amsgrad=True),
    lambda p: optim.AdamW(p, 0.01), lambda p: optim.Adamax(p, 0.01), lambda p: optim.NAdam(p, 0.01),
    lambda p: optim.RAdam(p, 0.01), lambda p: optim.RMSprop(p, 0.01, centered=True, momentum=0.5),
    lambda p: optim.Adagrad(p, 0.1), lambda p: optim.Adadelta(p), lambda p: optim.Rprop(p, 0.01),
    lambda p: optim.ASGD(p, 0.1), lambda p: optim.Lion(p, 0.01), lambda p: optim.Adan(p, 0.01),
    lambda p: optim.ADOPT(p, 0.01), lambda p: optim.AdaBelief(p, 0.01),
    lambda p: optim.Adam(p, 0.01, maximize=True),
    # ... and those that take their own step after the compiled gradients:
    lambda p: optim.LAMB(p, 0.01), lambda p: optim.LARS(p, 0.1), lambda p: optim.Muon(p, 0.01),
    lambda p: optim.Adafactor(p, 0.01), lambda p: optim.SOAP(p, 0.01),
    lambda p: optim.AdamW(p, 0.01, cautious=True), lambda p: optim.Prodigy(p),
]  # fmt: skip


class Rows(nn.Module):
    """One weight for each optimizer."""

    def __init__(self, count):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 3, bias=False) for _ in range(count))

    def forward(self, x):
        return sum(layer(x).tanh() * (1 + 0.1 * i) for i, layer in enumerate(self.layers))


def test_every_optimizer():
    def optimizers(model):
        return [make([layer.weight]) for make, layer in zip(RULES, model.layers, strict=True)]

    batches = [(numbers(6, 4, seed=s), numbers(6, 3, seed=s + 7)) for s in range(3)]
    make = seeded(lambda: Task(Rows(len(RULES)), optimizers, F.mse_loss))
    run_both(make, batches, steps=100, limit=1e-9)


SCHEDULERS = [
    lambda o: lr_scheduler.StepLR(o, 3), lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    lambda o: lr_scheduler.CosineAnnealingLR(o, 10),
    lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=120),
    lambda o: lr_scheduler.LinearLR(o), lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, 4),
    lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + t)),
    lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o), lr_scheduler.ExponentialLR(o, 0.9)], [4]
    ),
]  # fmt: skip


def test_schedulers_step_in_each_call():
    def optimizers(model):
        return [optim.SGD(layer.parameters(), 0.05, 0.9) for layer in model.layers]

    batches = [(numbers(6, 4, seed=s), numbers(6, 3, seed=s + 7)) for s in range(3)]
    run_both(
        seeded(lambda: Task(Rows(len(SCHEDULERS)), optimizers, F.mse_loss, SCHEDULERS)),
        batches, steps=100,
    )  # fmt: skip


def test_plateau_gets_the_loss():
    model = nn.Linear(3, 1).double()
    optimizer = optim.SGD(model.parameters(), 0.0)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)

    @compile(strict=True)
    def step(x, y):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        plateau.step(loss)
        return loss

    x, y = numbers(4, 3), numbers(4, 1)
    for _ in range(6):
        loss = step(x, y)
    assert plateau.best == pytest.approx(loss.item())
    assert plateau.num_bad_epochs > 0 or plateau.last_epoch == 6


@pytest.mark.parametrize("clip", [
    lambda p: nn.utils.clip_grad_norm_(p, 0.5), lambda p: nn.utils.clip_grad_norm_(p, 0.1, 1.0),
    lambda p: nn.utils.clip_grad_norm_(p, 0.1, float("inf")),
    lambda p: nn.utils.clip_grad_value_(p, 0.01),
], ids=["norm", "norm 1", "norm inf", "value"])  # fmt: skip
def test_clipping(clip):
    net = lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))  # noqa: E731
    batches = [(numbers(6, 4, seed=s), numbers(6, 3, seed=s + 7) * 9) for s in range(3)]
    run_both(seeded(lambda: Task(net(), adam, F.mse_loss, clip=clip)), batches)


def test_groups_frozen_parameters_and_weight_decay():
    def optimizers(model):
        model[0].bias.requires_grad_(False)
        return [
            optim.AdamW([
                {"params": [model[0].weight], "weight_decay": 0.3},
                {"params": model[2].parameters(), "lr": 0.05},
            ], lr=0.01)
        ]  # fmt: skip

    net = lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))  # noqa: E731
    batches = [(numbers(6, 4, seed=s), numbers(6, 3, seed=s + 7)) for s in range(3)]
    run_both(seeded(lambda: Task(net(), optimizers, F.mse_loss)), batches, steps=100)


def test_gradients_add_up_over_calls():
    """Two calls of backward for each step of the optimizer, which is taken in Python."""
    finals = []
    for wrap in (lambda step: step, lambda step: compile(step, strict=True)):
        tg.manual_seed(0)
        model = nn.Linear(4, 3).double()
        optimizer = optim.SGD(model.parameters(), 0.1, 0.9)

        def gather(x, y, model=model):
            loss = F.mse_loss(model(x), y) / 2
            loss.backward()
            return loss

        gather = wrap(gather)
        for i in range(8):
            gather(numbers(5, 4, seed=i), numbers(5, 3, seed=i + 9))
            if i % 2:
                optimizer.step()
                optimizer.zero_grad()
        finals.append([p.detach().numpy().copy() for p in model.parameters()])
    for a, b in zip(*finals, strict=True):
        close(a, b, 1e-12)


def test_two_losses_in_one_step_add_up():
    def both(y, t):
        (F.mse_loss(y, t) * 0.5).backward(retain_graph=True)
        return F.l1_loss(y, t)

    batches = [(numbers(6, 4, seed=s), numbers(6, 3, seed=s + 7)) for s in range(3)]
    run_both(seeded(lambda: Task(nn.Linear(4, 3), adam, both)), batches)


def test_two_optimizers_that_take_turns():
    """As in a GAN: the second model sees the parameters of the first after its step."""
    finals = []
    for wrap in (lambda step: step, lambda step: compile(step, strict=True)):
        tg.manual_seed(1)
        judge, maker = nn.Linear(3, 1).double(), nn.Linear(2, 3).double()
        first, second = optim.Adam(judge.parameters(), 0.05), optim.Adam(maker.parameters(), 0.05)

        def step(real, noise, judge=judge, maker=maker, first=first, second=second):
            fake = maker(noise)
            first.zero_grad()
            loss = F.softplus(-judge(real)).mean() + F.softplus(judge(fake.detach())).mean()
            loss.backward()
            first.step()
            second.zero_grad()
            fooled = F.softplus(-judge(fake)).mean()
            fooled.backward()
            second.step()
            return loss, fooled

        step = wrap(step)
        losses = [step(numbers(5, 3, seed=i), numbers(5, 2, seed=i + 5)) for i in range(10)]
        finals.append([*(x.detach().numpy() for pair in losses for x in pair),
                       *(p.detach().numpy().copy() for p in judge.parameters()),
                       *(p.detach().numpy().copy() for p in maker.parameters())])  # fmt: skip
    for a, b in zip(*finals, strict=True):
        close(a, b, 1e-11)


class Reader(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.table = nn.Embedding(9, 4, padding_idx=0)
        self.passage = kind(4, 5, num_layers=2, batch_first=True)
        self.last = nn.Linear(5, 3)

    def forward(self, index):
        return self.last(self.passage(self.table(index))[0][:, -1])


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_networks(kind):
    batches = [(classes((6, 7), 9, s), classes(6, 3, s)) for s in range(3)]
    run_both(seeded(lambda: Task(Reader(kind), adam, F.cross_entropy)), batches, limit=1e-10)


class Language(nn.Module):
    """A transformer of one layer."""

    def __init__(self):
        super().__init__()
        self.table, self.places = nn.Embedding(11, 8), nn.Embedding(6, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.last = nn.Linear(8, 11)

    def forward(self, index):
        x = self.table(index) + self.places(tg.arange(index.shape[1]))
        mask = nn.Transformer.generate_square_subsequent_mask(index.shape[1])
        return self.last(self.layer(x, src_mask=mask.double(), is_causal=True)).flatten(0, 1)


def test_a_transformer():
    batches = [(classes((3, 6), 11, s), classes(18, 11, s + 5)) for s in range(3)]
    sgd = lambda m: [optim.SGD(m.parameters(), 0.1, 0.9)]  # noqa: E731
    run_both(seeded(lambda: Task(Language(), sgd, F.cross_entropy)), batches, limit=1e-11)


def test_convolution_pooling_and_batch_norm():
    def net():
        return nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(3, 4, 3, stride=2), nn.GELU(), nn.AvgPool2d(2, 1), nn.Flatten(),
            nn.Linear(4, 3),
        )  # fmt: skip

    batches = [(numbers(4, 1, 10, 10, seed=s), classes(4, 3, s)) for s in range(3)]
    sgd = lambda m: [optim.SGD(m.parameters(), 0.1, 0.9)]  # noqa: E731
    run_both(seeded(lambda: Task(net(), sgd, F.cross_entropy)), batches, limit=1e-11)


def test_not_a_number_goes_where_it_goes_eagerly():
    net = lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))  # noqa: E731
    good, bad = numbers(6, 4), numbers(6, 4)
    bad[2, 1], bad[3, 0] = float("nan"), float("inf")
    batches = [(good, classes(6, 3)), (good, classes(6, 3)), (bad, classes(6, 3))]
    run_both(seeded(lambda: Task(net(), adam, F.cross_entropy)), batches, steps=4, states=False)
