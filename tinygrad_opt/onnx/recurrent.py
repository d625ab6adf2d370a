"""LSTM, GRU and RNN: one direction of one layer each.

`ops.recurrent` lays a layer's steps out as rows (steps * batch, features), and returns all in one
vector: the states of all steps, then the last ones. ONNX orders gates otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .graph import Graph, Value
from .operations import row

__all__: list[str] = []

_GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}  # of ours, in ONNX's order
_KINDS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}


@row("lstm", "gru", "rnn")
def _recurrent(g: Graph, e: Any) -> str:
    if e.given("w_hr") is not None:
        raise NotImplementedError("an LSTM with proj_size")
    order, batch = _GATES[e.name], e.batch
    w, r = (_ordered(g, x, order) for x in (e.w_ih, e.w_hh))
    rows, hidden = e.w_hh.shape
    b_ih, b_hh = (np.zeros(rows, e.dtype) if b is None else _constant(b) for b in (e.b_ih, e.b_hh))
    bias = np.concatenate([_parts(b, order) for b in (b_ih, b_hh)])[None]
    x = g("Reshape", e.x, g.ints([-1, batch, e.x.shape[1]]))
    states = [g("Unsqueeze", e.h, g.ints([0]))]
    if e.name == "lstm":
        states.append(g("Unsqueeze", e.c, g.ints([0])))
    settings: dict[str, Any] = {"direction": "reverse" if e.reverse else "forward"}
    if e.name == "gru":
        settings["linear_before_reset"] = 1
    if e.given("relu"):
        settings["activations"] = ["Relu"]
    made = g(
        _KINDS[e.name], x, w, r, g.constant(bias), None, *states, hidden_size=hidden,
        outputs=3 if e.name == "lstm" else 2, **settings,
    )  # fmt: skip
    flat = g.ints([-1])
    return g("Concat", *(g("Reshape", part, flat) for part in made), axis=0)


def _constant(x: Any) -> Any:
    if not isinstance(x, Value) or x.array is None:
        raise NotImplementedError("a recurrent layer whose weights are computed")
    return x.array


def _parts(array: Any, order: tuple[int, ...]) -> Any:
    gates = array.reshape(len(order), -1, *array.shape[1:])
    return gates[list(order)].reshape(array.shape)


def _ordered(g: Graph, weight: Any, order: tuple[int, ...]) -> str:
    return g.constant(_parts(_constant(weight), order)[None])
