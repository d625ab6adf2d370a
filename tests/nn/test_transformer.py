"""Transformer layers and stacks: what they are made of, their settings, and PyTorch's results."""

from __future__ import annotations

import math

import numpy as np
import pytest
from nn_rows.samplers import numbers

import tinygrad_opt as T
import tinygrad_opt.nn.functional as F
from tinygrad_opt import autograd, nn

LAYERS = {
    "encoder": "TransformerEncoderLayer", "decoder": "TransformerDecoderLayer",
}  # fmt: skip
SETTINGS = {
    "plain": {},
    "norm first": {"norm_first": True},
    "batch first": {"batch_first": True},
    "gelu": {"activation": "gelu"},
    "no bias": {"bias": False, "layer_norm_eps": 1e-3},
}
layers = pytest.mark.parametrize("kind", LAYERS)
settings = pytest.mark.parametrize("name", SETTINGS)


def filled(lib, module, dtype="float64"):
    """The module with parameters of the seed."""
    rng = np.random.default_rng(1)
    state = {k: rng.uniform(-0.7, 0.7, v.shape).astype(dtype)
             for k, v in module.state_dict().items()}  # fmt: skip
    module = module.to(getattr(lib, dtype))
    module.load_state_dict({k: lib.tensor(v) for k, v in state.items()})
    return module


def make(lib, kind, dropout=0.0, **kwargs):
    return filled(lib, getattr(lib.nn, LAYERS[kind])(4, 2, 8, dropout, **kwargs))


def call(lib, kind, module, x, memory, **masks):
    if kind == "encoder":
        return module(x, **masks)
    return module(x, memory, **{name.replace("src", "tgt"): m for name, m in masks.items()})


def close(a, b, tolerance=1e-11):
    a, b = (x.detach().numpy() if hasattr(x, "detach") else x for x in (a, b))
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, strict=True)


# What the layers are made of ----------------------------------------------------------------------


@layers
@settings
def test_layers_are_their_parts_one_after_the_other(kind, name):
    module = make(T, kind, **SETTINGS[name])
    x, memory = T.tensor(numbers(5, 3, 4)), T.tensor(numbers(6, 3, 4, seed=2))
    if module.self_attn.batch_first:
        x, memory = x.transpose(0, 1), memory.transpose(0, 1)
    mask = nn.Transformer.generate_square_subsequent_mask(
        x.shape[0 if name != "batch first" else 1]
    )
    mask = mask.double()
    act = F.gelu if name == "gelu" else F.relu
    blocks = [lambda y: module.self_attn(y, y, y, attn_mask=mask)[0]]
    if kind == "decoder":
        blocks.append(lambda y: module.multihead_attn(y, memory, memory)[0])
    blocks.append(lambda y: module.linear2(act(module.linear1(y))))
    expected = x
    for i, block in enumerate(blocks, 1):
        norm = getattr(module, f"norm{i}")
        if module.norm_first:
            expected = expected + block(norm(expected))
        else:
            expected = norm(expected + block(expected))
    close(call(T, kind, module, x, memory, src_mask=mask), expected)


@layers
def test_one_sequence_without_batch(kind):
    module = make(T, kind)
    x, memory = numbers(5, 1, 4), numbers(6, 1, 4, seed=2)
    whole = call(T, kind, module, T.tensor(x), T.tensor(memory))
    alone = call(T, kind, module, T.tensor(x[:, 0]), T.tensor(memory[:, 0]))
    close(alone, whole[:, 0])


@layers
def test_dropout_in_training_only(kind):
    x, memory = T.tensor(numbers(5, 3, 4)), T.tensor(numbers(6, 3, 4, seed=2))
    plain = call(T, kind, make(T, kind), x, memory).detach().numpy()
    module = make(T, kind, dropout=0.3)
    close(call(T, kind, module.eval(), x, memory), plain)
    assert abs(call(T, kind, module.train(), x, memory).detach().numpy() - plain).max() > 0.05


@layers
def test_each_dropout_has_its_place(kind):
    x, memory = T.tensor(numbers(5, 3, 4)), T.tensor(numbers(6, 3, 4, seed=2))
    plain = call(T, kind, make(T, kind), x, memory).detach().numpy()
    parts = {"self_attn": "dropout", "dropout": "p", "dropout1": "p", "dropout2": "p"}
    if kind == "decoder":
        parts |= {"multihead_attn": "dropout", "dropout3": "p"}
    for part, setting in parts.items():
        module = make(T, kind)
        setattr(getattr(module, part), setting, 0.9)
        assert abs(call(T, kind, module, x, memory).detach().numpy() - plain).max() > 1e-3, part


@layers
def test_derivatives_of_two_orders(kind):
    module = make(T, kind, activation="gelu")

    def run(x, memory):
        return (call(T, kind, module, x, memory) ** 3).sum()

    leaves = [T.tensor(numbers(2, 1, 4, seed=i), requires_grad=True) for i in range(2)]
    if kind == "encoder":
        leaves, run = leaves[:1], lambda x: (module(x) ** 3).sum()
    assert autograd.gradcheck(run, leaves)
    assert autograd.gradgradcheck(run, leaves)


def test_any_function_may_be_the_activation():
    encoder = make(T, "encoder", activation=nn.Tanh())
    assert dict(encoder.named_modules())["activation"] is encoder.activation
    assert make(T, "encoder", activation=F.gelu).activation is F.gelu
    with pytest.raises(RuntimeError, match="activation should be relu/gelu, not tanh"):
        make(T, "encoder", activation="tanh")


# Stacks -------------------------------------------------------------------------------------------


def test_stacks_copy_their_layer():
    layer = make(T, "encoder").eval()
    stack = nn.TransformerEncoder(layer, 3, norm=nn.LayerNorm(4).double())
    assert len(stack.layers) == stack.num_layers == 3
    assert len({id(p) for p in stack.parameters()}) == 3 * 12 + 2
    assert all(inner is not layer for inner in stack.layers)
    x = T.tensor(numbers(5, 2, 4))
    close(stack(x), stack.norm(layer(layer(layer(x)))))
    with T.no_grad():
        stack.layers[1].linear1.weight.mul_(2.0)
    assert abs((stack(x) - stack.norm(layer(layer(layer(x))))).detach().numpy()).max() > 1e-3
    memory = T.tensor(numbers(6, 2, 4, seed=2))
    decoder = nn.TransformerDecoder(make(T, "decoder"), 2)
    expected = make(T, "decoder")(make(T, "decoder")(x, memory), memory)
    close(decoder(x, memory), expected)


def test_the_whole_transformer_is_encoder_and_decoder():
    net = filled(T, nn.Transformer(4, 2, 2, 1, 8, 0.0, batch_first=True))
    src, tgt = T.tensor(numbers(3, 5, 4)), T.tensor(numbers(3, 2, 4, seed=2))
    mask = net.generate_square_subsequent_mask(2, dtype=T.float64)
    close(net(src, tgt, tgt_mask=mask), net.decoder(tgt, net.encoder(src), tgt_mask=mask))
    assert (net.d_model, net.nhead, net.batch_first) == (4, 2, True)
    custom = nn.Transformer(4, 2, custom_encoder=nn.Identity(), custom_decoder=net.decoder)
    assert isinstance(custom.encoder, nn.Identity)
    assert custom.decoder is net.decoder


def test_matrices_start_xavier_uniform():
    net = nn.Transformer(32, 4, 1, 1, 64)
    weight = net.encoder.layers[0].linear1.weight.array
    bound = math.sqrt(6 / (32 + 64))
    assert abs(weight).max() <= bound
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_causal_mask():
    mask = nn.Transformer.generate_square_subsequent_mask(3)
    inf = math.inf
    assert mask.tolist() == [[0.0, -inf, -inf], [0.0, 0.0, -inf], [0.0, 0.0, 0.0]]
    assert mask.dtype == T.float32
    double = nn.Transformer.generate_square_subsequent_mask(3, dtype=T.float64)
    assert double.dtype == T.float64
    x = T.tensor(numbers(3, 1, 4))
    stack = nn.TransformerEncoder(make(T, "encoder"), 2)
    expected = stack(x, mask=double, is_causal=False)
    for given in ({}, {"is_causal": True}):
        close(stack(x, mask=double, **given), expected)
    changed = T.tensor(np.concatenate([numbers(3, 1, 4)[:2], numbers(1, 1, 4, seed=5)]))
    close(stack(changed, mask=double)[:2], expected[:2])
    assert abs((stack(changed)[:2] - stack(x)[:2]).detach().numpy()).max() > 1e-5


def test_padded_keys_change_nothing():
    stack = nn.TransformerEncoder(make(T, "encoder", batch_first=True), 2)
    x = numbers(2, 5, 4)
    hidden = np.array([[False] * 3 + [True] * 2] * 2)
    found = stack(T.tensor(x), src_key_padding_mask=T.tensor(hidden))
    x[:, 3:] = 7.0
    again = stack(T.tensor(x), src_key_padding_mask=T.tensor(hidden))
    close(found[:, :3], again[:, :3])
    close(found[:, :3], stack(T.tensor(x[:, :3])))


def test_mistakes_are_named():
    net = nn.Transformer(4, 2, 1, 1, 8)
    with pytest.raises(RuntimeError, match="the batch number of src and tgt must be equal"):
        net(T.zeros(5, 3, 4), T.zeros(5, 2, 4))
    with pytest.raises(
        RuntimeError, match="the feature number of src and tgt must be equal to d_m"
    ):
        net(T.zeros(5, 3, 4), T.zeros(5, 3, 3))
    with pytest.warns(UserWarning, match="mismatched src_key_padding_mask and mask"):
        net.encoder(T.zeros(5, 3, 4), T.zeros(5, 5), T.zeros(3, 5).bool())


def test_training_lowers_the_loss():
    T.manual_seed(0)
    net = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), 2)
    optimizer = T.optim.Adam(net.parameters(), lr=0.01)
    x, y = (T.tensor(numbers(4, 5, 8, seed=i).astype("float32")) for i in range(2))
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


# Against PyTorch ----------------------------------------------------------------------------------

MASKS = {
    "no mask": lambda n: {},
    "causal": lambda n: {"src_mask": np.where(np.tri(n, dtype=bool), 0.0, -np.inf)},
    "bool": lambda n: {"src_mask": ~np.tri(n, k=1, dtype=bool),
                       "src_key_padding_mask": np.arange(3 * n).reshape(3, n) % 4 == 3},
}  # fmt: skip


@pytest.mark.peers
@layers
@settings
@pytest.mark.parametrize("masks", MASKS)
def test_layers_equal_pytorch(torch, kind, name, masks):
    results, texts = [], []
    for lib in (T, torch):
        module = make(lib, kind, **SETTINGS[name])
        arrays = [numbers(5, 3, 4), numbers(6, 3, 4, seed=2)]
        if module.self_attn.batch_first:
            arrays = [x.swapaxes(0, 1).copy() for x in arrays]
        x, memory = (lib.tensor(a, requires_grad=True) for a in arrays)
        given = {k: lib.tensor(m) for k, m in MASKS[masks](5).items()}
        y = call(lib, kind, module, x, memory, **given)
        y.backward(lib.tensor(numbers(*y.shape, seed=3)))
        grads = [x.grad] + [memory.grad] * (kind == "decoder")
        results.append([y, *grads, *(p.grad for p in module.parameters())])
        texts.append([repr(module), *module.state_dict()])
    assert texts[0] == texts[1]
    for a, b in zip(*results, strict=True):
        close(a, b, 1e-10)


@pytest.mark.peers
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 2e-5)])
def test_transformer_equals_pytorch(torch, batch_first, norm_first, dtype, tolerance):
    results, texts = [], []
    for lib in (T, torch):
        net = lib.nn.Transformer(
            4, 2, 2, 2, 8, 0.0, "gelu", batch_first=batch_first, norm_first=norm_first
        )
        net = filled(lib, net, dtype)
        axes = (0, 1) if batch_first else (1, 0)
        arrays = [numbers(3, n, 4, seed=n).astype(dtype).transpose(*axes, 2) for n in (5, 2)]
        src, tgt = (lib.tensor(a.copy(), requires_grad=True) for a in arrays)
        mask = net.generate_square_subsequent_mask(2, dtype=getattr(lib, dtype))
        padding = lib.tensor(np.arange(15).reshape(3, 5) % 5 == 4)
        y = net(src, tgt, tgt_mask=mask, src_key_padding_mask=padding,
                memory_key_padding_mask=padding)  # fmt: skip
        y.backward(lib.tensor(numbers(*y.shape, seed=3).astype(dtype)))
        results.append([y, src.grad, tgt.grad, *(p.grad for p in net.parameters())])
        texts.append([repr(net), *net.state_dict()])
    assert texts[0] == texts[1]
    for a, b in zip(*results, strict=True):
        close(a, b, tolerance)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")  # nested tensors are a prototype, says PyTorch
def test_evaluation_equals_pytorchs_fast_path(torch):
    results = []
    for lib in (T, torch):
        layer = make(lib, "encoder", batch_first=True)
        stack = lib.nn.TransformerEncoder(layer, 2).eval()
        with lib.no_grad():
            hidden = np.array([[False] * 5, [False] * 3 + [True] * 2])
            y = stack(lib.tensor(numbers(2, 5, 4)), src_key_padding_mask=lib.tensor(hidden))
        results.append(y.numpy()[~hidden])  # PyTorch leaves zeros at the padding
    close(*results)
