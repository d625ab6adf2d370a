"""scaled_dot_product_attention and MultiheadAttention against NumPy, and against PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from nn_rows.samplers import numbers

import tinygrad_opt as T
import tinygrad_opt.nn.functional as F
from tinygrad_opt import autograd, nn


def np_softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def np_attention(q, k, v, mask=0.0):
    return np_softmax(q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]) + mask) @ v


def tensors(*arrays, lib=T, **kwargs):
    return [lib.tensor(x, **kwargs) for x in arrays]


def close(a, b, tolerance=1e-12):
    a, b = (x.detach().numpy() if hasattr(x, "detach") else x for x in (a, b))
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, strict=True)


# The function; the table of operations has rows for it too ----------------------------------------

QKV = numbers(2, 3, 4), numbers(2, 5, 4, seed=1), numbers(2, 5, 6, seed=2)
ALLOWED = np.array([[1, 1, 0, 0, 1], [0, 0, 0, 1, 0], [1, 1, 1, 1, 1]], bool)


def test_scale():
    q, k, v = QKV
    found = F.scaled_dot_product_attention(*tensors(*QKV), scale=0.3)
    close(found, np_softmax(0.3 * q @ k.swapaxes(1, 2)) @ v)
    assert abs(found.numpy() - np_attention(*QKV)).max() > 0.01


def test_bool_masks_say_what_is_allowed_and_float_masks_are_added():
    by_bool = F.scaled_dot_product_attention(*tensors(*QKV, ALLOWED))
    close(by_bool, np_attention(*QKV, np.where(ALLOWED, 0, -np.inf)))
    added = numbers(3, 5, seed=4)
    close(F.scaled_dot_product_attention(*tensors(*QKV, added)), np_attention(*QKV, added))
    narrow = F.scaled_dot_product_attention(*tensors(*QKV), T.tensor(added.astype("float32")))
    close(narrow, np_attention(*QKV, added.astype("float32")))


def test_causal_means_no_look_at_later_keys():
    x = numbers(4, 2)
    before = F.scaled_dot_product_attention(*tensors(x, x, x), is_causal=True).numpy()
    changed = np.concatenate([x[:3], [[9.0, -9.0]]])
    after = F.scaled_dot_product_attention(*tensors(x, changed, changed), is_causal=True).numpy()
    close(before[:3], after[:3])
    assert abs(before[3] - after[3]).max() > 1


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_a_query_that_may_look_at_nothing_gets_zeros_and_sends_none_back(kind):
    q, k, v = tensors(*QKV, requires_grad=True)
    mask = ALLOWED & (np.arange(3) != 1)[:, None]
    given = T.tensor(mask if kind == "bool" else np.where(mask, 0.0, -np.inf))
    y = F.scaled_dot_product_attention(q, k, v, given)
    rest = np_attention(*QKV, np.where(ALLOWED, 0, -np.inf))
    close(y[:, [0, 2]], rest[:, [0, 2]])
    assert not y[:, 1].detach().numpy().any()
    y.sum().backward()
    assert not q.grad[:, 1].numpy().any()
    assert all(np.isfinite(x.grad.numpy()).all() for x in (q, k, v))


def test_no_keys_and_no_queries():
    q, k, v = QKV
    empty = F.scaled_dot_product_attention(*tensors(q, k[:, :0], v[:, :0]))
    close(empty, np.zeros((2, 3, 6)))
    assert F.scaled_dot_product_attention(*tensors(q[:, :0], k, v)).shape == (2, 0, 6)
    assert F.scaled_dot_product_attention(*tensors(q[:0], k[:0], v[:0])).shape == (0, 3, 6)


def test_groups_of_heads_share_keys():
    q, k, v = numbers(2, 6, 3, 4), numbers(2, 2, 5, 4, seed=1), numbers(2, 2, 5, 4, seed=2)
    found = F.scaled_dot_product_attention(*tensors(q, k, v), enable_gqa=True)
    close(found, np_attention(q, k.repeat(3, axis=1), v.repeat(3, axis=1)))


def test_dropout_zeroes_weights_and_enlarges_the_others():
    q, k = tensors(numbers(1, 200, 4), numbers(1, 50, 4, seed=1))
    identity = T.eye(50, dtype=T.float64)[None]  # the result is the weights themselves
    whole = F.scaled_dot_product_attention(q, k, identity).numpy()
    dropped = F.scaled_dot_product_attention(q, k, identity, dropout_p=0.25).numpy()
    kept = dropped != 0
    assert kept.mean() == pytest.approx(0.75, abs=0.02)
    close(dropped[kept], whole[kept] / 0.75)
    T.manual_seed(3)
    again = F.scaled_dot_product_attention(q, k, identity, dropout_p=0.25).numpy()
    T.manual_seed(3)
    close(F.scaled_dot_product_attention(q, k, identity, dropout_p=0.25), again)
    everything = F.scaled_dot_product_attention(q, k, identity, dropout_p=1.0)
    assert not everything.numpy().any()


def test_two_passes_through_one_graph_with_a_changed_seed():
    q, k, v = tensors(*QKV, requires_grad=True)
    y = F.scaled_dot_product_attention(q, k, v)
    seed = T.ones(2, 3, 6, dtype=T.float64)
    y.backward(seed, retain_graph=True)
    first = q.grad.numpy().copy()
    q.grad = None
    seed.array *= -2
    y.backward(seed)
    close(q.grad, -2 * first)


def sdpa_mistakes(lib):
    f, z = lib.nn.functional.scaled_dot_product_attention, lib.zeros
    mask = z(3, 5)
    return {
        "one axis": (lambda: f(z(4), z(5, 4), z(5, 4)), "at least 2 dimensional, but got query"),
        "dtypes": (lambda: f(z(3, 4), z(5, 4).double(), z(5, 4)), "to have the same dtype"),
        "mask dtype": (lambda: f(z(3, 4), z(5, 4), z(5, 4), mask.double()),
                       "Expected attn_mask dtype to be bool or float or to match query dtype"),
        "integer mask": (lambda: f(z(3, 4), z(5, 4), z(5, 4), mask.long()),
                         "Expected attn_mask dtype to be bool or float"),
        "mask and causal": (lambda: f(z(3, 4), z(5, 4), z(5, 4), mask, is_causal=True),
                            "Explicit attn_mask should not be set when is_causal=True"),
        "features": (lambda: f(z(2, 3, 4), z(2, 5, 3), z(2, 5, 4)), "Expected size"),
        "lengths": (lambda: f(z(2, 3, 4), z(2, 5, 4), z(2, 4, 4)), "Expected size"),
        "mask shape": (lambda: f(z(2, 3, 4), z(2, 5, 4), z(2, 5, 4), z(3, 4)),
                       "The size of tensor a"),
        "heads": (lambda: f(z(1, 3, 2, 4), z(1, 2, 5, 4), z(1, 2, 5, 4), enable_gqa=True),
                  "Number of heads in key and value must divide the number of heads in"),
        "dropout": (lambda: f(z(2, 3, 4), z(2, 5, 4), z(2, 5, 4), dropout_p=1.5),
                    "dropout probability has to be between 0 and 1, but got 1.5"),
    }  # fmt: skip


@pytest.mark.parametrize("name", sdpa_mistakes(T))
def test_mistakes_are_named(name):
    call, text = sdpa_mistakes(T)[name]
    with pytest.raises(RuntimeError, match=text):
        call()


def test_groups_need_an_axis_of_heads():
    x = T.zeros(2, 4)
    with pytest.raises(RuntimeError, match="enable_gqa: query, key and value need an axis"):
        F.scaled_dot_product_attention(x, x, x, enable_gqa=True)


# The layer ----------------------------------------------------------------------------------------

LAYERS = {
    "plain": {},
    "batch first": {"batch_first": True},
    "no bias": {"bias": False},
    "one more key": {"add_bias_kv": True},
    "a zero key": {"add_zero_attn": True},
    "both, own widths": {"add_bias_kv": True, "add_zero_attn": True, "kdim": 3, "vdim": 2},
    "own widths, no bias": {"kdim": 3, "vdim": 2, "bias": False, "batch_first": True},
}
layers = pytest.mark.parametrize("name", LAYERS)


def make(lib, name, **kwargs):
    module = lib.nn.MultiheadAttention(4, 2, **LAYERS[name], **kwargs).double()
    rng = np.random.default_rng(1)
    module.load_state_dict(
        {k: lib.tensor(rng.uniform(-1, 1, v.shape)) for k, v in module.state_dict().items()}
    )
    return module


def inputs(module, batch=3):
    """query, key and value with the batch in the middle."""
    shapes = [(5, 4), (6, module.kdim), (6, module.vdim)]
    return [numbers(n, batch, width, seed=i) for i, (n, width) in enumerate(shapes)]


def by_numpy(module, query, key, value, mask=0.0):
    """(output, weights) for one sequence, head by head."""
    state = {k: v.numpy() for k, v in module.state_dict().items()}
    if "in_proj_weight" in state:
        weights = np.split(state["in_proj_weight"], 3)
    else:
        weights = [state[f"{x}_proj_weight"] for x in "qkv"]
    biases = np.split(state.get("in_proj_bias", np.zeros(12)), 3)
    q, k, v = (x @ w.T + b for x, w, b in zip((query, key, value), weights, biases, strict=True))
    if "bias_k" in state:
        k, v = np.vstack([k, state["bias_k"][0]]), np.vstack([v, state["bias_v"][0]])
    if module.add_zero_attn:
        k, v = (np.vstack([x, np.zeros((1, 4))]) for x in (k, v))
    mask = np.broadcast_to(mask, (len(q), len(key)))
    mask = np.pad(mask, ((0, 0), (0, len(k) - len(key))))
    heads = [np_softmax(q[:, h] @ k[:, h].T / math.sqrt(2) + mask)
             for h in (slice(0, 2), slice(2, 4))]  # fmt: skip
    mixed = np.hstack([heads[0] @ v[:, :2], heads[1] @ v[:, 2:]])
    output = mixed @ state["out_proj.weight"].T + state.get("out_proj.bias", 0.0)
    return output, np.stack(heads)


@layers
@pytest.mark.parametrize("need_weights", [True, False])
def test_layer_equals_numpy(name, need_weights):
    module = make(T, name)
    q, k, v = inputs(module)
    hidden = np.zeros((3, 6), bool)
    hidden[1, 2:4] = True
    forbidden = ~np.tri(5, 6, k=1, dtype=bool)
    given = [x.swapaxes(0, 1) if module.batch_first else x for x in (q, k, v)]
    y, w = module(*tensors(*given), key_padding_mask=T.tensor(hidden),
                  attn_mask=T.tensor(forbidden), need_weights=need_weights)  # fmt: skip
    assert (w is None) is not need_weights
    for b in range(3):
        mask = np.where(forbidden | hidden[b], -np.inf, 0.0)
        output, weights = by_numpy(module, q[:, b], k[:, b], v[:, b], mask)
        close(y[b] if module.batch_first else y[:, b], output)
        if need_weights:
            close(w[b], weights.mean(axis=0))


@layers
def test_one_sequence_without_batch(name):
    module = make(T, name)
    q, k, v = (x[:, 0] for x in inputs(module))
    hidden = np.array([False, True, False, False, True, False])
    y, w = module(*tensors(q, k, v), key_padding_mask=T.tensor(hidden), average_attn_weights=False)
    output, weights = by_numpy(module, q, k, v, np.where(hidden, -np.inf, 0.0))
    close(y, output)
    close(w, weights)


def test_a_mask_for_each_head():
    module = make(T, "plain")
    x = numbers(4, 2, 4)
    masks = numbers(4, 4, 4, seed=8)  # (batch * heads, L, S)
    _, w = module(*tensors(x, x, x), attn_mask=T.tensor(masks), average_attn_weights=False)
    for b in range(2):
        for h in range(2):
            _, weights = by_numpy(module, x[:, b], x[:, b], x[:, b], masks[2 * b + h])
            close(w[b, h], weights[h])


def test_is_causal_promises_what_the_mask_says():
    module = make(T, "plain")
    x = T.tensor(numbers(4, 2, 4))
    mask = nn.Transformer.generate_square_subsequent_mask(4, dtype=T.float64)
    expected = module(x, x, x, attn_mask=mask)[0]
    for need_weights in (True, False):
        found = module(x, x, x, attn_mask=mask, is_causal=True, need_weights=need_weights)[0]
        close(found, expected.detach().numpy())


@pytest.mark.parametrize("need_weights", [True, False])
def test_dropout_in_training_only(need_weights):
    module = make(T, "plain", dropout=0.5)
    x = T.tensor(numbers(6, 3, 4))
    plain = make(T, "plain")(x, x, x)[0].detach().numpy()
    close(module.eval()(x, x, x, need_weights=need_weights)[0], plain)
    dropped = module.train()(x, x, x, need_weights=need_weights)[0].detach().numpy()
    assert abs(dropped - plain).max() > 0.01


@pytest.mark.parametrize("name", ["plain", "both, own widths"])
def test_derivatives_of_two_orders(name):
    module = make(T, name)

    def run(q, k, v, mask):
        y, w = module(q, k, v, attn_mask=mask)
        return (y * y).sum() + (w * w).sum()

    leaves = tensors(*(x[:3, :2] for x in inputs(module)), numbers(3, 3), requires_grad=True)
    assert autograd.gradcheck(run, leaves)
    assert autograd.gradgradcheck(run, leaves)


def test_parameters_start_as_pytorchs():
    module = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    bound = math.sqrt(6 / (64 + 3 * 64))
    assert abs(module.in_proj_weight.array).max() <= bound
    assert module.in_proj_weight.array.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)
    assert not module.in_proj_bias.array.any()
    assert not module.out_proj.bias.array.any()
    assert module.bias_k.shape == module.bias_v.shape == (1, 1, 64)
    separate = nn.MultiheadAttention(4, 2, kdim=3, vdim=2)
    assert separate.in_proj_weight is None
    assert [separate.q_proj_weight.shape[1], separate.k_proj_weight.shape[1]] == [4, 3]
    assert module.head_dim == 16


def test_static_keys_and_values():
    module = make(T, "plain")
    q, k, v = tensors(*inputs(module))
    weights = (module.in_proj_weight, module.in_proj_bias, None, None, False, 0.0,
               module.out_proj.weight, module.out_proj.bias)  # fmt: skip
    projected = [
        x @ module.in_proj_weight[i * 4 : i * 4 + 4].T + module.in_proj_bias[i * 4 : i * 4 + 4]
        for i, x in ((1, k), (2, v))
    ]
    static = [x.reshape(6, 6, 2).transpose(0, 1) for x in projected]
    y, _ = F.multi_head_attention_forward(
        q, k * 0, v * 0, 4, 2, *weights, static_k=static[0], static_v=static[1]
    )
    close(y, module(q, k, v)[0].detach().numpy())
    with pytest.raises(AssertionError, match="expecting static_k of size"):
        F.multi_head_attention_forward(q, k, v, 4, 2, *weights, static_k=static[0][:2])
    with pytest.raises(AssertionError, match="expecting static_v of size"):
        F.multi_head_attention_forward(q, k, v, 4, 2, *weights, static_v=static[0][:, :, :1])


z = T.zeros
LAYER_MISTAKES = {
    "sizes": (lambda m: nn.MultiheadAttention(0, 2), ValueError,
              "embed_dim and num_heads must be greater than 0, got embed_dim=0"),
    "heads": (lambda m: nn.MultiheadAttention(4, 3), AssertionError,
              "embed_dim must be divisible by num_heads"),
    "query axes": (lambda m: m(z(4), z(3, 4), z(3, 4)), AssertionError,
                   "query should be unbatched 2D or batched 3D tensor but received 1-D query"),
    "key axes": (lambda m: m(z(3, 1, 4), z(3, 4), z(3, 1, 4)), AssertionError,
                 r"For batched \(3-D\) `query`, expected `key` and `value` to be 3-D but found"),
    "padding axes": (lambda m: m(z(3, 4), z(3, 4), z(3, 4), z(1, 3).bool()), AssertionError,
                     "expected `key_padding_mask` to be `None` or 1-D but found 2-D tensor"),
    "mask axes": (lambda m: m(z(3, 4), z(3, 4), z(3, 4), attn_mask=z(3)), AssertionError,
                  "expected `attn_mask` to be `None`, 2-D or 3-D but found 1-D tensor instead"),
    "mask heads": (lambda m: m(z(3, 4), z(3, 4), z(3, 4), attn_mask=z(1, 3, 3)), AssertionError,
                   r"Expected `attn_mask` shape to be \(2, 3, 3\) but got"),
    "mask 2D": (lambda m: m(z(3, 1, 4), z(3, 1, 4), z(3, 1, 4), attn_mask=z(2, 3)), RuntimeError,
                r"The shape of the 2D attn_mask is .*, but should be \(3, 3\)"),
    "mask 3D": (lambda m: m(z(3, 1, 4), z(3, 1, 4), z(3, 1, 4), attn_mask=z(1, 3, 3)),
                RuntimeError, r"The shape of the 3D attn_mask is .*, but should be \(2, 3, 3\)"),
    "padding length": (lambda m: m(z(3, 1, 4), z(3, 1, 4), z(3, 1, 4), z(1, 4).bool()),
                       AssertionError, r"Expected key_padded_mask.shape\[1\] to be 3, but got 4"),
    "padding batch": (lambda m: m(z(3, 1, 4), z(3, 1, 4), z(3, 1, 4), z(2, 3).bool()),
                      AssertionError, r"Expected key_padded_mask.shape\[0\] to be 1, but got 2"),
    "mask type": (lambda m: m(z(3, 4), z(3, 4), z(3, 4), attn_mask=z(3, 3).long()), AssertionError,
                  "only bool and floating types of attn_mask are supported"),
    "features": (lambda m: m(z(3, 3), z(3, 4), z(3, 4)), AssertionError,
                 "was expecting embedding dimension of 4, but got 3"),
    "lengths": (lambda m: m(z(3, 1, 4), z(2, 1, 4), z(3, 1, 4)), AssertionError,
                "key shape .* does not match value shape"),
    "causal": (lambda m: m(z(3, 4), z(3, 4), z(3, 4), is_causal=True), RuntimeError,
               "Need attn_mask if specifying the is_causal hint"),
    "dtype": (lambda m: m(*[z(3, 4).double()] * 3), RuntimeError,
              "mat1 and mat2 must have the same dtype"),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYER_MISTAKES)
def test_mistakes_with_the_layer_are_named(name):
    call, error, text = LAYER_MISTAKES[name]
    with pytest.raises(error, match=text):
        call(nn.MultiheadAttention(4, 2))


def test_mistakes_with_the_function_are_named():
    x, w, o = z(3, 4), z(12, 4), z(4, 4)
    call = F.multi_head_attention_forward
    with pytest.raises(AssertionError, match="expecting embedding dimension of 8, but got 4"):
        call(x, x, x, 8, 2, w, None, None, None, False, 0.0, o, None)
    with pytest.raises(AssertionError, match="embed_dim 4 not divisible by 3 heads"):
        call(x, x, x, 4, 3, w, None, None, None, False, 0.0, o, None)
    with pytest.raises(AssertionError, match="True but k_proj_weight is None"):
        call(x, x, x, 4, 2, None, None, None, None, False, 0.0, o, None, q_proj_weight=o,
             use_separate_proj_weight=True)  # fmt: skip
    with pytest.raises(AssertionError, match="bias_k and bias_v go together"):
        call(x, x, x, 4, 2, w, None, z(1, 1, 4), None, False, 0.0, o, None)
    with pytest.raises(AssertionError, match="bias cannot be added to static key"):
        call(x, x, x, 4, 2, w, None, z(1, 1, 4), z(1, 1, 4), False, 0.0, o, None,
             static_k=z(2, 3, 2))  # fmt: skip


def test_masks_of_two_types_warn():
    x = z(3, 1, 4)
    with pytest.warns(UserWarning, match="Support for mismatched key_padding_mask and attn_mask"):
        nn.MultiheadAttention(4, 2)(x, x, x, z(1, 3).bool(), attn_mask=z(3, 3))


# Against PyTorch ----------------------------------------------------------------------------------


@pytest.mark.peers
@pytest.mark.parametrize("name", sdpa_mistakes(T))
def test_messages_read_like_pytorchs(torch, name):
    call, text = sdpa_mistakes(torch)[name]
    with pytest.raises(RuntimeError, match=text):
        call()


@pytest.mark.peers
@pytest.mark.parametrize("name", LAYER_MISTAKES)
def test_messages_of_the_layer_read_like_pytorchs(torch, name, monkeypatch):
    call, error, text = LAYER_MISTAKES[name]
    monkeypatch.setitem(globals(), "z", torch.zeros)
    monkeypatch.setitem(globals(), "nn", torch.nn)
    with pytest.raises(error, match=text):
        call(torch.nn.MultiheadAttention(4, 2))


MASKS = {
    "no mask": {},
    "bool": {"attn_mask": np.triu(np.ones((5, 6), bool), 2)},
    "float": {"attn_mask": numbers(5, 6, seed=7)},
    "one per head": {"attn_mask": numbers(6, 5, 6, seed=7)},
    "padding": {"key_padding_mask": np.arange(18).reshape(3, 6) % 5 == 2},
    "both": {"attn_mask": numbers(5, 6, seed=7), "key_padding_mask": numbers(3, 6, seed=6)},
}


@pytest.mark.peers
@layers
@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-11), ("float32", 4e-6)])
def test_layer_equals_pytorch(torch, name, masks, need_weights, dtype, tolerance):
    results = []
    for lib in (T, torch):
        module = make(lib, name).to(getattr(lib, dtype))
        given = {k: lib.tensor(x if x.dtype == bool else x.astype(dtype))
                 for k, x in MASKS[masks].items()}  # fmt: skip
        arrays = [x.astype(dtype) for x in inputs(module)]
        arrays = [x.swapaxes(0, 1).copy() if module.batch_first else x for x in arrays]
        leaves = tensors(*arrays, lib=lib, requires_grad=True)
        y, w = module(*leaves, need_weights=need_weights, **given)
        seed = numbers(*y.shape, seed=9).astype(dtype)
        loss = (y * lib.tensor(seed)).sum()
        (loss if w is None else loss + (w * w).sum()).backward()
        parameters = dict(module.named_parameters())
        results.append({"y": y, "w": y if w is None else w}
                       | {k: p.grad for k, p in parameters.items()}
                       | {f"{i}": x.grad for i, x in enumerate(leaves)})  # fmt: skip
    assert list(results[0]) == list(results[1])
    for key, found in results[0].items():
        close(found, results[1][key], tolerance)


@pytest.mark.peers
@layers
def test_text_and_state_equal_pytorchs(torch, name):
    ours, theirs = (lib.nn.MultiheadAttention(4, 2, **LAYERS[name]) for lib in (T, torch))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]
