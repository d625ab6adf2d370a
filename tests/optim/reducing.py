"""REDUCING: the optimizers whose step needs a norm, a mean or a matrix, and where they are tested.

Muon takes matrices only. Its steps are nearly signs, and SOAP's bases turn where eigenvalues come
close: rounding would send a run elsewhere, so their gradients do not look at the parameters. SOAP's
shapes are such that no eigenvalue comes twice, or its first bases would be LAPACK's choice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import problem
from table import Row

SHAPES = {"Muon": [(3, 2), (2, 3), (4, 4)], "SOAP": [(2,), (2, 3), (2, 2, 3)]}

SETTINGS = {
    "Adafactor": [
        {},
        dict(lr=0.05),
        dict(lr=0.05, beta2_decay=-0.5),
        dict(lr=0.05, eps=(0.3, 1e-3)),
        dict(lr=0.05, eps=(None, 1.0)),
        dict(lr=0.05, d=1.3),
        dict(lr=0.05, weight_decay=0.1),
        dict(lr=0.05, maximize=True),
        dict(lr=0.2, beta2_decay=-0.6, d=1.1, weight_decay=0.05, eps=(1e-3, 1.5), maximize=True),
    ],
    "Muon": [
        dict(lr=0.02),
        dict(lr=0.02, weight_decay=0.3),
        dict(lr=0.02, momentum=0.8),
        dict(lr=0.02, momentum=0.3),
        dict(lr=0.02, nesterov=False),
        dict(lr=0.02, ns_coefficients=(2.0, -1.5, 0.5)),
        dict(lr=0.02, eps=2.0),
        dict(lr=0.02, ns_steps=3),
        dict(lr=0.02, adjust_lr_fn="match_rms_adamw"),
    ],
    "LAMB": [
        dict(lr=0.02),
        dict(lr=0.02, betas=(0.7, 0.95)),
        dict(lr=0.02, eps=1e-2),
        dict(lr=0.02, weight_decay=0.1),
        dict(lr=0.02, bias_correction=False),
        dict(lr=0.02, adapt=False),
        dict(lr=0.02, trust_clip=0.5),
        dict(lr=0.02, maximize=True),
        dict(lr=0.02, betas=(0.5, 0.9), weight_decay=0.2, trust_clip=1.0, maximize=True),
    ],
    "LARS": [
        dict(lr=10.0),
        dict(lr=10.0, momentum=0.5),
        dict(lr=10.0, weight_decay=0.1),
        dict(lr=2.0, trust_coefficient=0.01),
        dict(lr=10.0, eps=0.1),
        dict(lr=0.01, adapt=False),
        dict(lr=10.0, maximize=True, weight_decay=0.3),
    ],
    "Prodigy": [
        dict(d0=1e-2),
        dict(d0=1e-2, lr=0.5),
        dict(d0=1e-2, betas=(0.8, 0.95)),
        dict(d0=1e-2, beta3=0.9),
        dict(d0=1e-2, eps=1e-2),
        dict(d0=1e-2, weight_decay=0.1),
        dict(d0=1e-2, weight_decay=0.1, decouple=False),
        dict(d0=1e-2, use_bias_correction=True),
        dict(d0=1e-2, lr=0.5, safeguard_warmup=True),
        dict(d0=1e-2, d_coef=0.5),
        dict(d0=1e-2, growth_rate=1.02),
    ],
    "SOAP": [
        dict(lr=0.02),
        dict(lr=0.02, betas=(0.9, 0.97)),
        dict(lr=0.02, shampoo_beta=0.7),
        dict(lr=0.02, eps=1e-2),
        dict(lr=0.02, weight_decay=0.3),
        dict(lr=0.02, precondition_frequency=3),
        dict(lr=0.02, max_precond_dim=2),
        dict(lr=0.02, precondition_1d=True),
        dict(lr=0.02, correct_bias=False),
    ],
}
REDUCING = [Row(name, s) for name, settings in SETTINGS.items() for s in settings]
LABELS = [row.label for row in REDUCING]


def start(row: Row) -> list[np.ndarray]:
    shapes = SHAPES.get(row.name, problem.SHAPES)
    return [np.cos(np.arange(np.prod(s)).reshape(s) + 3.0 * i) for i, s in enumerate(shapes)]


def gradient(row: Row, i: int, value: np.ndarray, step: int) -> np.ndarray | None:
    return problem.gradient(i, start(row)[i] if row.name in SHAPES else value, step)


def parameters(library: Any, row: Row, dtype: str) -> list[Any]:
    kind = getattr(library, dtype)
    return [library.tensor(v, dtype=kind).requires_grad_() for v in start(row)]


def go_on(library: Any, row: Row, params: list[Any], optimizer: Any, steps: range) -> None:
    for step in steps:
        for i, p in enumerate(params):
            g = gradient(row, i, p.detach().numpy(), step)
            p.grad = None if g is None else library.tensor(g, dtype=p.dtype)
        optimizer.step()


def values(params: list[Any]) -> np.ndarray:
    return np.concatenate([p.detach().numpy().astype(np.float64).ravel() for p in params])


def run(
    library: Any, row: Row, make_optimizer: Any, dtype: str, steps: int = problem.STEPS
) -> np.ndarray:
    """All parameters after `steps` steps of `make_optimizer(params, **settings)`, in float64."""
    params = parameters(library, row, dtype)
    go_on(library, row, params, make_optimizer(params, **row.settings), range(steps))
    return values(params)


def in_full_precision(patch: Any, torch: Any) -> None:
    """Keeps PyTorch's Muon from rounding to bfloat16; `patch` is pytest's monkeypatch."""
    patch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
