"""What PyTorch does not have, written out in NumPy from the papers, with nothing of tinygrad_opt.

A formula takes one parameter and its gradient as float64 arrays, a dict to keep its state in, and
the number t of this parameter's step (1, 2, ...); state["k"] counts the steps of the whole problem.
It returns the new parameter. The papers' order and letters, no arithmetic saved.
"""

from __future__ import annotations

import numpy as np

sqrt = np.sqrt


def average(state, name, beta, x):
    """state[name] becomes beta * itself + (1 - beta) * x, from zero."""
    state[name] = beta * state.get(name, 0.0 * x) + (1 - beta) * x
    return state[name]


def cautious_step(step, g, cautious):
    """Liang et al. 2024, Alg. 1, lines 7 and 8: the step that the paper calls u, masked."""
    if not cautious:
        return step
    mask = (step * g > 0).astype(float)
    return step * mask / max(mask.mean(), 1e-3)


# Textbooks ----------------------------------------------------------------------------------------


def gradient_descent(p, g, state, t, lr):
    return p - lr * g


def momentum(p, g, state, t, lr, beta):
    return p - lr * average(state, "v", beta, g)


def rmsprop(p, g, state, t, lr, beta, eps):
    return p - lr * g / sqrt(average(state, "s", beta, g**2) + eps)


def adam(p, g, state, t, lr, betas, eps):
    m, v = average(state, "m", betas[0], g), average(state, "v", betas[1], g**2)
    return p - lr * m / sqrt(v / (1 - betas[1] ** t) + eps)


# Cautious forms of PyTorch's optimizers -----------------------------------------------------------


def sgd(p, g, state, t, lr, momentum, weight_decay, cautious):
    g = g + weight_decay * p
    state["b"] = momentum * state["b"] + g if t > 1 else g
    return p - cautious_step(lr * state["b"], g, cautious)


def rmsprop_momentum(p, g, state, t, lr, momentum, cautious):
    scaled = g / (sqrt(average(state, "s", 0.99, g**2)) + 1e-8)
    state["b"] = momentum * state.get("b", 0.0) + scaled
    return p - cautious_step(lr * state["b"], g, cautious)


def moments(state, g, t, betas=(0.9, 0.999)):
    """Adam's m and v, corrected."""
    m, v = average(state, "m", betas[0], g), average(state, "v", betas[1], g**2)
    return m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)


def adam_coupled(p, g, state, t, lr, weight_decay, cautious):
    g = g + weight_decay * p
    m, v = moments(state, g, t)
    return p - cautious_step(lr * m / (sqrt(v) + 1e-8), g, cautious)


def adamw(p, g, state, t, lr, weight_decay, cautious):
    m, v = moments(state, g, t)
    return p - lr * weight_decay * p - cautious_step(lr * m / (sqrt(v) + 1e-8), g, cautious)


def adamax(p, g, state, t, lr, cautious):
    m = average(state, "m", 0.9, g) / (1 - 0.9**t)
    state["u"] = np.maximum(0.999 * state.get("u", 0.0), abs(g) + 1e-8)
    return p - cautious_step(lr * m / state["u"], g, cautious)


def nadam(p, g, state, t, lr, cautious):
    m, v = average(state, "m", 0.9, g), average(state, "v", 0.999, g**2) / (1 - 0.999**t)
    mu, mu_next = (0.9 * (1 - 0.5 * 0.96 ** (s * 4e-3)) for s in (t, t + 1))
    # PyTorch keeps the product of the mu's in float32, and so does its twin here.
    product = state["product"] = np.float32(state.get("product", 1.0)) * np.float32(mu)
    product = float(product)
    look_ahead = mu_next * m / (1 - product * mu_next) + (1 - mu) * g / (1 - product)
    return p - cautious_step(lr * look_ahead / (sqrt(v) + 1e-8), g, cautious)


def radam(p, g, state, t, lr, cautious):
    m, v = average(state, "m", 0.9, g) / (1 - 0.9**t), average(state, "v", 0.999, g**2)
    longest = 2 / (1 - 0.999) - 1
    length = longest - 2 * t * 0.999**t / (1 - 0.999**t)
    step = lr * m
    if length > 5:
        r = ((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length)
        step = step * sqrt(r) * sqrt(1 - 0.999**t) / (sqrt(v) + 1e-8)
    return p - cautious_step(step, g, cautious)


# Optimizers that PyTorch does not have ------------------------------------------------------------


def lion(p, g, state, t, lr, betas=(0.9, 0.99), weight_decay=0.0, maximize=False, cautious=False):
    """Chen et al. 2023, Algorithm 2."""
    g = -g if maximize else g
    m = state.get("m", 0.0)
    c = betas[0] * m + (1 - betas[0]) * g
    state["m"] = betas[1] * m + (1 - betas[1]) * g
    return p - lr * weight_decay * p - cautious_step(lr * np.sign(c), g, cautious)


def adan(
    p, g, state, t, lr, betas=(0.98, 0.92, 0.99), eps=1e-8, weight_decay=0.0, maximize=False,
    cautious=False,
):  # fmt: skip
    """Xie et al. 2022, Algorithm 1, in which a beta is 1 - ours; averages divided by 1 - beta^t."""
    g = -g if maximize else g
    change = g - state.get("g", g)
    state["g"] = g
    m = average(state, "m", betas[0], g) / (1 - betas[0] ** t)
    d = average(state, "d", betas[1], change) / (1 - betas[1] ** t)
    n = average(state, "n", betas[2], (g + betas[1] * change) ** 2) / (1 - betas[2] ** t)
    step = lr / (sqrt(n) + eps) * (m + betas[1] * d)
    shrink = 1 / (1 + lr * weight_decay)
    return shrink * p - cautious_step(shrink * step, g, cautious)


def adopt(
    p, g, state, t, lr, betas=(0.9, 0.9999), eps=1e-6, clip_lambda=lambda step: step**0.25,
    weight_decay=0.0, decouple=False, maximize=False, cautious=False,
):  # fmt: skip
    """Taniguchi et al. 2024, Algorithm 2."""
    g = -g if maximize else g
    if not decouple:
        g = g + weight_decay * p
    if t == 1:
        state["v"] = g**2
        return p
    scaled = g / np.maximum(sqrt(state["v"]), eps)
    if clip_lambda is not None:
        scaled = np.clip(scaled, -clip_lambda(t - 1), clip_lambda(t - 1))
    m = average(state, "m", betas[0], scaled)
    average(state, "v", betas[1], g**2)
    kept = p - lr * weight_decay * p if decouple else p
    return kept - cautious_step(lr * m, g, cautious)


def adabelief(
    p, g, state, t, lr, betas=(0.9, 0.999), eps=1e-16, weight_decay=0.0,
    decoupled_weight_decay=True, maximize=False, cautious=False,
):  # fmt: skip
    """Zhuang et al. 2020, Algorithm 2."""
    g = -g if maximize else g
    if not decoupled_weight_decay:
        g = g + weight_decay * p
    m = average(state, "m", betas[0], g)
    s = state["s"] = average(state, "s", betas[1], (g - m) ** 2) + eps
    step = lr * (m / (1 - betas[0] ** t)) / (sqrt(s / (1 - betas[1] ** t)) + eps)
    kept = p - lr * weight_decay * p if decoupled_weight_decay else p
    return kept - cautious_step(step, g, cautious)


def schedule_free(p, n, state, lr, beta, warmup_steps, r, weight_lr_power):
    """Defazio et al. 2024, eqs. 3 to 5, along n; all three sequences kept; returns the next y."""
    k = state["k"]
    rates = [lr * min(i / warmup_steps, 1.0) if warmup_steps else lr for i in range(1, k + 1)]
    weights = [i**r * max(rates[:i]) ** weight_lr_power for i in range(1, k + 1)]
    c = weights[-1] / sum(weights)
    z, x = state.get("z", p), state.get("x", p)
    state["z"] = z - rates[-1] * n
    state["x"] = (1 - c) * x + c * state["z"]
    return (1 - beta) * state["z"] + beta * state["x"]


def sgd_schedule_free(
    p, g, state, t, lr, momentum=0.9, weight_decay=0.0, warmup_steps=0, r=0.0, weight_lr_power=2.0,
    maximize=False,
):  # fmt: skip
    g = (-g if maximize else g) + weight_decay * p
    return schedule_free(p, g, state, lr, momentum, warmup_steps, r, weight_lr_power)


def adamw_schedule_free(
    p, g, state, t, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, warmup_steps=0, r=0.0,
    weight_lr_power=2.0, maximize=False,
):  # fmt: skip
    g = -g if maximize else g
    v = average(state, "v", betas[1], g**2) / (1 - betas[1] ** state["k"])
    n = g / (sqrt(v) + eps) + weight_decay * p
    return schedule_free(p, n, state, lr, betas[0], warmup_steps, r, weight_lr_power)


FORMULAS = {
    "textbook.GradientDescent": gradient_descent,
    "textbook.Momentum": momentum,
    "textbook.RMSprop": rmsprop,
    "textbook.Adam": adam,
    "SGD": sgd,
    "RMSprop": rmsprop_momentum,
    "Adam": adam_coupled,
    "AdamW": adamw,
    "Adamax": adamax,
    "NAdam": nadam,
    "RAdam": radam,
    "Lion": lion,
    "Adan": adan,
    "ADOPT": adopt,
    "AdaBelief": adabelief,
    "SGDScheduleFree": sgd_schedule_free,
    "AdamWScheduleFree": adamw_schedule_free,
}
