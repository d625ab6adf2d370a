"""The same modules and functions in PyTorch: values, gradients, names, text, and messages."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from nn_rows import LAYERS
from nn_rows.samplers import numbers

import tinygrad_opt as T
import tinygrad_opt.nn.functional

pytestmark = pytest.mark.peers

# These have no values to compare, only text.
TEXTS = {
    "Embedding": lambda nn: nn.Embedding(4, 3, padding_idx=1),
    "Embedding plain": lambda nn: nn.Embedding(4, 3),
    "ModuleList": lambda nn: nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU()]),
    "nested ModuleList": lambda nn: nn.ModuleList(
        [nn.Sequential(nn.Linear(2, 2), nn.ReLU()) for _ in range(3)]
    ),
    "empty ModuleList": lambda nn: nn.ModuleList(),
    "ModuleDict": lambda nn: nn.ModuleDict({"a": nn.ReLU(), "b": nn.ModuleList([nn.Tanh()])}),
    "empty": lambda nn: nn.Sequential(),
    "SiLU in place": lambda nn: nn.SiLU(inplace=True),
    "LeakyReLU in place": lambda nn: nn.LeakyReLU(inplace=True),
    "losses": lambda nn: nn.ModuleList(
        [nn.CrossEntropyLoss(), nn.NLLLoss(), nn.MSELoss(), nn.L1Loss(), nn.BCELoss(),
         nn.BCEWithLogitsLoss(), nn.HuberLoss(), nn.SmoothL1Loss()]
    ),
}  # fmt: skip


def close(a, b):
    np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", TEXTS)
def test_text(torch, name):
    assert repr(TEXTS[name](T.nn)) == repr(TEXTS[name](torch.nn))


def test_state_dicts_go_both_ways(torch):
    make = LAYERS["Sequential, nested"][0]
    ours, theirs = make(T.nn), make(torch.nn)
    keys = theirs.load_state_dict(
        {k: torch.from_numpy(v.numpy()) for k, v in ours.state_dict().items()}
    )
    assert str(keys) == str(ours.load_state_dict(ours.state_dict()))
    x = numbers(5, 3).astype(np.float32)
    np.testing.assert_allclose(
        ours(T.tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-5
    )


def test_load_errors_read_alike(torch):
    texts = []
    for lib in (T, torch):
        net = lib.nn.Linear(2, 3)
        state = {"weight": lib.zeros(2, 2), "extra": lib.zeros(1)}
        with pytest.raises(RuntimeError) as caught:
            net.load_state_dict(state)
        texts.append(str(caught.value).replace("torch.Size", "Size"))
    assert texts[0] == texts[1]


def test_embedding(torch):
    ours, theirs = (lib.nn.Embedding(5, 3, padding_idx=2) for lib in (T, torch))
    theirs.load_state_dict({"weight": torch.from_numpy(ours.weight.detach().numpy())})
    index = np.array([[0, 2], [4, 4]])
    y, z = ours(T.tensor(index)), theirs(torch.tensor(index))
    close(y.array, z)
    (y * y).sum().backward()
    (z * z).sum().backward()
    close(ours.weight.grad.array, theirs.weight.grad)


CLASSES = np.array([0, 2, -100, 1])
CLASSIFICATION = {
    "plain": {},
    "sum": {"reduction": "sum"},
    "none": {"reduction": "none"},
    "weight": {"weight": [1.0, 0.5, 2.0]},
    "weight, sum": {"weight": [1.0, 0.5, 2.0], "reduction": "sum"},
    "ignored class": {"ignore_index": 2},
}
SMOOTHED = {f"{k}, smoothed": {**v, "label_smoothing": 0.2} for k, v in CLASSIFICATION.items()}


def settings_of(lib, settings):
    made = dict(settings)
    for name in ("weight", "pos_weight"):
        if name in made:
            made[name] = lib.tensor(made[name], dtype=lib.float64)
    return made


def same_loss(torch, name, settings, x, target):
    grads = []
    for lib in (T, torch):
        a = lib.tensor(x, requires_grad=True)
        loss = getattr(lib.nn.functional, name)(a, lib.tensor(target), **settings_of(lib, settings))
        weights = lib.tensor(numbers(*loss.shape, seed=2)) if loss.ndim else 1.0
        (loss * weights).sum().backward()
        grads.append((loss, a.grad))
    close(grads[0][0].array, grads[1][0])
    close(grads[0][1].array, grads[1][1])


@pytest.mark.parametrize("name", [*CLASSIFICATION, *SMOOTHED])
@pytest.mark.parametrize("extra", [(), (2,)])
def test_cross_entropy(torch, name, extra):
    settings = {**CLASSIFICATION, **SMOOTHED}[name]
    target = CLASSES if settings.get("ignore_index") is None else abs(CLASSES) % 3
    target = np.broadcast_to(target.reshape(-1, *[1] * len(extra)), (4, *extra)).copy()
    same_loss(torch, "cross_entropy", settings, numbers(4, 3, *extra), target)


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_nll_loss(torch, name):
    same_loss(torch, "nll_loss", CLASSIFICATION[name], numbers(4, 3), abs(CLASSES) % 3)


@pytest.mark.parametrize("name", [n for n in [*CLASSIFICATION, *SMOOTHED] if "ignored" not in n])
@pytest.mark.parametrize("shape", [(3,), (4, 3), (4, 3, 2)])
def test_cross_entropy_of_probabilities(torch, name, shape):
    settings = {**CLASSIFICATION, **SMOOTHED}[name]
    target = abs(numbers(*shape, seed=3))  # need not sum to one
    same_loss(torch, "cross_entropy", settings, numbers(*shape), target)


@pytest.mark.parametrize("target", [[-100] * 4, [0, 1, 2, 1]])
@pytest.mark.parametrize("rows", [0, 4])
def test_cross_entropy_of_nothing(torch, rows, target):
    values = []
    for lib in (T, torch):
        target_ = lib.tensor(target[:rows], dtype=lib.int64)
        loss = lib.nn.functional.cross_entropy(lib.zeros(rows, 3), target_)
        values.append(float(loss))
    assert values[0] == pytest.approx(values[1], nan_ok=True)


ELEMENTWISE = {
    "mse_loss": [{}, {"reduction": "sum"}, {"reduction": "none"}],
    "l1_loss": [{}, {"reduction": "none"}],
    "huber_loss": [{"delta": 0.7}, {"reduction": "none"}],
    "smooth_l1_loss": [{"beta": 0.7}, {"reduction": "sum"}, {"beta": 0.0}],
    "binary_cross_entropy": [{}, {"weight": [1.0, 2.0, 3.0]}, {"reduction": "none"}],
    "binary_cross_entropy_with_logits": [
        {}, {"weight": [1.0, 2.0, 3.0]}, {"pos_weight": [1.0, 2.0, 0.5], "reduction": "none"},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "settings"), [(name, s) for name, rows in ELEMENTWISE.items() for s in rows]
)
def test_elementwise_losses(torch, name, settings):
    x, target = numbers(4, 3), numbers(4, 3, seed=1)
    if "cross_entropy" in name:
        target = 1 / (1 + np.exp(-target))
    if name == "binary_cross_entropy":
        x = 1 / (1 + np.exp(-x))
    same_loss(torch, name, settings, x, target)


def test_warning_of_sizes_reads_alike(torch):
    texts = []
    for lib in (T, torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            lib.nn.functional.mse_loss(lib.zeros(2, 1), lib.zeros(2))
        texts.append(str(caught[0].message).replace("torch.Size", "Size"))
        assert caught[0].filename == __file__
    assert texts[0] == texts[1]


@pytest.mark.parametrize("order", [1.0, 2.0, 3.5, math.inf, 0.0, -math.inf])
def test_clip_grad_norm(torch, order):
    results = []
    for lib in (T, torch):
        ps = [lib.nn.Parameter(lib.zeros(n, dtype=lib.float64)) for n in (3, 2, 4)]
        for i, p in enumerate(ps[:2]):
            p.grad = lib.tensor(numbers(*p.shape, seed=i))
        norm = lib.nn.utils.clip_grad_norm_(ps, 0.5, order)
        results.append([norm.item(), *ps[0].grad.tolist(), *ps[1].grad.tolist()])
    np.testing.assert_allclose(*results, rtol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda lib: lib.nn.functional.one_hot(lib.tensor([0, 2, 1])),
        lambda lib: lib.nn.functional.one_hot(lib.tensor([[0, 2]]), 4),
        lambda lib: lib.nn.functional.normalize(lib.tensor(numbers(3, 4)), dim=0),
        lambda lib: lib.nn.functional.softmax(lib.tensor(numbers(3, 4)), -1),
    ],
)
def test_functions(torch, call):
    close(call(T).array, call(torch))


@pytest.mark.parametrize("gain", ["tanh", "relu", "leaky_relu", "selu", "linear", "sigmoid"])
def test_gains(torch, gain):
    assert T.nn.init.calculate_gain(gain) == torch.nn.init.calculate_gain(gain)


@pytest.mark.parametrize(
    "fill",
    [
        lambda lib, w: lib.nn.init.trunc_normal_(w, 0.5, 2, -1, 1.5),
        lambda lib, w: lib.nn.init.kaiming_uniform_(w, 0.3, "fan_out", "leaky_relu"),
        lambda lib, w: lib.nn.init.kaiming_normal_(w, nonlinearity="relu"),
        lambda lib, w: lib.nn.init.xavier_uniform_(w, 1.5),
        lambda lib, w: lib.nn.init.xavier_normal_(w),
        lambda lib, w: lib.nn.init.orthogonal_(w, 2.0),
    ],
)
def test_init_draws_from_the_same_distribution(torch, fill):
    torch.manual_seed(0)
    ours = np.sort(fill(T, T.zeros(200, 300)).numpy().ravel())
    theirs = np.sort(fill(torch, torch.zeros(200, 300)).numpy().ravel())
    # Quantiles of 60,000 numbers; the outermost ones scatter.
    at = np.linspace(0.01, 0.99, 99)
    spread = theirs.std()
    gap = abs(np.quantile(ours, at) - np.quantile(theirs, at)).max()
    assert gap < 0.05 * spread
