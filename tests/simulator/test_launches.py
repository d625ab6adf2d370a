"""How many launches, waits and uploads a training step takes; kernels of whole layers against CPU.

The counts are of the stand-in's calls (`counted.py`): they hold what a step costs the host, so that
it cannot creep up unseen.
"""

import numpy as np
import pytest
from on_device import SIMULATED, cupy

import tinygrad_opt as tg
from tinygrad_opt import nn
from tinygrad_opt.arrays import gpu_layers
from tinygrad_opt.kernels.fused import elementwise, on_device
from tinygrad_opt.nn import functional as F

counted = pytest.mark.skipif(not SIMULATED, reason="counted in the simulator")


@pytest.fixture
def launched(monkeypatch):
    """The names of the kernels that were launched."""
    names, launch = [], on_device._launch
    monkeypatch.setattr(on_device, "_launch", lambda *a: names.append(a[0]) or launch(*a))
    return names


# What a step takes -------------------------------------------------------------------------------


class Last(nn.Module):
    """A recurrent layer, and a linear one of its last output."""

    def __init__(self, kind):
        super().__init__()
        self.layer, self.head = getattr(nn, kind)(5, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class GPT(nn.Module):
    """Four layers; a causal mask."""

    def __init__(self, dropout=0.0, activation="relu"):
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            8, 2, 16, dropout, activation, batch_first=True, norm_first=True
        )
        self.table, self.layers = nn.Embedding(7, 8), nn.TransformerEncoder(layer, 4)
        self.head = nn.Linear(8, 7)
        self.mask = nn.Transformer.generate_square_subsequent_mask(5, device="cuda")

    def forward(self, x):
        return self.head(self.layers(self.table(x), mask=self.mask, is_causal=True)).reshape(-1, 7)


def mlp():
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.GELU(), nn.Linear(4, 3))


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(24, 3),
    )  # fmt: skip


# Network: (how to build it, the shape of a batch, tokens, at most so many launches, products).
STEPS = {
    "MLP": (mlp, (4, 6), 0, 30, 8),
    "GPT": (GPT, (2, 5), 7, 197, 51),
    "CNN": (cnn, (2, 3, 8, 8), 0, 60, 8),
    "LSTM": (lambda: Last("LSTM"), (2, 50, 5), 0, 35, 6),
    "GRU": (lambda: Last("GRU"), (2, 50, 5), 0, 35, 6),
    "RNN": (lambda: Last("RNN"), (2, 50, 5), 0, 33, 6),
    "classes of a table": (lambda: nn.Embedding(7, 7), (9,), 7, 11, 0),
}


def training(build, shape, tokens, optimizer=tg.optim.AdamW):
    rng = np.random.default_rng(0)
    values = rng.integers(0, tokens, shape) if tokens else rng.standard_normal(shape)
    kind = tg.int64 if tokens else tg.float32
    x = tg.tensor(values, dtype=kind, device="cuda")
    y = tg.tensor(np.arange(len(values.reshape(-1)) if tokens else shape[0]) % 3, device="cuda")
    model = build().to("cuda")
    optimizer = optimizer(model.parameters())

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


@counted
@pytest.mark.parametrize("name", STEPS)
def test_what_a_step_takes(name):
    from counted import counting

    build, shape, tokens, launches, products = STEPS[name]
    step = training(build, shape, tokens)
    with counting():  # what is made once is made now
        step()
    with counting() as found:
        step()
    assert found.on_device() <= launches, found.table()
    assert found.of("gemm") <= products, found.table()
    assert found.of("wait", "upload") == 0, found.table()


@counted
def test_long_sequences_take_no_more():
    from counted import counting

    taken = []
    for steps in (3, 40):
        step = training(lambda: Last("LSTM"), (2, steps, 5), 0)
        with counting():
            step()
        with counting() as found:
            step()
        taken.append(found.on_device())
    assert taken[0] == taken[1]


@counted
def test_a_launch_too_many_shows():
    from counted import counting

    x = tg.ones(3, device="cuda")
    tg.cuda.synchronize()
    with counting() as found:
        (x + 1).sum().item()
        tg.tensor([1.0], device="cuda")
    assert [found.of(kind) for kind in ("launch", "wait", "upload")] == [2, 1, 1]
    assert any("add" in line for line in found.table())


INDEX = dict(vector=[0, 3, 1, 2], matrix=[[0, 1, 2, 3, 3, 0]] * 4, bags=[0, 2], often=[1, 2, 1, 0])

# What waits for nothing, and uploads nothing: of x (4, 6), a mask like it, and integers.
NO_WAITS = {
    "cross_entropy, weighted": lambda x, m, i: F.cross_entropy(x, i["vector"], x[0].detach().abs()),
    "cross_entropy, smoothed": lambda x, m, i: F.cross_entropy(x, i["vector"], label_smoothing=0.1),
    "nll_loss": lambda x, m, i: F.nll_loss(x, i["vector"]),
    "embedding": lambda x, m, i: F.embedding(i["vector"], x, padding_idx=0),
    "gather": lambda x, m, i: x.gather(0, i["matrix"]),
    "scatter": lambda x, m, i: x.scatter(1, i["matrix"], 0.5),
    "scatter_add": lambda x, m, i: x.scatter_add(1, i["matrix"], x),
    "index_select": lambda x, m, i: x.index_select(0, i["vector"]),
    "index_add": lambda x, m, i: x.index_add(0, i["vector"], x),
    "take": lambda x, m, i: x.take(i["vector"]),
    "take_along_dim": lambda x, m, i: x.take_along_dim(i["matrix"], 1),
    "x[index]": lambda x, m, i: x[i["vector"]],
    "repeat_interleave": lambda x, m, i: x.repeat_interleave(2, 0),
    "attention mask": lambda x, m, i: F.scaled_dot_product_attention(x, x, x, m[:, :4]),
    "masked_fill": lambda x, m, i: x.masked_fill(m, 0.0),
    "where": lambda x, m, i: tg.where(m, x, 0.0),
    "sort": lambda x, m, i: x.sort(1)[0],
    "topk": lambda x, m, i: x.topk(2, 1)[0],
    "max": lambda x, m, i: x.max(1)[0],
    "norm": lambda x, m, i: x.norm(),
    "one_hot": lambda x, m, i: F.one_hot(i["vector"], 6) * x,
    "interpolate": lambda x, m, i: F.interpolate(x[None], size=9, mode="linear"),
    "diagonal": lambda x, m, i: x.diagonal(),
    "group_norm": lambda x, m, i: F.group_norm(x, 2),
}
# And what does wait, at most so often: for numbers that the host goes on with.
SOME_WAITS = {"embedding_bag": (lambda x, m, i: F.embedding_bag(i["vector"], x, i["bags"]), 2)}


def waits_of(call, device="cuda"):
    from counted import counting

    x = tg.tensor(np.arange(24.0).reshape(4, 6) % 7, device=device, requires_grad=True)
    mask = tg.tensor(np.tri(4, 6) > 0, device=device)
    index = {name: tg.tensor(values, device=device) for name, values in INDEX.items()}

    def step():
        y = call(x, mask, index)
        tg.autograd.grad(y.sum(), x)

    step()
    with counting() as found:
        step()
    return found


@counted
@pytest.mark.parametrize("name", NO_WAITS)
def test_what_waits_for_nothing(name):
    found = waits_of(NO_WAITS[name])
    assert found.of("wait", "upload") == 0, found.table()


@counted
@pytest.mark.parametrize("name", SOME_WAITS)
def test_what_waits(name):
    call, most = SOME_WAITS[name]
    found = waits_of(call)
    assert found.of("wait", "upload") <= most, found.table()


@counted
@pytest.mark.parametrize(
    ("name", "settings", "most"),
    [("AdamW", {}, 0), ("Adam", dict(amsgrad=True), 0), ("RAdam", {}, 0), ("SOAP", {}, 0),
     ("Muon", {}, 1), ("LAMB", {}, 2), ("LARS", dict(lr=0.1), 2), ("Adafactor", {}, 2),
     ("Prodigy", {}, 2)],
    ids=str,
)  # fmt: skip
def test_steps_wait_no_more_for_more_parameters(name, settings, most):
    from counted import counting

    params = [nn.Parameter(tg.ones(3, 4, device="cuda")) for _ in range(5)]
    optimizer = getattr(tg.optim, name)(params, **settings)

    def step():
        optimizer.zero_grad()
        sum((p * p).sum() for p in params).backward()
        optimizer.step()

    for _ in range(2):
        step()
    with counting(run_kernels=True) as found:
        step()
    assert found.of("wait", "upload") <= most, found.table()


OUT_OF_RANGE = {
    "index_select": (lambda x, i: x.index_select(0, i), IndexError, "index 9 is out of bounds"),
    "gather": (lambda x, i: x[:, 0].gather(0, i), RuntimeError, "index 9 is out of bounds"),
    "nll_loss": (lambda x, i: F.nll_loss(x, i), IndexError, "Target 9 is out of bounds: there are"),
    "one_hot": (lambda x, i: F.one_hot(i, 6), RuntimeError, "must be in .0, num_classes., got 9"),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_an_index_out_of_range_is_told_later(name):
    call, error, text = OUT_OF_RANGE[name]
    x = tg.ones(4, 6, device="cuda")
    call(x, tg.tensor([0, 9, 1, 2], device="cuda"))
    with pytest.raises(error, match=text):
        tg.cuda.synchronize()
    call(x, tg.tensor([0, 3, 1, 2], device="cuda"))
    tg.cuda.synchronize()


# What the kernels compute ------------------------------------------------------------------------


def packed_sequence(kind):
    def run(t):
        layer = getattr(nn, kind)(3, 5, 2, bidirectional=True).to(t["x"].device, t["x"].dtype)
        packed = nn.utils.rnn.pack_padded_sequence(t["x"], [4, 2, 1])
        out, state = layer(packed)
        return [out.data, *(state if isinstance(state, tuple) else [state])]

    return run


def recurrent(kind, **settings):
    def run(t):
        layer = getattr(nn, kind)(3, 5, **settings).to(t["x"].device, t["x"].dtype)
        out, _ = layer(t["x"])
        return [out, *layer.parameters()]

    return run


def attention(t):
    layer = nn.MultiheadAttention(6, 2).to(t["x"].device, t["x"].dtype)
    mask = tg.tensor(np.arange(16).reshape(4, 4) % 3 == 1, device=t["x"].device)
    hidden = tg.tensor([[False] * 4, [False, True, True, False]], device=t["x"].device)
    x = t["x"]
    causal = nn.Transformer.generate_square_subsequent_mask(4, x.device, x.dtype)
    return [
        layer(x, x, x, need_weights=False)[0],
        layer(x, x, x, need_weights=False, attn_mask=mask, key_padding_mask=hidden)[0],
        layer(x, x, x, need_weights=False, attn_mask=causal, is_causal=True)[0],
        layer(x[:, 0], x[:, 0], x[:, 0], need_weights=False)[0],
    ]


def scaled(t):
    q, k, v = t["q"], t["k"], t["v"]
    nothing = tg.tensor([[True] * 5, [False] * 5, [True, False] * 2 + [True]], device=q.device)
    return [
        F.scaled_dot_product_attention(q, k, v),
        F.scaled_dot_product_attention(q, k, v, is_causal=True),
        F.scaled_dot_product_attention(q, k, v, nothing),
        F.scaled_dot_product_attention(q[0], k[0], v[0], scale=0.3),
    ]


def pools(t):
    x = t["x"]
    return [
        F.max_pool2d(x, 3, 2, 1), F.max_pool2d(x, (2, 3), 1, dilation=(2, 1)),
        F.avg_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False),
        F.max_pool1d(x[0], 2), F.avg_pool1d(x[0], 3, 1, 1), F.max_pool3d(x[None], 2),
    ]  # fmt: skip


def convolutions(t):
    x, w, b = t["x"], t["w"], t["b"]
    return [
        F.conv2d(x, w, b, padding=1), F.conv2d(x, w, None, 2, (0, 2), (2, 1)),
        F.conv2d(x, w[:, :1], b, groups=2), F.conv_transpose2d(x, w[:2], None, 2, 1),
        F.conv1d(x[:, :, 0], w[:, :, 0], b, padding=2), F.unfold(x, 2, padding=1),
        F.conv2d(x.transpose(2, 3), w, b),
    ]  # fmt: skip


def channels(t):
    x, w, b = t["x"], t["w"], t["b"]
    kept = [tg.zeros(3, device=x.device, dtype=x.dtype), tg.ones(3, device=x.device, dtype=x.dtype)]
    return [
        F.batch_norm(x, *kept, w, b, True, 0.3), F.batch_norm(x, None, None, None, b, True),
        F.batch_norm(x[:, :, 0, 0], None, None, w, None, True), F.instance_norm(x),
        *kept,
    ]  # fmt: skip


def linears(t):
    layer = nn.TransformerEncoderLayer(6, 2, 5, 0.0, norm_first=True).to(
        t["x"].device, t["x"].dtype
    )
    after = nn.TransformerDecoderLayer(6, 2, 5, 0.0, F.gelu).to(t["x"].device, t["x"].dtype)
    x = t["x"]
    return [layer(x), after(x, x[:2]), *layer.parameters(), F.linear(x.transpose(0, 1), t["w"])]


# Name: (the function, the shapes of its tensors, kernels that it must launch).
LAYERS = {
    "rnn": (recurrent("RNN"), dict(x=(4, 2, 3)), "rnn_passage rnn_passage_back"),
    "rnn relu": (recurrent("RNN", nonlinearity="relu"), dict(x=(4, 2, 3)), "rnn_passage_back"),
    "lstm": (recurrent("LSTM"), dict(x=(4, 2, 3)), "lstm_passage lstm_passage_back"),
    "gru": (recurrent("GRU", bias=False), dict(x=(1, 1, 3)), "gru_passage gru_passage_back"),
    "packed rnn": (packed_sequence("RNN"), dict(x=(4, 3, 3)), "rnn_passage_back"),
    "packed lstm": (packed_sequence("LSTM"), dict(x=(4, 3, 3)), "lstm_passage_back"),
    "packed gru": (packed_sequence("GRU"), dict(x=(4, 3, 3)), "gru_passage_back"),
    "packed attention": (attention, dict(x=(4, 2, 6)), "attention attention_back_keys"),
    "attention": (
        scaled, dict(q=(2, 2, 3, 4), k=(2, 2, 5, 4), v=(2, 2, 5, 3)), "attention attention_back"
    ),
    "pools": (
        pools, dict(x=(2, 3, 5, 7)), "window_maxima spread_maxima means spread_means"
    ),
    "convolutions": (
        convolutions, dict(x=(2, 2, 5, 6), w=(4, 2, 3, 3), b=(4,)),
        "columns uncolumns by_batch by_filter",
    ),
    "channels": (
        channels, dict(x=(2, 3, 5, 1), w=(3,), b=(3,)),
        "channel_moments channel_norm channel_norm_back approach",
    ),
    "linears": (linears, dict(x=(3, 2, 6), w=(4, 6)), "epilogue sums_of_rows relu_back"),
}  # fmt: skip


def gradients(function, values, device):
    """Results, and the gradients of what they depend on, for a gradient of other numbers."""
    tg.manual_seed(0)
    given = {k: tg.tensor(v, device=device, requires_grad=True) for k, v in values.items()}
    results = function(given)
    wanted = [*given.values(), *(p for p in results if isinstance(p, nn.Parameter))]
    results = [y for y in results if not isinstance(y, nn.Parameter)]
    rng = np.random.default_rng(1)
    loss = 0
    for y in results:
        if y.requires_grad:
            weight = rng.standard_normal(y.shape).astype(next(iter(values.values())).dtype)
            loss = loss + (y * tg.tensor(weight, device=device)).sum()
    found = tg.autograd.grad(loss, wanted)
    return [t.detach().cpu().numpy() for t in (*results, *found)]


@pytest.mark.parametrize(("dtype", "near"), [("float64", 1e-11), ("float32", 2e-4)])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_give_what_they_give_on_the_cpu(name, dtype, near, launched):
    function, shapes, kernels = LAYERS[name]
    rng = np.random.default_rng(0)
    values = {k: rng.standard_normal(shape).astype(dtype) for k, shape in shapes.items()}
    ours, cpu = (gradients(function, values, device) for device in ("cuda", "cpu"))
    assert set(kernels.split()) <= set(launched)
    for a, b in zip(ours, cpu, strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=near)


@pytest.mark.parametrize("name", ["packed attention", "convolutions", "linears", "gru"])
def test_derivatives_of_derivatives(name):
    function, shapes, _ = LAYERS[name]
    rng = np.random.default_rng(0)
    values = {k: rng.standard_normal(shape) for k, shape in shapes.items()}

    def run(device):
        tg.manual_seed(0)
        given = {k: tg.tensor(v, device=device, requires_grad=True) for k, v in values.items()}
        loss = sum((y * y).sum() for y in function(given))
        first = tg.autograd.grad(loss, list(given.values()), create_graph=True)
        second = tg.autograd.grad(sum((g * g).sum() for g in first), list(given.values()))
        return [g.detach().cpu().numpy() for g in second]

    for ours, cpu in zip(run("cuda"), run("cpu"), strict=True):
        np.testing.assert_allclose(ours, cpu, rtol=1e-9, atol=1e-9)


ODD = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    3.0,
    -3.0,
    6.5,
    30.0,
    -30.0,
    1e-30,
    90.0,
    -90.0,
    np.nan,
    np.inf,
    -np.inf,
]
CUPYS = {"abs", "exp", "expm1", "log", "log1p", "neg", "sqrt"}  # its own launches are as few
SETTINGS = {"elu": (1.2, 1.1, 0.9), "hardshrink": (0.5,), "hardtanh": (-1.0, 2.0),
            "leaky_relu": (0.1,), "nan_to_num": (0.5, 9.0, -8.0), "softplus": (1.5, 20.0),
            "softshrink": (0.5,), "threshold": (0.5, 7.0)}  # fmt: skip


@pytest.mark.parametrize("name", sorted(elementwise.ROWS.keys() - CUPYS))
def test_functions_of_an_element(name, launched):
    settings = dict(zip(elementwise.ROWS[name].settings, SETTINGS.get(name, ()), strict=True))
    for dtype in ("float32", "float64"):
        x = np.array(ODD, dtype)
        if name == "gelu_tanh":  # whose cube the simulator's exp, Python's, takes for an error
            x = x[~(np.isfinite(x) & (abs(x) > 9))]
        if name == "logit":  # as Python's log refuses what is not above 0
            x = np.array([1e-30, 0.1, 0.5, 0.9], dtype)

        def run(device, x=x):
            given = tg.tensor(x, device=device, requires_grad=True)
            y = getattr(tg.ops, name)(given, **settings)
            (g,) = tg.autograd.grad(y.sum(), given)
            return [t.detach().cpu().numpy() for t in (y, g)]

        with np.errstate(all="ignore"):
            for ours, cpu in zip(run("cuda"), run("cpu"), strict=True):
                near = 40 * np.finfo(dtype).eps
                np.testing.assert_allclose(ours, cpu, rtol=near, atol=near)
    assert launched == [f"{name}_value", f"{name}_slope"] * 2


def test_maxima_of_windows_with_nan_and_infinities(launched):
    x = np.full((1, 1, 4, 6), -np.inf, "float32")
    x[0, 0, 0, 1], x[0, 0, 1, 2], x[0, 0, 2, :2], x[0, 0, 3, 5] = np.nan, np.inf, 2.0, np.nan

    def run(device):
        given = tg.tensor(x, device=device, requires_grad=True)
        y = F.max_pool2d(given, (2, 3), padding=(1, 0))
        (g,) = tg.autograd.grad(y, given, tg.ones_like(y))
        return [t.detach().cpu().numpy() for t in (y, g)]

    for ours, cpu in zip(run("cuda"), run("cpu"), strict=True):
        np.testing.assert_array_equal(ours, cpu)
    assert launched == ["window_maxima", "spread_maxima"]


EMPTY = {
    "convolution": lambda x: F.conv2d(x, x.new_ones((2, 3, 1, 1))),
    "pool": lambda x: F.max_pool2d(x, 2),
    "means": lambda x: F.avg_pool2d(x, 2),
    "gelu": lambda x: F.gelu(x),
    "linear": lambda x: F.linear(x, x.new_ones((2, 4))),
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x),
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty_batches(name, launched):
    def run(device):
        x = tg.zeros(0, 3, 4, 4, device=device, requires_grad=True)
        y = EMPTY[name](x)
        return y.shape, tg.autograd.grad(y.sum(), x)[0].shape

    assert run("cuda") == run("cpu")
    assert launched == []


def test_what_is_large_is_left_to_matrix_products(launched, monkeypatch):
    monkeypatch.setattr(gpu_layers, "_MOST", 1)
    monkeypatch.setattr(gpu_layers, "WIDEST", 1)
    monkeypatch.setattr(gpu_layers, "_CHANNEL", 1)
    monkeypatch.setattr(gpu_layers, "SMALL", 1)
    large = {"attention", "lstm_passage", "gru_passage", "rnn_passage", "channel_moments",
             "sums_of_rows"}  # fmt: skip
    for name in ("packed attention", "attention", "lstm", "gru", "rnn", "channels", "linears"):
        function, shapes, _ = LAYERS[name]
        rng = np.random.default_rng(0)
        values = {k: rng.standard_normal(shape) for k, shape in shapes.items()}
        for a, b in zip(*(gradients(function, values, d) for d in ("cuda", "cpu")), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)
    assert not large & set(launched)


def test_hooks_and_other_classes_are_asked():
    class Twice(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    seen = []

    def hooked(m):
        m.linear1.register_forward_hook(lambda *_: seen.append(1))

    def replaced(m):
        m.linear2 = Twice(5, 4).to(m.linear1.weight.device)

    for change in (hooked, replaced):
        found = []
        for device in ("cuda", "cpu"):
            tg.manual_seed(0)
            layer = nn.TransformerEncoderLayer(4, 2, 5, 0.0).to(device)
            change(layer)
            found.append(layer(tg.ones(2, 1, 4, device=device)).detach().cpu().numpy())
        np.testing.assert_allclose(*found, rtol=0, atol=1e-5)
    assert seen == [1, 1]


def test_memory_is_cupys():
    assert type(F.gelu(tg.ones(3, device="cuda")).array) is cupy.ndarray
