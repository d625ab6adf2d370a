"""One gradient whose square overflows, among ordinary ones: the values stay finite for ever."""

import numpy as np
import pytest
from table import OPTIMIZERS

import tinygrad_opt as tg
from tinygrad_opt import nn, optim

GRADIENTS = {"float32": (1.0, 1e20, 1.0, -1.0, 0.5), "float64": (1.0, 1e200, 1.0, -1.0, 0.5)}
LIBRARY = ["AdaBelief", "Adan", "ADOPT", "LAMB", "Prodigy", "SOAP", "Adafactor", "Lion"]
CASES = {
    "Adam": {}, "AdamW": {}, "Adam amsgrad": {"amsgrad": True}, "Adam decay": {"weight_decay": 0.1},
    "AdamW maximize": {"maximize": True}, "NAdam": {}, "Adamax": {}, "Adagrad": {},
    "Adadelta": {}, "RMSprop": {}, "RMSprop centered": {"centered": True},
    "RMSprop momentum": {"momentum": 0.9}, **{name: {} for name in LIBRARY},
}  # fmt: skip


@pytest.mark.parametrize("dtype", GRADIENTS)
@pytest.mark.parametrize("case", CASES)
def test_values_stay_finite(case, dtype):
    p = nn.Parameter(tg.ones(2, dtype=getattr(tg, dtype)))
    optimizer = getattr(optim, case.split()[0])([p], lr=0.01, **CASES[case])
    for g in GRADIENTS[dtype]:
        p.grad = tg.full((2,), g, dtype=p.dtype)
        optimizer.step()
    assert np.isfinite(p.detach().numpy()).all(), p


def test_the_cases_are_classes_of_the_table():
    assert {case.split()[0] for case in CASES} - set(LIBRARY) <= {row.name for row in OPTIMIZERS}


# Adam after 1, 1e20, 1, 1, -1 in float32, lr 0.01: PyTorch's values.
ADAM = [0.99, 0.982559, 0.976806, 0.972095, 0.968112]


def test_adam_goes_on_as_pytorch_does():
    p = nn.Parameter(tg.ones(1))
    optimizer = optim.Adam([p], lr=0.01)
    for g, expected in zip((1.0, 1e20, 1.0, 1.0, -1.0), ADAM, strict=True):
        p.grad = tg.tensor([g])
        optimizer.step()
        assert p.item() == pytest.approx(expected, abs=2e-6)
