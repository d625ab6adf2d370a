"""Adam for row-sparse gradients."""

from __future__ import annotations

import math
from typing import Any

from .. import kernels
from .checks import check_betas
from .optimizer import Optimizer

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Adam on the rows that the gradient names; other rows and their averages stand still.

    m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2  (-g if maximize)
    p = p - lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps)
    t counts the steps of the parameter, not of the row. Repeated rows of a gradient are added up.

    lr: step size > 0, a number or a one-element Tensor.  betas: each in [0, 1).  eps: > 0.
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

    rule = kernels.adam
    state_names = {"m": "exp_avg", "v": "exp_avg_sq"}  # noqa: RUF012

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, maximize=maximize))

    def check_settings(self, s: dict[str, Any]) -> None:
        if not float(s["lr"]) > 0:
            raise ValueError(f"SparseAdam: Invalid learning rate: {s['lr']} (must be positive)")
        if not s["eps"] > 0:
            raise ValueError(f"SparseAdam: Invalid epsilon value: {s['eps']} (must be positive)")
        check_betas("SparseAdam", s["betas"])

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

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        beta1, beta2 = group["betas"]
        sign = -1.0 if group["maximize"] else 1.0
        c1 = math.sqrt(1.0 - beta2**t) / (1.0 - beta1**t)
        averages = 1.0 - beta1, beta2, 1.0 - beta2
        return sign, 0.0, 1.0, float(group["lr"]), *averages, group["eps"], c1, 1.0

    def state_dict(self) -> dict[str, Any]:
        """As of all optimizers; with the step count as a Python int, as PyTorch has it here."""
        saved = super().state_dict()
        for entry in saved["state"].values():
            if "step" in entry:
                entry["step"] = int(entry["step"])
        return saved
