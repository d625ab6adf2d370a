"""Recurrent layers and cells against loops over time, and against PyTorch."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest
from nn_rows.samplers import numbers

import tinygrad_opt as T
from tinygrad_opt import autograd, nn
from tinygrad_opt.func import functional_call
from tinygrad_opt.nn import packing
from tinygrad_opt.nn.packing import PackedSequence, pack_padded_sequence, pad_packed_sequence

KINDS = ["RNN", "LSTM", "GRU"]
kinds = pytest.mark.parametrize("kind", KINDS)
SETTINGS = {
    "plain": {},
    "no bias": {"bias": False},
    "two layers": {"num_layers": 2},
    "both directions": {"bidirectional": True},
    "all": {"num_layers": 2, "bidirectional": True, "batch_first": True},
}
settings = pytest.mark.parametrize("name", SETTINGS)


def make(lib, kind, *sizes, **kwargs):
    """A float64 layer of either library; the parameters are those of the seed."""
    kind, relu = kind.removesuffix("_relu"), kind.endswith("_relu")
    kwargs |= {"nonlinearity": "relu"} if relu else {}
    module = getattr(lib.nn, kind)(*sizes, **kwargs).double()
    values = np.random.default_rng(1)
    state = {k: lib.tensor(values.uniform(-0.6, 0.6, v.shape))
             for k, v in module.state_dict().items()}  # fmt: skip
    module.load_state_dict(state)
    return module


def flat(result):
    """The tensors of nested results, in order."""
    if isinstance(result, (tuple, list)):
        return [x for part in result for x in flat(part)]
    return [] if result is None or not hasattr(result, "shape") else [result]


def values(result):
    return [x.detach().numpy() for x in flat(result)]


def assert_close(a, b, tolerance=1e-12):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert x.shape == y.shape
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


# Against loops ------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def one_step(kind, weights, x, state):
    """The new state of one sequence: NumPy's formulas, from the definitions."""
    w, u, b, d = weights
    if kind == "RNN":
        return (np.tanh(w @ x + b + u @ state[0] + d),)
    if kind == "GRU":
        (xr, xz, xn), (hr, hz, hn) = np.split(w @ x + b, 3), np.split(u @ state[0] + d, 3)
        z = sigmoid(xz + hz)
        return ((1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn) + z * state[0],)
    i, f, g, o = np.split(w @ x + b + u @ state[0] + d, 4)
    c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def by_loop(module, kind, x, state):
    """(outputs (T, B, .), final states) of a layer, one step and one sequence at a time."""
    directions = 2 if module.bidirectional else 1
    finals = [np.zeros_like(s) for s in state]
    for layer in range(module.num_layers):
        outputs = []
        for direction in range(directions):
            k = layer * directions + direction
            weights = [p.detach().numpy() for p in module.all_weights[k]]
            weights += [0.0, 0.0] if len(weights) == 2 else []
            y = np.zeros((*x.shape[:2], module.hidden_size))
            for b in range(x.shape[1]):
                now = tuple(s[k, b] for s in state)
                for t in range(len(x)) if direction == 0 else reversed(range(len(x))):
                    now = one_step(kind, weights, x[t, b], now)
                    y[t, b] = now[0]
                for final, value in zip(finals, now, strict=True):
                    final[k, b] = value
            outputs.append(y)
        x = np.concatenate(outputs, axis=2)
    return x, finals


def initial(kind, module, batch):
    count = module.num_layers * (2 if module.bidirectional else 1)
    states = 2 if kind == "LSTM" else 1
    return [numbers(count, batch, module.hidden_size, seed=5 + i) for i in range(states)]


def as_hx(kind, states, lib=T):
    tensors = tuple(lib.tensor(s) for s in states)
    return tensors if kind == "LSTM" else tensors[0]


@kinds
@settings
def test_layers_equal_a_loop(kind, name):
    module = make(T, kind, 3, 4, **SETTINGS[name])
    x = numbers(5, 2, 3)
    states = initial(kind, module, 2)
    expected, finals = by_loop(module, kind, x, states)
    first = module.batch_first
    output, hidden = module(T.tensor(x.swapaxes(0, 1) if first else x), as_hx(kind, states))
    assert_close(
        values((output, hidden)), [expected.swapaxes(0, 1) if first else expected, *finals]
    )


@kinds
@settings
def test_hx_is_zero_by_default_and_sequences_may_come_alone(kind, name):
    module = make(T, kind, 3, 4, **SETTINGS[name])
    x = numbers(5, 3)
    states = [np.zeros_like(s) for s in initial(kind, module, 1)]
    expected, finals = by_loop(module, kind, x[:, None], states)
    assert_close(values(module(T.tensor(x))), [expected[:, 0], *(s[:, 0] for s in finals)])
    given = as_hx(kind, [s[:, 0] for s in states])
    assert_close(values(module(T.tensor(x), given)), [expected[:, 0], *(s[:, 0] for s in finals)])


@kinds
@pytest.mark.parametrize("enforce_sorted", [True, False])
def test_packed_sequences_equal_each_sequence_alone(kind, enforce_sorted):
    module = make(T, kind, 3, 4, num_layers=2, bidirectional=True)
    lengths = [5, 3, 1] if enforce_sorted else [3, 1, 5]
    x, states = numbers(5, 3, 3), initial(kind, module, 3)
    packed = pack_padded_sequence(T.tensor(x), lengths, enforce_sorted=enforce_sorted)
    output, hidden = module(packed, as_hx(kind, states))
    assert isinstance(output, PackedSequence)
    padded, found = pad_packed_sequence(output)
    assert found.tolist() == lengths
    finals = values(hidden)
    for b, n in enumerate(lengths):
        y, ends = by_loop(module, kind, x[:n, b : b + 1], [s[:, b : b + 1] for s in states])
        assert_close([padded[:n, b].detach().numpy()], [y[:, 0]])
        assert_close([s[:, b] for s in finals], [s[:, 0] for s in ends])
    zeros = module(packed, as_hx(kind, [0 * s for s in states]))
    assert_close(values(zeros), values(module(packed)))


def test_relu_is_another_nonlinearity():
    module = make(T, "RNN_relu", 3, 4)
    x = numbers(2, 1, 3)
    w, u, b, d = (p.detach().numpy() for p in module.parameters())
    h = np.maximum(w @ x[0, 0] + b + d, 0)
    expected = np.maximum(w @ x[1, 0] + b + u @ h + d, 0)
    assert_close(values(module(T.tensor(x))[0][1]), [expected[None]])


def test_projection_shrinks_the_output_not_the_cell():
    module = make(T, "LSTM", 3, 4, num_layers=2, bidirectional=True, proj_size=2)
    output, (h, c) = module(T.tensor(numbers(5, 2, 3)))
    assert (output.shape, h.shape, c.shape) == ((5, 2, 4), (4, 2, 2), (4, 2, 4))
    one = make(T, "LSTM", 3, 4, proj_size=2)
    w, u, b, d, v = (p.detach().numpy() for p in one.parameters())
    x, h, c = numbers(1, 1, 3), numbers(1, 1, 2, seed=3), numbers(1, 1, 4, seed=4)
    m, after = one_step("LSTM", (w, u, b, d), x[0, 0], (h[0, 0], c[0, 0]))
    output, (_, cell) = one(T.tensor(x), (T.tensor(h), T.tensor(c)))
    assert_close(values((output[0, 0], cell[0, 0])), [v @ m, after])


# Derivatives --------------------------------------------------------------------------------------


@pytest.mark.thorough
@kinds
@pytest.mark.parametrize("packed", [False, True])
def test_derivatives_of_two_orders(kind, packed):
    module = make(T, kind, 2, 2, bidirectional=True)
    names = [name for name, _ in module.named_parameters()][:3]

    def run(x, *parameters):
        for name, p in zip(names, parameters, strict=True):
            module.__dict__[name] = p  # stand in for the Parameters
        inputs = pack_padded_sequence(x, [3, 2, 2]) if packed else x
        output, hidden = module(inputs)
        parts = [output.data if packed else output, *flat(hidden)]
        return sum((part * part).sum() for part in parts)

    leaves = [T.tensor(numbers(3, 3, 2), requires_grad=True)]
    leaves += [T.tensor(p.detach().numpy().copy(), requires_grad=True)
               for _, p in itertools.islice(module.named_parameters(), 3)]  # fmt: skip
    assert autograd.gradcheck(run, leaves)
    assert autograd.gradgradcheck(run, leaves)


@kinds
def test_backward_twice_through_one_graph_adds_up(kind):
    module = make(T, kind, 3, 4)
    x = T.tensor(numbers(5, 2, 3), requires_grad=True)
    loss = module(x)[0].sum()
    loss.backward(retain_graph=True)
    once = [p.grad.numpy().copy() for p in (x, *module.parameters())]
    loss.backward()
    assert_close([p.grad.numpy() for p in (x, *module.parameters())], [2 * g for g in once])


def test_a_seed_that_changes_between_two_passes_is_seen():
    x = T.tensor(numbers(4, 2), requires_grad=True)
    h = T.zeros(2, 3, dtype=T.float64)
    w, u = (T.tensor(numbers(3, n), requires_grad=True) for n in (2, 3))
    y = T.ops.rnn(x, h, w, u, None, None, sizes=(2, 2))
    seed = T.ones_like(y)
    y.backward(seed, retain_graph=True)
    first = w.grad.numpy().copy()
    w.grad = None
    seed.mul_(3)
    y.backward(seed, retain_graph=True)
    assert_close([w.grad.numpy()], [3 * first])


@pytest.mark.parametrize("changed", ["x", "weight_ih_l0", "weight_hh_l0"])
def test_writing_to_what_backward_needs_is_noticed(changed):
    module = make(T, "LSTM", 3, 4)
    x = T.tensor(numbers(5, 2, 3), requires_grad=True)
    loss = module(x)[0].sum()
    with T.no_grad():
        (x if changed == "x" else getattr(module, changed)).mul_(2.0)
    with pytest.raises(RuntimeError, match="has been modified by an inplace operation"):
        loss.backward()


def test_outputs_and_states_may_be_written_to():
    module = make(T, "LSTM", 3, 4)
    x = T.tensor(numbers(5, 2, 3))
    output, (h, _) = module(x)
    loss = output.sum() + h.sum()
    with T.no_grad():
        output.mul_(2.0)
        h.zero_()
    loss.backward()
    expected = make(T, "LSTM", 3, 4)
    output, (h, _) = expected(x)
    (output.sum() + h.sum()).backward()
    assert_close([p.grad.numpy() for p in module.parameters()],
                 [p.grad.numpy() for p in expected.parameters()])  # fmt: skip


# Settings -----------------------------------------------------------------------------------------


def test_dropout_acts_between_layers_in_training_only():
    module = make(T, "LSTM", 3, 4, num_layers=2, dropout=0.5)
    single = make(T, "LSTM", 3, 4, num_layers=2)
    x = T.tensor(numbers(5, 2, 3))
    assert_close(values(module.eval()(x)), values(single(x)))
    trained = values(module.train()(x))
    assert abs(trained[0] - values(single(x))[0]).max() > 1e-3
    assert_close([trained[1][0]], [values(single(x))[1][0]])  # the first layer saw no dropout
    assert (trained[0] != 0).all()  # and nothing was done to the last one's outputs
    dead = make(T, "LSTM", 3, 4, num_layers=2, dropout=1.0)
    assert_close([values(dead(x))[0][:, 0]], [values(dead(x * 2))[0][:, 0]])


def test_parameters_start_uniform_within_one_over_root_hidden():
    for module in (nn.LSTM(20, 64), nn.GRU(20, 64), nn.RNN(20, 64), nn.LSTMCell(20, 64)):
        for p in module.parameters():
            assert abs(p.array).max() <= 1 / 8
            assert p.array.std() == pytest.approx(1 / 8 / math.sqrt(3), rel=0.15)


@kinds
def test_names_and_shapes_of_parameters(kind):
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    module = getattr(nn, kind)(3, 5, num_layers=2, bidirectional=True)
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    assert list(shapes)[:5] == [
        "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_ih_l0_reverse",
    ]  # fmt: skip
    assert shapes["weight_ih_l1_reverse"] == (gates * 5, 10)
    assert shapes["weight_hh_l1"] == (gates * 5, 5)
    assert [len(weights) for weights in module.all_weights] == [4] * 4
    assert module._flat_weights[1] is module.weight_hh_l0
    module.flatten_parameters()
    copied = copy.deepcopy(module)
    x = T.zeros(4, 2, 3)
    assert_close(values(copied(x)), values(module(x)))


@kinds
def test_empty_batches(kind):
    output, hidden = getattr(nn, kind)(3, 4)(T.zeros(5, 0, 3))
    assert output.shape == (5, 0, 4)
    assert all(h.shape == (1, 0, 4) for h in flat(hidden))
    output.sum().backward()
    assert flat(getattr(nn, f"{kind}Cell")(3, 4)(T.zeros(0, 3)))[0].shape == (0, 4)


def test_float32_stays_float32():
    for kind in KINDS:
        module = getattr(nn, kind)(3, 4, batch_first=True)
        output, hidden = module(T.zeros(2, 5, 3))
        output.sum().backward()
        assert {x.dtype for x in [output, *flat(hidden)]} == {T.float32}
        assert {p.grad.dtype for p in module.parameters()} == {T.float32}


# Cells --------------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("bias", [True, False])
def test_cells_equal_one_step(kind, bias):
    cell = make(T, f"{kind}Cell", 3, 4, bias=bias)
    weights = [p.detach().numpy() for p in cell.parameters()] + [0.0, 0.0] * (not bias)
    x = numbers(2, 3)
    states = [numbers(2, 4, seed=5 + i) for i in range(2 if kind == "LSTM" else 1)]
    expected = [np.stack(s) for s in zip(*(
        one_step(kind, weights, x[b], [s[b] for s in states]) for b in range(2)
    ), strict=True)]  # fmt: skip
    found = cell(T.tensor(x), as_hx(kind, states))
    assert_close(values(found), expected)
    alone = cell(T.tensor(x[0]), as_hx(kind, [s[0] for s in states]))
    assert_close(values(alone), [s[0] for s in expected])
    zeros = as_hx(kind, [0 * s for s in states])
    assert_close(values(cell(T.tensor(x))), values(cell(T.tensor(x), zeros)))
    sum(x.sum() for x in flat(found)).backward()
    assert all(p.grad is not None for p in cell.parameters())


@pytest.mark.parametrize("kind", [*KINDS, "RNN_relu"])
def test_derivatives_of_cells(kind):
    name = f"{kind.removesuffix('_relu')}Cell" + ("_relu" if kind.endswith("relu") else "")
    cell = make(T, name, 3, 4)
    names = [name for name, _ in cell.named_parameters()]
    states = [numbers(2, 4, seed=5 + i) for i in range(2 if kind == "LSTM" else 1)]

    def run(*tensors):
        state, parameters = tensors[1 : 1 + len(states)], tensors[1 + len(states) :]
        hx = tuple(state) if kind == "LSTM" else state[0]
        return flat(functional_call(cell, dict(zip(names, parameters, strict=True)),
                                    (tensors[0], hx)))  # fmt: skip

    leaves = [T.tensor(x, requires_grad=True) for x in (numbers(2, 3), *states)]
    leaves += [p.detach().clone().requires_grad_() for p in cell.parameters()]
    assert autograd.gradcheck(run, leaves)


def test_rnn_cell_with_relu():
    cell = make(T, "RNNCell_relu", 3, 4)
    w, _, b, d = (p.detach().numpy() for p in cell.parameters())
    x = numbers(3)
    assert_close(values(cell(T.tensor(x))), [np.maximum(w @ x + b + d, 0)])
    assert isinstance(cell, nn.RNNCellBase)
    assert isinstance(nn.GRU(1, 1), nn.RNNBase)


# Mistakes -----------------------------------------------------------------------------------------

x32 = T.zeros(5, 2, 3)
MISTAKES = {
    "no steps": (lambda: nn.GRU(3, 4)(T.zeros(0, 2, 3)), RuntimeError,
                 "Expected sequence length to be larger than 0 in RNN"),
    "dtype": (lambda: nn.LSTM(3, 4)(x32.double()), ValueError,
              r"RNN input dtype \(.*float64\) does not match weight dtype \(.*float32\)"),
    "features": (lambda: nn.RNN(2, 4)(x32), RuntimeError,
                 r"input.size\(-1\) must be equal to input_size. Expected 2, got 3"),
    "axes": (lambda: nn.LSTM(3, 4)(T.zeros(3)), ValueError,
             "LSTM: Expected input to be 2D or 3D, got 1D"),
    "packed axes": (lambda: nn.LSTM(3, 4)(pack_padded_sequence(T.zeros(5, 2), [5, 5])),
                    RuntimeError, "input must have 2 dimensions, got 1"),
    "hx": (lambda: nn.GRU(3, 4)(x32, T.zeros(1, 3, 4)), RuntimeError,
           r"Expected hidden size \(1, 2, 4\), got \[1, 3, 4\]"),
    "hx of LSTM": (lambda: nn.LSTM(3, 4)(x32, (T.zeros(1, 2, 4), T.zeros(1, 2, 5))), RuntimeError,
                   r"Expected hidden\[1\] size \(1, 2, 4\), got \[1, 2, 5\]"),
    "hx not a pair": (lambda: nn.LSTM(3, 4)(x32, T.zeros(1, 2, 4)), RuntimeError, "a pair"),
    "hx dtype": (lambda: nn.GRU(3, 4)(x32, T.zeros(1, 2, 4).double()), RuntimeError,
                 "must have the same dtype"),
    "hx axes": (lambda: nn.GRU(3, 4)(x32, T.zeros(2, 4)), RuntimeError,
                "For batched 3-D input, hx should also be 3-D but got 2-D tensor"),
    "hx axes unbatched": (lambda: nn.LSTM(3, 4)(T.zeros(5, 3), (T.zeros(1, 1, 4),) * 2),
                          RuntimeError, "For unbatched 2-D input, hx and cx should also be 2-D but "
                          r"got \(3-D, 3-D\) tensors"),
    "nonlinearity": (lambda: nn.RNN(3, 4, nonlinearity="gelu"), ValueError,
                     "Unknown nonlinearity 'gelu'. Select from 'tanh' or 'relu'."),
    "projection": (lambda: nn.GRU(3, 4, proj_size=2), ValueError,
                   "proj_size argument is only supported for LSTM, not RNN or GRU"),
    "unknown": (lambda: nn.RNN(3, 4, size=2), TypeError, "unexpected keyword argument 'size'"),
    "mode": (lambda: nn.RNNBase("CNN", 3, 4), ValueError, "Unrecognized RNN mode: CNN"),
    "base": (lambda: nn.RNNBase("GRU", 3, 4)._forward(x32, None), NotImplementedError,
             "has no operation"),
    "dropout": (lambda: nn.LSTM(3, 4, 2, dropout=1.5), ValueError,
                r"dropout should be a number in range \[0, 1\]"),
    "dropout bool": (lambda: nn.LSTM(3, 4, 2, dropout=True), ValueError, "dropout should be"),
    "bias": (lambda: nn.LSTM(3, 4, bias=1), TypeError, "bias should be of type bool, got: int"),
    "batch_first": (lambda: nn.LSTM(3, 4, batch_first=1), TypeError, "batch_first should be"),
    "input_size": (lambda: nn.LSTM(3.0, 4), TypeError, "input_size should be of type int"),
    "no input_size": (lambda: nn.LSTM(0, 4), ValueError, "input_size must be greater than zero"),
    "no hidden_size": (lambda: nn.LSTM(3, 0), ValueError, "hidden_size must be greater than zero"),
    "no layers": (lambda: nn.LSTM(3, 4, 0), ValueError, "num_layers must be greater than zero"),
    "proj_size": (lambda: nn.LSTM(3, 4, proj_size=4), ValueError,
                  "proj_size has to be smaller than hidden_size"),
    "negative proj_size": (lambda: nn.LSTM(3, 4, proj_size=-1), ValueError,
                           "proj_size should be a positive integer or zero"),
    "cell features": (lambda: nn.GRUCell(3, 4)(T.zeros(2, 2)), RuntimeError,
                      "input has inconsistent input_size: got 2 expected 3"),
    "cell batch": (lambda: nn.GRUCell(3, 4)(T.zeros(2, 3), T.zeros(3, 4)), RuntimeError,
                   "Input batch size 2 doesn't match hidden0 batch size 3"),
    "cell hidden": (lambda: nn.LSTMCell(3, 4)(T.zeros(2, 3), (T.zeros(2, 4), T.zeros(2, 3))),
                    RuntimeError, "hidden1 has inconsistent hidden_size: got 3, expected 4"),
    "cell dtype": (lambda: nn.RNNCell(3, 4)(T.zeros(2, 3).double()), RuntimeError,
                   "mat1 and mat2 must have the same dtype"),
    "cell hx dtype": (lambda: nn.RNNCell(3, 4)(T.zeros(2, 3), T.zeros(2, 4).double()), RuntimeError,
                      "input and hx must have the same dtype"),
    "cell axes": (lambda: nn.RNNCell(3, 4)(T.zeros(1, 2, 3)), ValueError,
                  "RNNCell: Expected input to be 1D or 2D, got 3D instead"),
    "cell hx axes": (lambda: nn.LSTMCell(3, 4)(T.zeros(2, 3), (T.zeros(1, 2, 4),) * 2), ValueError,
                     r"LSTMCell: Expected hx\[0\] to be 1D or 2D, got 3D instead"),
    "cell nonlinearity": (lambda: nn.RNNCell(3, 4, nonlinearity="x")(T.zeros(3)), RuntimeError,
                          "Unknown nonlinearity: x"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name):
    call, error, text = MISTAKES[name]
    with pytest.raises(error, match=text):
        call()


def test_dropout_of_one_layer_warns():
    with pytest.warns(
        UserWarning, match="dropout option adds dropout after all but last"
    ) as caught:
        nn.LSTM(3, 4, dropout=0.5)
    assert caught[0].filename == __file__


# Against PyTorch ----------------------------------------------------------------------------------


def run_both(torch, kind, x, kwargs, call=None, tolerance=1e-12, dtype="float64"):
    """Outputs and gradients of both libraries agree; parameters go from there to here."""
    modules = [make(lib, kind, x.shape[-1], 4, **kwargs) for lib in (T, torch)]
    results = []
    for lib, module in zip((T, torch), modules, strict=True):
        module.to(getattr(lib, dtype))
        inputs = lib.tensor(x.astype(dtype), requires_grad=True)
        found = flat(call(lib, module, inputs) if call else module(inputs))
        loss = sum((y * lib.tensor(numbers(*y.shape, seed=9).astype(dtype))).sum()
                   for y in found if y.is_floating_point())  # fmt: skip
        loss.backward()
        grads = [p.grad.numpy() for p in (inputs, *module.parameters())]
        results.append(values(found) + grads)
    assert list(modules[0].state_dict()) == list(modules[1].state_dict())
    assert repr(modules[0]) == repr(modules[1])
    assert_close(*results, tolerance=tolerance)


@pytest.mark.peers
@pytest.mark.parametrize("kind", [*KINDS, "RNN_relu"])
@settings
def test_layers_equal_pytorch(torch, kind, name):
    run_both(torch, kind, numbers(5, 2, 3), SETTINGS[name])


@pytest.mark.peers
@kinds
def test_float32_equals_pytorch(torch, kind):
    run_both(torch, kind, numbers(5, 2, 3), SETTINGS["all"], None, 3e-6, "float32")


@pytest.mark.peers
def test_projection_equals_pytorch(torch):
    for bias in (True, False):
        kwargs = {"proj_size": 2, "num_layers": 2, "bidirectional": True, "bias": bias}
        run_both(torch, "LSTM", numbers(5, 2, 3), kwargs)


@pytest.mark.peers
@kinds
@pytest.mark.parametrize("lengths", [[5, 3, 3, 1], [1, 3, 5, 2]])
def test_packed_sequences_equal_pytorch(torch, kind, lengths):
    def call(lib, module, x):
        tools = packing if lib is T else lib.nn.utils.rnn
        packed = tools.pack_padded_sequence(x, lengths, True, lengths[0] == 5)
        output, hidden = module(packed)
        return [*output[:2], hidden, tools.pad_packed_sequence(output, True, -1.5, 6)]

    run_both(torch, kind, numbers(4, 5, 3), {"num_layers": 2, "bidirectional": True}, call)


@pytest.mark.peers
@pytest.mark.parametrize("kind", [*KINDS, "RNN_relu"])
@pytest.mark.parametrize("shape", [(2, 3), (3,), (0, 3)])
def test_cells_equal_pytorch(torch, kind, shape):
    name = f"{kind.removesuffix('_relu')}Cell" + ("_relu" if kind.endswith("relu") else "")

    def twice(lib, cell, x):
        return cell(x, cell(x))

    for kwargs in ({}, {"bias": False}):
        run_both(torch, name, numbers(*shape), kwargs, twice)


@pytest.mark.peers
@pytest.mark.parametrize("name", [n for n in MISTAKES if n not in ("base", "unknown", "hx dtype",
                                  "hx not a pair", "cell hx dtype", "packed axes")])  # fmt: skip
def test_messages_read_like_pytorchs(torch, name, monkeypatch):
    _, error, text = MISTAKES[name]
    for global_name, value in (("T", torch), ("nn", torch.nn), ("x32", torch.zeros(5, 2, 3))):
        monkeypatch.setitem(globals(), global_name, value)
    monkeypatch.setitem(globals(), "pack_padded_sequence", torch.nn.utils.rnn.pack_padded_sequence)
    with pytest.raises(error, match=text):
        MISTAKES[name][0]()


@pytest.mark.peers
def test_trained_here_the_same_there(torch):
    module = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    optimizer = T.optim.Adam(module.parameters(), lr=0.05)
    x = numbers(5, 2, 3).astype("float32")
    for _ in range(5):
        optimizer.zero_grad()
        module(T.tensor(x))[0].square().sum().backward()
        optimizer.step()
    theirs = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in module.state_dict().items()})
    assert_close(values(module(T.tensor(x))), values(theirs(torch.tensor(x))), 1e-5)
