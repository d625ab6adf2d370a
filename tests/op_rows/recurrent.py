"""Rows of recurrent layers: the references go step by step, sequence by sequence."""

import numpy as np
from op_rows.rows import Row, np_sigmoid, of

from tinygrad_opt import ops

SIZES = (3, 2, 2)  # three sequences, of 3, 3 and 1 steps


def np_layer(cell, x, state, sizes, reverse):
    """Outputs and final states, flat; `cell` takes one input and the state of one sequence."""
    starts = np.cumsum([0, *sizes])
    state = [s.copy() for s in state]
    outputs = np.empty((len(x), state[0].shape[1]))
    for b in range(sizes[0]):
        steps = [t for t in range(len(sizes)) if sizes[t] > b]
        for t in reversed(steps) if reverse else steps:
            new = cell(x[starts[t] + b], *(s[b] for s in state))
            for s, value in zip(state, new, strict=True):
                s[b] = value
            outputs[starts[t] + b] = new[0]
    return np.concatenate([outputs.ravel(), *(s.ravel() for s in state)])


def np_rnn(activation=np.tanh, reverse=False):
    def reference(x, h, w, u, b, d):
        return np_layer(lambda x, h: [activation(w @ x + b + u @ h + d)], x, [h], SIZES, reverse)

    return reference


def np_gru(reverse=False):
    def reference(x, h, w, u, b, d):
        def cell(x, h):
            r, z, n = np.split(w @ x + b, 3)
            hr, hz, hn = np.split(u @ h + d, 3)
            r, z = np_sigmoid(r + hr), np_sigmoid(z + hz)
            return [(1 - z) * np.tanh(n + r * hn) + z * h]

        return np_layer(cell, x, [h], SIZES, reverse)

    return reference


def np_lstm(reverse=False):
    def reference(x, h, c, w, u, b, d, v=None):
        def cell(x, h, c):
            i, f, g, o = np.split(w @ x + b + u @ h + d, 4)
            c = np_sigmoid(f) * c + np_sigmoid(i) * np.tanh(g)
            h = np_sigmoid(o) * np.tanh(c)
            return [h if v is None else v @ h, c]

        return np_layer(cell, x, [h, c], SIZES, reverse)

    return reference


def layer(name, bias=True, **params):
    """Ours, from tensors (x, state, weights and biases)."""

    def call(m, *tensors):
        inputs = [*tensors] if bias else [*tensors, None, None]
        inputs += [None] * (name == "lstm" and len(inputs) == 7)
        return getattr(ops, name)(*inputs, sizes=SIZES, **params)

    return call


def peer(name, reverse=False):
    """PyTorch's functions know no single backward direction: turn the sequences around instead."""

    def call(torch, x, *tensors):
        states = 2 if name == "lstm" else 1
        state, weights = [s[None] for s in tensors[:states]], tensors[states:]
        sizes = torch.tensor(SIZES)
        index = torch.tensor([7 - 2, 8 - 2, 2, 3, 4, 0, 1]) if reverse else torch.arange(7)
        function = getattr(torch._VF, name)
        y, *final = function(x[index], sizes, state if states == 2 else state[0], weights,
                             len(weights) > 3, 1, 0.0, False, False)  # fmt: skip
        return torch.cat([y[index].ravel(), *(s.ravel() for s in final)])

    return call


def shapes(gates, states=1, hidden=2, out=2, bias=2):
    state = [(3, out), (3, hidden)][:states]
    weights = [(gates * hidden, 2), (gates * hidden, out)]
    return of((7, 2), *state, *weights, *[(gates * hidden,)] * bias)


def projected(rng):
    arrays = shapes(4, 2, hidden=3)(rng)
    return (*arrays, rng.standard_normal((2, 3)))


def relu(z):
    return np.maximum(z, 0)


def no_bias(reference):
    return lambda *arrays: reference(*arrays, 0.0, 0.0)


RECURRENT = [
    Row("rnn", layer("rnn"), shapes(1), np_rnn(), peer("rnn_tanh")),
    Row("rnn: relu", layer("rnn", relu=True), shapes(1), np_rnn(relu), peer("rnn_relu")),
    Row("rnn: reverse", layer("rnn", reverse=True), shapes(1), np_rnn(reverse=True),
        peer("rnn_tanh", reverse=True)),
    Row("rnn: no bias", layer("rnn", bias=False), shapes(1, bias=0), no_bias(np_rnn()),
        peer("rnn_tanh")),
    Row("gru", layer("gru"), shapes(3), np_gru(), peer("gru")),
    Row("gru: reverse", layer("gru", reverse=True), shapes(3), np_gru(reverse=True),
        peer("gru", reverse=True)),
    Row("gru: no bias", layer("gru", bias=False), shapes(3, bias=0), no_bias(np_gru()),
        peer("gru")),
    Row("lstm", layer("lstm"), shapes(4, 2), np_lstm(), peer("lstm")),
    Row("lstm: reverse", layer("lstm", reverse=True), shapes(4, 2), np_lstm(reverse=True),
        peer("lstm", reverse=True)),
    Row("lstm: no bias", layer("lstm", bias=False), shapes(4, 2, bias=0), no_bias(np_lstm()),
        peer("lstm")),
    Row("lstm: projection", layer("lstm"), projected, np_lstm(), peer("lstm")),
]  # fmt: skip
