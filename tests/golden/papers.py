"""Optimizers that PyTorch does not have, written out from their papers in plain NumPy float64.

Each is a function of all parameters at once: `step(values, grads, memory, t, **settings)` changes
the arrays in place; a missing gradient is None, `t` counts the steps of each parameter, `memory`
is a dict for each parameter and one (the last) for all. Written for reading, and without a look at
the code in `tinygrad_opt`: the formulas are those of the papers and of the authors' code.
"""

from __future__ import annotations

import math

import numpy as np
import problem
import reducing


def norm(x):
    return math.sqrt(float((x * x).sum()))


def lamb(values, grads, memory, t, lr, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0,
         bias_correction=True, adapt=True, trust_clip=None, maximize=False):  # fmt: skip
    """You et al. 2019, arXiv:1904.00962v5, Algorithm 2, with phi(z) = z."""
    beta1, beta2 = betas
    for i, (x, g) in enumerate(zip(values, grads, strict=True)):
        if g is None:
            continue
        g = -g if maximize else g
        s = memory[i]
        s["m"] = beta1 * s.get("m", 0.0) + (1 - beta1) * g
        s["v"] = beta2 * s.get("v", 0.0) + (1 - beta2) * g**2
        m, v = s["m"], s["v"]
        if bias_correction:
            m, v = m / (1 - beta1 ** t[i]), v / (1 - beta2 ** t[i])
        u = m / (np.sqrt(v) + eps) + weight_decay * x
        ratio = norm(x) / norm(u) if adapt and norm(x) > 0 and norm(u) > 0 else 1.0
        if adapt and trust_clip is not None:
            ratio = min(ratio, trust_clip)
        x -= lr * ratio * u


def lars(values, grads, memory, t, lr, momentum=0.9, weight_decay=0.0, trust_coefficient=1e-3,
         eps=0.0, adapt=True, maximize=False):  # fmt: skip
    """You, Gitman & Ginsburg 2017, arXiv:1708.03888v3, Algorithm 1 and equation 6."""
    for i, (w, g) in enumerate(zip(values, grads, strict=True)):
        if g is None:
            continue
        local = 1.0
        if adapt and norm(w) > 0 and norm(g) > 0:
            local = trust_coefficient * norm(w) / (norm(g) + weight_decay * norm(w) + eps)
        g = -g if maximize else g
        v = momentum * memory[i].get("v", 0.0) + lr * local * (g + weight_decay * w)
        memory[i]["v"] = v
        w -= v


def prodigy(values, grads, memory, t, lr=1.0, betas=(0.9, 0.999), beta3=None, eps=1e-8,
            weight_decay=0.0, decouple=True, use_bias_correction=False, safeguard_warmup=False,
            d0=1e-6, d_coef=1.0, growth_rate=math.inf):  # fmt: skip
    """Mishchenko & Defazio 2023, arXiv:2306.06101, Algorithm 4, with prodigyopt 1.1.2's options."""
    beta1, beta2 = betas
    beta3 = math.sqrt(beta2) if beta3 is None else beta3
    common = memory[-1]
    d, d_max, k = common.get("d", d0), common.get("d_max", d0), common.get("k", 0)
    rate = d * lr
    if use_bias_correction:
        rate *= math.sqrt(1 - beta2 ** (k + 1)) / (1 - beta1 ** (k + 1))
    r, total = beta3 * common.get("r", 0.0), 0.0
    present = [i for i, g in enumerate(grads) if g is not None]
    grads = list(grads)
    for i in present:
        s, x = memory[i], values[i]
        if weight_decay and not decouple:
            grads[i] = grads[i] + weight_decay * x
        s.setdefault("x0", x.copy())
        g = grads[i]
        r += (d / d0) * rate * float((g * (s["x0"] - x)).sum())
        s["m"] = beta1 * s.get("m", 0.0) + (1 - beta1) * d * g
        s["v"] = beta2 * s.get("v", 0.0) + (1 - beta2) * d**2 * g**2
        s["s"] = beta3 * s.get("s", 0.0) + (d / d0) * (d if safeguard_warmup else rate) * g
        total += float(np.abs(s["s"]).sum())
    estimate = d_coef * r / total
    if d == d0:
        d = max(d, estimate)
    d_max = max(d_max, estimate)
    d = min(d_max, d * growth_rate)
    common.update(d=d, d_max=d_max, r=r, k=k + 1)
    for i in present:
        s, x = memory[i], values[i]
        if decouple:
            x -= rate * weight_decay * x
        x -= rate * s["m"] / (np.sqrt(s["v"]) + d * eps)


def soap(values, grads, memory, t, lr, betas=(0.95, 0.95), shampoo_beta=-1, eps=1e-8,
         weight_decay=0.01, precondition_frequency=10, max_precond_dim=10000,
         precondition_1d=False, correct_bias=True):  # fmt: skip
    """Vyas et al. 2024, arXiv:2409.11321v2, Algorithm 3: m in the parameter's own coordinates.

    As in the authors' code: the first step only sets up; Adam's correction multiplies the step;
    the bases change after the step; v is put in the order of the eigenvalues with them.
    """
    beta1, beta2 = betas
    beta = shampoo_beta if shampoo_beta >= 0 else beta2
    for i, (w, g) in enumerate(zip(values, grads, strict=True)):
        if g is None:
            continue
        s, n = memory[i], t[i] - 1
        if n == 0:
            s["L"] = [gram(g, a) * (1 - beta) for a in range(w.ndim)]
            s["on"] = [
                (w.ndim > 1 or precondition_1d) and size <= max_precond_dim for size in w.shape
            ]
            s["Q"] = [
                np.linalg.eigh(x)[1][:, ::-1] if on else np.eye(len(x))
                for x, on in zip(s["L"], s["on"], strict=True)
            ]
            s["m"], s["v"] = np.zeros_like(w), np.zeros_like(w)
            continue
        s["m"] = beta1 * s["m"] + (1 - beta1) * g
        s["v"] = beta2 * s["v"] + (1 - beta2) * turn(g, s["Q"]) ** 2
        step = lr
        if correct_bias:
            step *= math.sqrt(1 - beta2**n) / (1 - beta1**n)
        adam = turn(s["m"], s["Q"]) / (np.sqrt(s["v"]) + eps)
        w -= step * turn(adam, [q.T for q in s["Q"]])
        w -= lr * weight_decay * w
        s["L"] = [beta * x + (1 - beta) * gram(g, a) for a, x in enumerate(s["L"])]
        if n % precondition_frequency == 0:
            for a in range(w.ndim):
                if s["on"][a]:
                    follow(s, a)


def gram(g, axis):
    """Sum of g's outer products along one axis."""
    others = [a for a in range(g.ndim) if a != axis]
    return np.tensordot(g, g, axes=(others, others))


def turn(x, bases):
    """q' times x along every axis."""
    for axis, q in enumerate(bases):
        x = np.moveaxis(np.tensordot(q, x, axes=(0, axis)), 0, axis)
    return x


def follow(s, axis):
    """One power iteration, in the order of the falling Rayleigh quotients, made orthogonal."""
    power = s["L"][axis] @ s["Q"][axis]
    order = np.argsort(np.diag(s["Q"][axis].T @ power))[::-1]
    s["v"] = np.take(s["v"], order, axis)
    s["Q"][axis] = np.linalg.qr(power[:, order])[0]


def run(row):
    """What `reducing.run` returns, by the functions above."""
    values = reducing.start(row)
    memory, t = [{} for _ in range(len(values) + 1)], [0] * len(values)
    for step in range(problem.STEPS):
        grads = [reducing.gradient(row, i, x, step) for i, x in enumerate(values)]
        t = [n + (g is not None) for n, g in zip(t, grads, strict=True)]
        PAPERS[row.name](values, grads, memory, t, **row.settings)
    return np.concatenate([x.ravel() for x in values])


PAPERS = {"LAMB": lamb, "LARS": lars, "Prodigy": prodigy, "SOAP": soap}
