"""ADOPT, Adan, and Adam for row-sparse gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY
from typing import Annotated, Any

from .. import kernels
from .flat import Run
from .optimizer import Optimizer
from .settings import (
    Betas,
    Cautious,
    Decoupled,
    Epsilon,
    LearningRate,
    Maximize,
    Params,
    StateDtype,
    WeightDecay,
    below_one,
    declared,
    positive,
)

__all__ = ["ADOPT", "Adan", "SparseAdam"]


def _fourth_root(step: int) -> float:
    """step^(1/4): how far, in ADOPT's step 1, 2, ..., a scaled gradient may reach."""
    return float(step**0.25)


@declared
class ADOPT(Optimizer):
    """ADOPT: Adam that scales each gradient by the past ones alone, so that any beta2 converges.

    g = grad + weight_decay * p  (-grad if maximize);  the first step only sets v = g^2; then
    n = g / max(sqrt(v), eps), clipped to [-c, c];  m = beta1 * m + (1 - beta1) * n
    p = p - lr * m;  v = beta2 * v + (1 - beta2) * g^2

    {settings}
    clip_lambda maps the step (1 for the first that moves p) to c; None: no clipping; "fourth_root":
    c = step^(1/4). A function of one's own is not part of state dicts.
    state: `step`, `exp_avg` (m), `exp_avg_sq` (v).  Raises ValueError for settings out of range.
    Source: Taniguchi et al. 2024, arXiv:2411.02853v3, Alg. 2, the revision that clips; decay as in
    the authors' code.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = ADOPT([w], lr=0.1)
    >>> for _ in range(2): optimizer.zero_grad(); (w * w).sum().backward(); optimizer.step(); w
    tensor([1.], requires_grad=True)
    tensor([0.9900], requires_grad=True)
    """

    rule = kernels.adopt
    state_names = {"m": "exp_avg", "v": "exp_avg_sq"}  # noqa: RUF012

    params: Params
    lr: LearningRate = 1e-3
    betas: Betas = (0.9, 0.9999)
    eps: Epsilon = 1e-6
    clip_lambda: Annotated[Callable[[int], float] | str | None, "how c is found"] = "fourth_root"
    weight_decay: WeightDecay = 0.0
    decouple: Decoupled = False
    _: KW_ONLY
    maximize: Maximize = False
    cautious: Cautious = False
    state_dtype: StateDtype = None

    def check_settings(self, s: dict[str, Any]) -> None:
        super().check_settings(s)
        _clip(s["clip_lambda"])

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        if t == 1:  # v becomes g^2, and nothing else happens
            return self.usual(
                group, t, decay=1.0, lr=0.0, omb1=0.0, b2=0.0, omb2=1.0, eps=1.0, clip=1.0
            )
        return self.usual(group, t, clip=_clip(group["clip_lambda"])(t - 1))


_CLIPS = {"fourth_root": _fourth_root, None: lambda step: math.inf}


def _clip(clip_lambda: Any) -> Callable[[int], float]:
    """The function from the step to c."""
    function = clip_lambda if callable(clip_lambda) else _CLIPS.get(clip_lambda)
    if function is None:
        raise ValueError(
            f"ADOPT: Invalid clip_lambda value: {clip_lambda!r} (must be a function of the step, "
            "'fourth_root' or None)"
        )
    return function


# SparseAdam ---------------------------------------------------------------------------------------


@declared
class SparseAdam(Optimizer):
    """Adam on the rows that the gradient names; other rows and their averages stand still.

    m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2  (-g if maximize)
    p = p - lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps)
    t counts the steps of the parameter, not of the row. Repeated rows of a gradient are added up.

    {settings}
    state: `step`, in state dicts a Python int; `exp_avg` (m), `exp_avg_sq` (v), both dense.
    Raises ValueError for settings out of range and for parameters that are sparse themselves,
    RuntimeError for a dense gradient.
    Source: PyTorch's SparseAdam, after Kingma & Ba 2015, arXiv:1412.6980, the end of section 2
    ("efficiency can be improved ..."); eps is not divided by sqrt(1 - beta2^t).

    >>> from tinygrad_opt import sparse_coo_tensor
    >>> w = tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = SparseAdam([w], lr=0.1)
    >>> w.grad = sparse_coo_tensor([[1, 1]], [3.0, 4.0], (2,))
    >>> optimizer.step(); w
    tensor([1.0000, 1.9000], requires_grad=True)
    """

    own_coefficients = {  # noqa: RUF012
        "wd": "0.0", "decay": "1.0", "c1": "sqrt(1.0 - beta2**t) / (1.0 - beta1**t)", "c2": "1.0",
    }  # fmt: skip
    rule = kernels.adam
    state_names = {"m": "exp_avg", "v": "exp_avg_sq"}  # noqa: RUF012

    params: Params
    lr: Annotated[LearningRate, positive, "and not 0"] = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Annotated[float, positive, "keeps the division finite, > 0"] = 1e-8
    maximize: Maximize = False

    def takes_rows(self, group: dict[str, Any]) -> bool:
        return True

    def runs(self) -> Any:
        for i, group in enumerate(self.param_groups):
            for j, p in enumerate(group["params"]):
                if p._grad is not None and not p._grad.is_sparse:
                    raise RuntimeError(
                        "SparseAdam does not support dense gradients, please consider Adam "
                        f"instead: param_groups[{i}]['params'][{j}] has one"
                    )
        return super().runs()

    def state_dict(self) -> dict[str, Any]:
        """As of all optimizers; with the step count as a Python int, as PyTorch has it here."""
        saved = super().state_dict()
        for entry in saved["state"].values():
            if "step" in entry:
                entry["step"] = int(entry["step"])
        return saved


# Adan ---------------------------------------------------------------------------------------------


@declared
class Adan(Optimizer):
    """Adan: Adam with Nesterov's look ahead, estimated from how the gradient changes.

    g = grad  (-grad if maximize);  c = g - last g, 0 in the first step;  n = g + beta2 * c
    m = beta1 * m + (1 - beta1) * g;  d = beta2 * d + (1 - beta2) * c
    v = beta3 * v + (1 - beta3) * n^2;  each divided by 1 - beta^t:  M, D, V
    p = (p - lr * (M + beta2 * D) / (sqrt(V) + eps)) / (1 + lr * weight_decay)

    {settings}
    state: `step`, `exp_avg` (m), `exp_avg_diff` (d), `exp_avg_sq` (v), `pre_grad` (last g).
    Raises ValueError for settings out of range.
    Source: Xie et al. 2022, arXiv:2208.06677v4, Alg. 1; differs: the averages' start at 0 is
    corrected, as in the authors' code, and there is no restart.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Adan([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.9000], requires_grad=True)
    """

    own_coefficients = {  # noqa: RUF012
        "decay": "1.0 / (1.0 + lr * weight_decay)",
        "cm": "lr / (1.0 - beta1**t)",
        "cd": "lr * beta2 / (1.0 - beta2**t)",
    }
    rule = kernels.adan
    state_names = {  # noqa: RUF012
        "m": "exp_avg", "d": "exp_avg_diff", "v": "exp_avg_sq", "b": "pre_grad",
    }  # fmt: skip

    params: Params
    lr: LearningRate = 1e-3
    betas: Annotated[tuple[float, float, float], below_one, "each in [0, 1); 1 - the paper's"] = (
        0.98, 0.92, 0.99,
    )  # fmt: skip
    eps: Epsilon = 1e-8
    weight_decay: WeightDecay = 0.0
    _: KW_ONLY
    maximize: Maximize = False
    cautious: Cautious = False
    state_dtype: StateDtype = None

    def begin(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run) -> None:
        gradient = run.arrays[1]
        run.begin_with(5, -gradient if group["maximize"] else gradient)
