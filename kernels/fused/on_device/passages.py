"""Texts of CUDA kernels that take recurrent layers through all time steps: one launch each way.

A block takes one sequence, with its state in shared memory: h W_hh^T, the gates and the new state
of one step after the other, where array code has a matrix product and a kernel for each. For narrow
layers, whose matrix fits the cache: `arrays/gpu.py` leaves wider ones to cuBLAS.

z, the product of the inputs with their weights, holds the rows of all steps one after the other,
from `starts[t]` to `starts[t + 1]` those of step t; the formulas, and what `sizes` mean, are in
`passages.py` and `recurrent.py` beside this. `w` is W_hh^T forwards, (H, gates H), and W_hh
backwards, (gates H, H). y is flat: the outputs of all rows, then the final states. `before` takes h
before each row, for the gradient of W_hh; `last` what else is needed of a row.
"""

from __future__ import annotations

from .pieces import SIGMOID

__all__ = ["TEXTS", "WIDEST"]

WIDEST = 256  # features of the state

_BLOCK = """\
    t, threads = int64(cuda.threadIdx.x), int64(cuda.blockDim.x)
    s = int64(cuda.blockIdx.x)
    h = cuda.shared.array(256, {dtype})
    state = cuda.shared.array(256, {dtype})
    product = cuda.shared.array(1024, {dtype})
"""

_FORWARD = (
    _BLOCK
    + """\
    for j in range(t, H, threads):
        h[j] = h_start[s * H + j]
        [begin]
    cuda.syncthreads()
    for step in range(T):
        now = T - 1 - step if reverse == 1 else step
        row = starts[now] + s
        if row < starts[now + 1]:
            for m in range(t, [gates] * H, threads):
                total = u_bias[m] if biased == 1 else zero
                for j in range(H):
                    total += h[j] * w[j * ([gates] * H) + m]
                product[m] = total
            cuda.syncthreads()
            for j in range(t, H, threads):
                at, one_of = row * ([gates] * H) + j, row * H + j
                before[one_of] = h[j]
[step]\
                h[j] = new
                y[one_of] = new
            cuda.syncthreads()
    for j in range(t, H, threads):
        y[(rows + s) * H + j] = h[j]
        [end]
"""
)

# Each of `parts` groups of threads adds up its share of the gates for all of h.
_BACKWARD = (
    _BLOCK
    + """\
    part_sums = cuda.shared.array(1024, {dtype})
    parts = max(int64(1), threads // H)
    for j in range(t, H, threads):
        h[j] = g[(rows + s) * H + j]
        [begin]
    cuda.syncthreads()
    for step in range(T):
        now = step if reverse == 1 else T - 1 - step
        row = starts[now] + s
        if row < starts[now + 1]:
            for j in range(t, H, threads):
                at, one_of = row * ([gates] * H) + j, row * H + j
                dh = h[j] + g[one_of]
                direct = zero
[step]\
                h[j] = direct
            cuda.syncthreads()
            for m in range(t, parts * H, threads):
                first = (m // H) * ([gates] * H) // parts
                last_one = (m // H + 1) * ([gates] * H) // parts
                total = zero
                for q in range(first, last_one):
                    total += product[q] * w[q * H + m % H]
                part_sums[m] = total
            cuda.syncthreads()
            for j in range(t, H, threads):
                total = h[j]
                for q in range(parts):
                    total += part_sums[q * H + j]
                h[j] = total
            cuda.syncthreads()
    for j in range(t, H, threads):
        dh_start[s * H + j] = h[j]
        [end]
"""
)


def _text(form: str, head: str, gates: int, step: str, begin: str = "", end: str = "") -> str:
    lines = "".join(f"                {line}\n" for line in step.splitlines())
    for name, value in (("gates", str(gates)), ("begin", begin), ("end", end)):
        text = form.replace(f"        [{name}]\n", f"        {value}\n" if value else "")
        form = text.replace(f"[{name}]", value)
    return head + form.replace("[step]", lines)


_SIZES = "H, T, sequences, rows, reverse, biased"

# biased: whether there is a bias of the sum (rnn, lstm), or of h's part of it (gru).
TEXTS = {
    "rnn_passage": ("ddddidd", "q" * 7, _text(
        _FORWARD,
        f"def rnn_passage(z, u_bias, w, h_start, starts, before, y, {_SIZES}, relu):\n", 1, """\
new = z[at] + product[j]
if relu == 1:
    new = zero if new <= zero else new
else:
    new = math.tanh(new)
""")),
    "rnn_passage_back": ("dddidd", "q" * 7, _text(
        _BACKWARD, f"def rnn_passage_back(g, y, w, starts, dz, dh_start, {_SIZES}, relu):\n", 1,
        """\
new = y[one_of]
if relu == 1:
    d = dh * (one if new > zero else zero)
else:
    d = dh * (one - new * new)
product[j] = d
dz[at] = d
""")),
    "lstm_passage": ("dddddidddd", "q" * 6, _text(
        _FORWARD,
        "def lstm_passage(z, u_bias, w, h_start, c_start, starts, gates, before, last, y, "
        f"{_SIZES}):\n", 4, f"""\
i = {SIGMOID.format("z[at] + product[j]")}
f = {SIGMOID.format("z[at + H] + product[j + H]")}
c = math.tanh(z[at + 2 * H] + product[j + 2 * H])
o = {SIGMOID.format("z[at + 3 * H] + product[j + 3 * H]")}
gates[at], gates[at + H], gates[at + 2 * H], gates[at + 3 * H] = i, f, c, o
last[one_of] = state[j]
state[j] = f * state[j] + i * c
new = math.tanh(state[j])
last[rows * H + one_of] = new
new *= o
""", "state[j] = c_start[s * H + j]", "y[(rows + sequences + s) * H + j] = state[j]")),
    "lstm_passage_back": ("ddddiddd", "q" * 6, _text(
        _BACKWARD,
        "def lstm_passage_back(g, gates, last, w, starts, dz, dh_start, dc_start, "
        f"{_SIZES}):\n", 4, """\
i, f, c, o = gates[at], gates[at + H], gates[at + 2 * H], gates[at + 3 * H]
squashed = last[rows * H + one_of]
d = state[j] + dh * o * (one - squashed * squashed)
product[j] = d * c * i * (one - i)
product[j + H] = d * last[one_of] * f * (one - f)
product[j + 2 * H] = d * i * (one - c * c)
product[j + 3 * H] = dh * squashed * o * (one - o)
state[j] = d * f
dz[at], dz[at + H] = product[j], product[j + H]
dz[at + 2 * H], dz[at + 3 * H] = product[j + 2 * H], product[j + 3 * H]
""", "state[j] = g[(rows + sequences + s) * H + j]", "dc_start[s * H + j] = state[j]")),
    "gru_passage": ("ddddidddd", "q" * 6, _text(
        _FORWARD,
        f"def gru_passage(z, u_bias, w, h_start, starts, gates, before, last, y, {_SIZES}):\n", 3,
        f"""\
r = {SIGMOID.format("z[at] + product[j]")}
keep = {SIGMOID.format("z[at + H] + product[j + H]")}
last[one_of] = product[j + 2 * H]
new = math.tanh(z[at + 2 * H] + r * product[j + 2 * H])
gates[at], gates[at + H], gates[at + 2 * H] = r, keep, new
new = new + keep * (h[j] - new)
""")),
    "gru_passage_back": ("dddddiddd", "q" * 6, _text(
        _BACKWARD,
        "def gru_passage_back(g, gates, before, last, w, starts, dz, du, dh_start, "
        f"{_SIZES}):\n", 3, """\
r, keep, new = gates[at], gates[at + H], gates[at + 2 * H]
dn = dh * (one - keep) * (one - new * new)
dr = dn * last[one_of] * r * (one - r)
dk = dh * (before[one_of] - new) * keep * (one - keep)
dz[at], dz[at + H], dz[at + 2 * H] = dr, dk, dn
du[at], du[at + H], du[at + 2 * H] = dr, dk, dn * r
product[j], product[j + H], product[j + 2 * H] = dr, dk, dn * r
direct = dh * keep
""")),
}  # fmt: skip
