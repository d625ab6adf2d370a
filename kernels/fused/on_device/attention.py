"""Texts of the CUDA kernels for attention: forward in one launch, backward in two.

A block takes one query of one head (in the last kernel one key): its scores, their softmax, and
the mixed values. Query, key, value and the result are read and written where they lie, given by
(where the first element lies, and how far apart two samples, heads and rows are), so that the
product of a packed projection needs neither to be cut nor to be put together. What is kept are the
weights p (samples, heads, L, S). For problems so small that matrix products would cost the host
more than the device: `arrays/gpu.py` leaves larger ones to cuBLAS.

The formula is `attention.py` beside this.
"""

from __future__ import annotations

from .pieces import BLOCK, LARGEST, added

__all__ = ["TEXTS"]


def _places(*names: str) -> str:
    """The scalars that say where an array's elements lie."""
    return ", ".join(f"{name}0, {name}s, {name}h, {name}r" for name in names)


_SIZES = "scale, L, S, E, V, heads, causal, masked, factored"
_PLANES = "ms, mh, mr, mc, fs, fh, fr, fc"

# Of query row: sample n, head h, query i; `seen` keys.
_QUERY = (
    BLOCK
    + """\
    i = row % L
    h = (row // L) % heads
    sample = row // (L * heads)
    at = row * S
    seen = min(S, i + 1) if causal == 1 else S
    query = q0 + sample * qs + h * qh + i * qr
    keys = k0 + sample * ks + h * kh
    values = v0 + sample * vs + h * vh
    added_at = sample * ms + h * mh + i * mr
    times_at = sample * fs + h * fh + i * fr
"""
)

_FORWARD = (
    "def attention(q, k, v, mask, factor, p, y, "
    + _SIZES
    + ", "
    + _places("q", "k", "v", "y")
    + ", "
    + _PLANES
    + "):\n"
    + _QUERY
    + """\
    top = -infinity
    for j in range(t, S, threads):
        if j < seen:
            z = zero
            for d in range(E):
                z += q[query + d] * k[keys + j * kr + d]
            z *= scale
            if masked == 1:
                z += mask[added_at + j * mc]
            top = max(top, z)
            p[at + j] = z
        else:
            p[at + j] = zero
"""
    + LARGEST
    + """\
    part = zero
    for j in range(t, seen, threads):
        e = math.exp(p[at + j] - top)
        p[at + j] = e
        part += e
"""
    + added("part", "total")
    + """\
    for j in range(t, seen, threads):
        p[at + j] /= total
    cuda.syncthreads()
    for d in range(t, V, threads):
        mixed = zero
        for j in range(seen):
            w = p[at + j]
            if factored == 1:
                w *= factor[times_at + j * fc]
            mixed += w * v[values + j * vr + d]
        y[y0 + sample * ys + h * yh + i * yr + d] = mixed
"""
)

# ds: the gradient of query key^T; and that of the query
_BACKWARD = (
    "def attention_back(q, k, v, factor, p, g, ds, dq, "
    + _SIZES
    + ", "
    + _places("q", "k", "v", "g")
    + ", dq0, dqs, dqh, dqr, fs, fh, fr, fc):\n"
    + _QUERY.replace("    added_at = sample * ms + h * mh + i * mr\n", "").replace(
        "    query = q0 + sample * qs + h * qh + i * qr\n",
        "    slope = g0 + sample * gs + h * gh + i * gr\n",
    )
    + """\
    part = zero
    for j in range(t, S, threads):
        d = zero
        if j < seen:
            for c in range(V):
                d += g[slope + c] * v[values + j * vr + c]
            if factored == 1:
                d *= factor[times_at + j * fc]
            part += d * p[at + j]
        ds[at + j] = d
"""
    + added("part", "total")
    + """\
    for j in range(t, seen, threads):
        ds[at + j] = p[at + j] * (ds[at + j] - total) * scale
    cuda.syncthreads()
    for c in range(t, E, threads):
        d = zero
        for j in range(seen):
            d += ds[at + j] * k[keys + j * kr + c]
        dq[dq0 + sample * dqs + h * dqh + i * dqr + c] = d
"""
)

# of key row: the gradients of a key and of a value
_BACKWARD_KEYS = (
    "def attention_back_keys(q, factor, p, g, ds, dk, dv, L, S, E, V, heads, causal, factored, "
    + _places("q", "g", "dk", "dv")
    + ", fs, fh, fr, fc):\n"
    + """\
    t, threads = int64(cuda.threadIdx.x), int64(cuda.blockDim.x)
    row = int64(cuda.blockIdx.x)
    j = row % S
    h = (row // S) % heads
    sample = row // (S * heads)
    first = min(j, L) if causal == 1 else int64(0)
    at = (sample * heads + h) * L * S + j
    for c in range(t, E + V, threads):
        d = zero
        if c < E:
            for i in range(first, L):
                d += ds[at + i * S] * q[q0 + sample * qs + h * qh + i * qr + c]
            dk[dk0 + sample * dks + h * dkh + j * dkr + c] = d
        else:
            for i in range(first, L):
                w = p[at + i * S]
                if factored == 1:
                    w *= factor[sample * fs + h * fh + i * fr + j * fc]
                d += w * g[g0 + sample * gs + h * gh + i * gr + c - E]
            dv[dv0 + sample * dvs + h * dvh + j * dvr + c - E] = d
"""
)

TEXTS = {
    "attention": ("ddddddd", "d" + "q" * 8 + "q" * 16 + "q" * 8, _FORWARD),
    "attention_back": ("dddddddd", "d" + "q" * 8 + "q" * 20 + "q" * 4, _BACKWARD),
    "attention_back_keys": ("ddddddd", "q" * 7 + "q" * 16 + "q" * 4, _BACKWARD_KEYS),
}
