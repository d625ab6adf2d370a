"""Models as ONNX graphs: checked by `onnx`, run by onnxruntime at other sizes than the traced."""

import io
import sys

import numpy as np
import pytest

import tinygrad_opt as torch
from tinygrad_opt import nn, onnx
from tinygrad_opt.nn import functional as F
from tinygrad_opt.onnx.errors import OnnxExporterError, UnsupportedOperatorError
from tinygrad_opt.onnx.sizes import fitted
from tinygrad_opt.onnx.tracing import traced

BATCH = {"x": {0: "batch"}}
TEXT = {"x": {0: "batch", 1: "time"}}
IMAGE = {"x": {0: "batch", 2: "height", 3: "width"}}


def arrays_of(result):
    if isinstance(result, torch.Tensor):
        return [result.detach().numpy()]
    parts = result.values() if isinstance(result, dict) else result
    return [array for part in parts for array in arrays_of(part)]


def exported(model, args, **settings):
    file = io.BytesIO()
    onnx.export(model, args, file, **settings)
    return file.getvalue()


def check(model, args, *others, tolerance=1e-5, **settings):
    """Export with `args`; compare onnxruntime's numbers with the model's, for these and others."""
    runtime = pytest.importorskip("onnxruntime", reason="runs graphs: make test-peers installs it")
    pytest.importorskip("onnx", reason="runs graphs: make test-peers installs it")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    data = exported(model, args, **settings)
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    if isinstance(model, nn.Module):
        assert model.training
        model.eval()
    for given in (args, *others):
        given = given if isinstance(given, tuple) else (given,)
        expected = arrays_of(model(*given))
        names = [i.name for i in session.get_inputs()]
        feed = {name: x.numpy() for name, x in zip(names, given, strict=True)}
        found = session.run(None, feed)
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    return session


# Networks -----------------------------------------------------------------------------------------


class Convolutional(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=2)
        self.drop = nn.Dropout2d()
        self.out = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.first(x)), inplace=True), 2)
        same = x
        x = self.second(F.interpolate(x, scale_factor=2))
        x += same
        return F.log_softmax(self.out(self.drop(x).view(x.size(0), -1)), dim=1)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(4, 6, 4, 2, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU(True),
            nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
            nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.AvgPool2d(3, 2, 1),
            nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.ReflectionPad2d(1), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )  # fmt: skip

    def forward(self, x):
        return self.main(x)


class Reader(nn.Module):
    def __init__(self, kind, **settings):
        super().__init__()
        self.table = nn.Embedding(11, 5, padding_idx=0)
        self.cells = getattr(nn, kind)(5, 6, num_layers=2, bidirectional=True, **settings)
        self.out = nn.Linear(12, 3)

    def forward(self, x):
        y, state = self.cells(self.table(x))
        return self.out(y[:, -1]), state


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(13, 8), nn.Embedding(32, 8)
        self.norm, self.qkv, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 13)
        self.register_buffer("mask", torch.tril(torch.ones(32, 32)).view(1, 1, 32, 32))

    def forward(self, x):
        b, t = x.size()
        x = self.tokens(x) + self.places(torch.arange(0, t, dtype=torch.long).unsqueeze(0))
        q, k, v = self.qkv(self.norm(x)).split(8, dim=2)
        q, k, v = (part.view(b, t, 2, 4).transpose(1, 2) for part in (q, k, v))
        scores = (q @ k.transpose(-2, -1)) * k.size(-1) ** -0.5
        scores = scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf"))
        y = F.softmax(scores, dim=-1) @ v
        y = y + F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(x + y.transpose(1, 2).contiguous().view(b, t, 8))


class Translator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Transformer(8, 2, 1, 1, 16, batch_first=True, activation="gelu")
        self.look = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x, y):
        mask = nn.Transformer.generate_square_subsequent_mask(y.size(1))
        made = self.net(x, y, tgt_mask=mask)
        return self.look(made, x, x)


def tokens(*shape):
    return torch.randint(0, 11, shape)


@pytest.mark.peers
def test_a_convolutional_network():
    session = check(Convolutional(), torch.randn(1, 3, 8, 8), torch.randn(4, 3, 8, 8),
                    dynamic_axes=BATCH, input_names=["x"], output_names=["y"])  # fmt: skip
    assert session.get_inputs()[0].shape == ["batch", 3, 8, 8]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("y", ["batch", 10])]


@pytest.mark.peers
def test_images_of_any_size():
    check(Generator(), torch.randn(2, 4, 6, 6), torch.randn(3, 4, 5, 9), dynamic_axes=IMAGE)


@pytest.mark.peers
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent_networks(kind):
    check(
        Reader(kind, batch_first=True, dropout=0.1), tokens(2, 5), tokens(3, 7), dynamic_axes=TEXT
    )


@pytest.mark.peers
def test_a_gpt():
    check(GPT(), tokens(2, 6), tokens(3, 9), dynamic_axes=TEXT, opset_version=20)


@pytest.mark.peers
def test_a_transformer():
    axes = {"x": {0: "batch", 1: "s"}, "y": {0: "batch", 1: "t"}}
    inputs = [(torch.randn(b, s, 8), torch.randn(b, t, 8)) for b, s, t in ((2, 4, 3), (3, 5, 6))]
    check(Translator(), *inputs, dynamic_axes=axes)


# Operations ---------------------------------------------------------------------------------------


ACTIVATIONS = nn.Sequential(
    nn.ReLU(), nn.Linear(4, 4), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Linear(4, 4),
    nn.Sigmoid(), nn.Tanh(), nn.LeakyReLU(0.2), nn.Linear(4, 4), nn.ELU(), nn.SELU(),
        nn.CELU(0.5), nn.Softplus(),
    nn.Softplus(2.0), nn.Linear(4, 4), nn.Hardswish(), nn.Hardsigmoid(), nn.Linear(4, 4),
    nn.Hardtanh(), nn.ReLU6(), nn.Mish(), nn.Linear(4, 4), nn.PReLU(), nn.Softsign(),
    nn.LogSigmoid(), nn.Tanhshrink(), nn.Linear(4, 4), nn.Hardshrink(0.01), nn.Softshrink(0.01),
    nn.Threshold(0.01, 0.2), nn.Softmin(1),
    nn.LayerNorm(4), nn.RMSNorm(4), nn.BatchNorm1d(4), nn.Linear(4, 8), nn.GLU(),
)  # fmt: skip


def shapes(x):  # (batch, 3, 4)
    return (
        x.permute(0, 2, 1), x[:, 0], x[:, -1], x[..., 1:3], x[:, None], x.flatten(1),
        x.chunk(2, -1), x.unbind(1), torch.stack([x, x], 1), torch.cat([x, x * 2], 1), x.flip(1),
        x.repeat(1, 2, 1),
        x.expand(2, *x.shape), x[:, [2, 0]], x.roll(1, 1), x.unsqueeze(-1), x.squeeze(1), x.tril(),
        F.pad(x, (1, 1), value=2.0), torch.einsum("btd,bsd->bts", x, x), x.new_zeros(x.size(0), 3),
    )  # fmt: skip


def sums(x):
    return (
        x.sum(), x.mean((1, 2)), x.var(1), x.std(1, keepdim=True), x.norm(dim=1), x.prod(1),
        F.normalize(x, dim=-1), x.logsumexp(1), x.amax(1), x.cumsum(1), x.argmax(1), x.max(1),
        x.max(), x.topk(2, dim=1), x.sort(dim=1, descending=True), (x > 0).any(1), x.min(2)[0],
        F.cosine_similarity(x, x * x, dim=-1), F.soft_margin_loss(x, x.sign()),
        F.nll_loss(x, (x[:, 0] > 0).long()), F.nll_loss(x[:, 0], x[:, 1, 0].long() * 0),
        F.nll_loss(x[:, 0], x[:, 1, 0].long() * 0, reduction="sum"),
    )  # fmt: skip


def elements(x):
    small = x.abs() < 0.5
    return (
        x.clamp(min=0), x.clamp(-1, 1), x**2, 2**x, 1 / (x + 5), x % 2, x // 2, x.size(0) * x,
        torch.where(x > 1, x, torch.zeros_like(x)), x.masked_fill(x < 0, 0.0), (x > 0).float(),
        small & ~(x > 0), x != 0, x.exp().log1p().expm1(), x.long() + 1, F.one_hot(x.long() % 3, 3),
        torch.maximum(x, x * x), x.erf(), x.round(), x.double(),
        x + torch.arange(x.size(1))[:, None],
        x.gather(1, (x.long() % 3)), torch.isnan(x), x @ x.mT, torch.lerp(x, x * x, 0.3),
        torch.add(x, x * x, alpha=0.3), torch.addcmul(x, x, x + 1, value=0.3),
        torch.addcdiv(x, x, x.abs() + 1, value=0.3), F.l1_loss(x, x * x, reduction="none"),
        F.glu(x, -1), F.hardsigmoid(x), x.sigmoid().logit(0.3), F.threshold(x, 0.1, 7.0),
        F.softshrink(x, 0.3), F.hardshrink(x, 0.3), x.tril(), x.erfc(),
    )  # fmt: skip


def in_place(x):
    y = x * 1
    y[:, 0] = 0.0
    y[:, 1:3] += 1
    y.mul_(2)
    z = torch.zeros(x.size(0), x.size(1))
    z[:, 2] = x[:, 1, 0]
    return y, z


@pytest.mark.peers
@pytest.mark.parametrize("model", [ACTIVATIONS, shapes, sums, elements, in_place],
                         ids=["activations", "shapes", "sums", "elements", "in_place"])  # fmt: skip
def test_operations(model):
    size = (4,) if model is ACTIVATIONS else (3, 4)
    given = torch.randn(2, *size) * 3, torch.randn(5, *size) * 3
    check(model, *given, dynamic_axes={"input" if model is ACTIVATIONS else "x": [0]})


@pytest.mark.peers
def test_arguments_and_results_of_other_kinds(tmp_path):
    pytest.importorskip("onnx", reason="runs graphs: pip install onnx onnxruntime")
    model = nn.Linear(2, 3)
    onnx.export(model, torch.ones(1, 2), tmp_path / "model.onnx", verbose=False)
    assert b"tinygrad_opt" in (tmp_path / "model.onnx").read_bytes()
    inputs = torch.ones(2), torch.ones(2), torch.zeros(2)
    check(lambda x, factor, shift: {"a": x * factor + shift, "b": [x]}, inputs)
    data = exported(lambda x, by=2.0: x * by, (torch.ones(2), {"by": 3.0}))
    assert data != exported(lambda x, by=2.0: x * by, (torch.ones(2),))
    assert not onnx.is_in_onnx_export()
    kept = exported(model.eval(), torch.ones(1, 2), training=onnx.TrainingMode.PRESERVE)
    assert kept == exported(model.train(), torch.ones(1, 2))
    with torch.no_grad():  # as scripts do it
        assert exported(model.eval(), torch.ones(1, 2))
    assert not model.training
    assert all(p.requires_grad for p in model.parameters())


def test_a_function_first_asked_for_in_the_run_is_as_it_was_when_it_is_over(monkeypatch):
    monkeypatch.delitem(vars(torch), "conv2d", raising=False)  # as in a fresh process
    weight = torch.ones(1, 1, 2, 2)
    traced(lambda x: torch.conv2d(x, weight), (torch.ones(1, 1, 3, 3),), {}, {})
    assert torch.conv2d is F.conv2d


# Refusals -----------------------------------------------------------------------------------------


def leak(x):
    return x + torch.from_numpy(x.array * 2)


def written(x, memory=torch.zeros(4)):  # noqa: B008  (it is to be there before)
    memory.add_(x.sum(0))
    return memory


def shared(x):
    y = x * 1
    z = y.view(-1)
    y.add_(1)
    return z


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (lambda x: x * x.sum().item(), r"reads a tensor's elements \(item\)"),
        (lambda x: x if x.sum() > 0 else -x, r"reads a tensor's elements \(__bool__\).*where"),
        (lambda x: x + torch.randn(4), "was made from data, at random, or outside"),
        (leak, r"add takes a tensor of shape \[4, 4\] .* outside of the operations"),
        (lambda x: sum(row * i for i, row in enumerate(x)), "as a loop over an axis does"),
        (lambda x: x[: x.size(0) // 2], "is no sum of products of them.*dynamic_axes"),
        (lambda x: x * (1 / x.size(0)), "an argument of mul is 0.25 or "),
        (lambda x: x.sum(0) + torch.ones(4) if len(x) < 5 else x.mean(0), "goes another way"),
        (lambda x: (x, 3), "must return tensors, got int among its results"),
        (written, r"writes in place \(add_\) to a tensor that was there before"),
        (shared, r"writes in place \(add_\) to memory that another tensor shares"),
    ],
)  # fmt: skip
def test_what_has_no_graph_is_refused(model, text):
    pytest.importorskip("onnx", reason="runs graphs: pip install onnx onnxruntime")
    with pytest.raises(OnnxExporterError, match=text):
        exported(model, torch.randn(4, 4), dynamic_axes={"x": [0]})


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (lambda x: torch.linalg.det(x), "det has no form in ONNX"),
        (lambda x: x[x > 0], r"x\[mask\] .* has no form"),
        (lambda x: F.batch_norm(x, None, None, training=True), r"\(in training\) has no form"),
        (lambda x: F.adaptive_avg_pool1d(x, 3), "adaptive_avg_pool1d to 3 of 4 cells"),
    ],
)
def test_operations_without_a_form_are_named(model, text):
    pytest.importorskip("onnx", reason="runs graphs: pip install onnx onnxruntime")
    with pytest.raises(UnsupportedOperatorError, match=text):
        exported(model, torch.randn(4, 4))
    assert torch.ones(1, requires_grad=True).exp().grad_fn.name() == "ExpBackward0"  # all put back


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"opset_version": 9}, "opset_version must be 17 to 23, got 9"),
        ({"dynamic_axes": {"y": [0]}}, r"dynamic_axes names 'y', but there are \['input'\]"),
        ({"dynamic_axes": {"input": {5: "n"}}}, r"'input' of shape \(1, 2\) has no axis 5"),
        ({"input_names": ["a", "b"]}, "2 input_names for 1 tensors"),
        ({"output_names": ["a", "b"]}, "2 output_names for 1 tensors"),
        ({"export_params": False}, "export_params=False"),
    ],
)
def test_settings_that_do_not_fit(settings, text):
    pytest.importorskip("onnx", reason="runs graphs: pip install onnx onnxruntime")
    with pytest.raises(ValueError, match=text):
        exported(nn.Linear(2, 3), torch.ones(1, 2), **settings)


def test_without_onnx_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"onnx.export needs onnx.*\[onnx\]"):
        exported(nn.Linear(2, 3), torch.ones(1, 2))


RUNS = [{"b": 2, "t": 5}, {"b": 3, "t": 5}, {"b": 7, "t": 5}, {"b": 2, "t": 6}, {"b": 2, "t": 13},
        {"b": 3, "t": 6}]  # fmt: skip


@pytest.mark.parametrize(
    ("length", "form"),
    [
        (lambda b, t: 4 * b, {("b",): 4}),
        (lambda b, t: t - 1, {("t",): 1, (): -1}),
        (lambda b, t: 6 * b * (t + 1), {("b", "t"): 6, ("b",): 6}),
    ],
)
def test_lengths_are_sums_of_products(length, form):
    assert fitted([length(**run) for run in RUNS], RUNS, "it") == form


def test_rounded_lengths_are_refused():
    with pytest.raises(OnnxExporterError, match="a length in view follows the axes"):
        fitted([run["t"] // 2 for run in RUNS], RUNS, "view")
