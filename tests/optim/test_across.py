"""State dicts go across to PyTorch and come from there, in mid-training, for every optimizer."""

from __future__ import annotations

import numpy as np
import problem
import pytest
from table import OPTIMIZERS

import tinygrad_opt

pytestmark = pytest.mark.peers
HALF = 17


@pytest.fixture(autouse=True)
def _double_everywhere(torch):
    """With float64 as default dtype, numbers beside the parameters lose no digits in a load."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    tinygrad_opt.set_default_dtype(tinygrad_opt.float64)
    yield
    torch.set_default_dtype(before)  # ours is set back by the fixture of all tests


def half_way(library, cls, row):
    params = problem.parameters(library, "float64")
    optimizer = cls(params, **row.settings)
    problem.go_on(library, params, optimizer, range(HALF))
    return params, optimizer


@pytest.mark.parametrize("way", ["there", "here"])
@pytest.mark.parametrize("row", [r for r in OPTIMIZERS if r.twin], ids=lambda r: r.label)
def test_training_goes_on_in_the_other_library(torch, row, way):
    twin = getattr(torch.optim, row.twin)
    old, new = (tinygrad_opt, torch) if way == "there" else (torch, tinygrad_opt)
    first, second = (row.cls, twin) if way == "there" else (twin, row.cls)
    params, optimizer = half_way(old, first, row)
    saved = problem.converted(optimizer.state_dict(), new)

    others = [new.tensor(p.detach().numpy().copy()).requires_grad_() for p in params]
    other = second(others, lr=1e-5)
    other.load_state_dict(saved)
    assert other.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    for library, ps, o in ((old, params, optimizer), (new, others, other)):
        problem.go_on(library, ps, o, range(HALF, 2 * HALF))
    np.testing.assert_allclose(
        problem.result(others, other), problem.result(params, optimizer), rtol=1e-11, atol=1e-13
    )
    a, b = optimizer.state_dict()["state"], other.state_dict()["state"]
    assert {i: list(entry) for i, entry in a.items()} == {i: list(e) for i, e in b.items()}
