"""Makes optimizers.json: where every row of OPTIMIZERS ends after 100 steps in float64.

PyTorch's own optimizers give the rows that have a twin there; the textbook forms are computed
here, formula by formula, in plain Python floats. Nothing of tinygrad_opt's kernels takes part.

    make golden          (needs the extra `peers`)
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "optim"))
import problem
from table import OPTIMIZERS

TARGET = Path(__file__).with_name("optimizers.json")


def gradient_descent(p, g, state, t, lr):
    return p - lr * g


def momentum(p, g, state, t, lr, beta):
    state["v"] = beta * state.get("v", 0.0) + (1 - beta) * g
    return p - lr * state["v"]


def rmsprop(p, g, state, t, lr, beta, eps):
    state["s"] = beta * state.get("s", 0.0) + (1 - beta) * g**2
    return p - lr * g / math.sqrt(state["s"] + eps)


def adam(p, g, state, t, lr, betas, eps):
    b1, b2 = betas
    state["m"] = b1 * state.get("m", 0.0) + (1 - b1) * g
    state["v"] = b2 * state.get("v", 0.0) + (1 - b2) * g**2
    s = state["v"] / (1 - b2**t)
    return p - lr * state["m"] / math.sqrt(s + eps)


TEXTBOOK = {
    "textbook.GradientDescent": gradient_descent,
    "textbook.Momentum": momentum,
    "textbook.RMSprop": rmsprop,
    "textbook.Adam": adam,
}


def textbook_run(formula, settings, steps=100):
    values = problem.start()
    states = [[{} for _ in range(v.size)] for v in values]
    counts = [0] * len(values)
    for step in range(steps):
        for i, value in enumerate(values):
            g = problem.gradient(i, value, step)
            if g is None:
                continue
            counts[i] += 1
            values[i] = np.array([
                formula(p, dp, state, counts[i], **settings)
                for p, dp, state in zip(value.ravel().tolist(), g.ravel().tolist(), states[i],
                                        strict=True)
            ]).reshape(value.shape)  # fmt: skip
    return np.concatenate([v.ravel() for v in values])


def main():
    import torch

    golden = {}
    for row in OPTIMIZERS:
        if row.twin is None:
            end = textbook_run(TEXTBOOK[row.name], row.settings)
        else:
            cls = getattr(torch.optim, row.twin)
            end = problem.run(torch, lambda ps, c=cls, r=row: c(ps, **r.settings), "float64")
        golden[row.label] = end.tolist()
    TARGET.write_text(json.dumps(golden, indent=0) + "\n")
    print(f"{TARGET.name}: {len(golden)} rows")


if __name__ == "__main__":
    main()
