"""Makes optimizers.json and reducing.json: where every row of OPTIMIZERS and of REDUCING ends.

That is after 200 steps in float64. PyTorch's own optimizers give the rows that have a twin there;
`formulas.py` and `papers.py` spell the others out.
Nothing of tinygrad_opt's kernels takes part.

    make golden          (needs the extra `peers`)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "optim"))
import problem
import pytest
import reducing
from formulas import FORMULAS
from papers import run as run_paper
from table import OPTIMIZERS

TARGET = Path(__file__).with_name("optimizers.json")


def run(formula, settings):
    """What `problem.run` returns, by a formula: parameters, in schedule-free optimizers their x."""
    values = problem.start()
    states = [{} for _ in values]
    counts = [0] * len(values)
    for step in range(problem.STEPS):
        for i, value in enumerate(values):
            g = problem.gradient(i, value, step)
            if g is None:
                continue
            counts[i] += 1
            states[i]["k"] = step + 1
            values[i] = formula(value, g, states[i], counts[i], **settings)
    ends = [state.get("x", value) for state, value in zip(states, values, strict=True)]
    return np.concatenate([v.ravel() for v in ends])


def write(path, golden):
    """One line a row: another setting is one more line."""
    rows = [f"{json.dumps(label)}: {json.dumps(end)}" for label, end in golden.items()]
    path.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    print(f"{path.name}: {len(golden)} rows")


def main():
    import torch

    golden = {}
    for row in OPTIMIZERS:
        if row.twin is None:
            end = run(FORMULAS[row.name], row.settings)
        else:
            cls = getattr(torch.optim, row.twin)
            end = problem.run(torch, lambda ps, c=cls, r=row: c(ps, **r.settings), "float64")
        golden[row.label] = end.tolist()
    write(TARGET, golden)
    make_reducing(torch)


def make_reducing(torch):
    golden = {}
    with pytest.MonkeyPatch.context() as patch:
        reducing.in_full_precision(patch, torch)
        for row in reducing.REDUCING:
            twin = getattr(torch.optim, row.twin) if row.twin else None
            end = run_paper(row) if twin is None else reducing.run(torch, row, twin, "float64")
            golden[row.label] = end.tolist()
    write(TARGET.with_name("reducing.json"), golden)


if __name__ == "__main__":
    main()
