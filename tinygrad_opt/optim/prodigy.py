"""Prodigy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

from .. import kernels
from ..autograd.modes import enable_grad
from ..kernels.fused import reduce
from .flat import Run
from .optimizer import Optimizer
from .settings import Betas, Decoupled, LearningRate, Params, WeightDecay, above_zero, declared

__all__ = ["Prodigy"]

Stepped = tuple[dict[str, Any], kernels.UpdateRule, Run]


@declared
class Prodigy(Optimizer):
    """Prodigy: Adam whose step size is a growing estimate d of the distance to the solution.

    r = beta3 * r + (d / d0) * rate * <g, p0 - p>;  s = beta3 * s + (d / d0) * rate * g, the rate
    being d * lr;  d = max(d, d_coef * r / |s|_1).  m and v are Adam's averages of d * g, with the
    d before;  p = p - rate * m / (sqrt(v) + d * eps).
    r and d are those of all parameters together, so a step reduces over all, then steps.

    {settings}
    Groups may differ only by a lr of 0, which stands still.
    state: `step`, `s`, `p0` (where p began), `exp_avg` (m), `exp_avg_sq` (v).  The groups hold
    `d`, `d_max`, `d_numerator` (r), `d_denom`, `d_hat` and `k`, the number of steps.
    Raises ValueError for settings out of range, RuntimeError for groups of different lr.
    Source: Mishchenko & Defazio 2023, arXiv:2306.06101, Alg. 4, as in their package prodigyopt
    1.1.2 without slice_p; differs: there, groups with lr = 0 still decay.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Prodigy([w], d0=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.6838], requires_grad=True)
    """

    rule = kernels.prodigy
    state_names = {"m": "exp_avg", "v": "exp_avg_sq"}  # noqa: RUF012
    more_states = ("s", "p0")

    params: Params
    lr: Annotated[LearningRate, "leave it at 1, or let a schedule vary it"] = 1.0
    betas: Betas = (0.9, 0.999)
    beta3: Annotated[float | None, "in [0, 1); sqrt(beta2) if None"] = None
    eps: Annotated[float, above_zero, "> 0"] = 1e-8
    weight_decay: WeightDecay = 0
    decouple: Decoupled = True
    use_bias_correction: Annotated[bool, "the rate as Adam corrects it"] = False
    safeguard_warmup: Annotated[bool, "leave lr out of s, for schedules that warm up"] = False
    d0: Annotated[float, above_zero, "the first d, > 0"] = 1e-6
    d_coef: Annotated[float, above_zero, "to tune the method, change this; > 0"] = 1.0
    growth_rate: Annotated[
        float, above_zero, "d grows by no more than this factor a step, but for the first growth"
    ] = math.inf

    def _group_defaults(self, settings: dict[str, Any]) -> dict[str, Any]:
        d0 = settings["d0"]
        return {**super()._group_defaults(settings), **dict(d=d0, d_max=d0, d_numerator=0.0, k=0)}

    def check_settings(self, s: dict[str, Any]) -> None:
        super().check_settings(s)
        if s["beta3"] is not None and not 0 <= s["beta3"] < 1:
            raise ValueError(f"Prodigy: Invalid beta3 value: {s['beta3']} (must be in [0, 1))")

    def begin(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run) -> None:
        values, p0 = run.arrays[0], run.arrays[5]
        p0[...] = values

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient; like `Optimizer.step`."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        lr = self._common_lr()
        stepped = [s for s in self.runs() if float(s[0]["lr"]) > 0]
        first = self.param_groups[0]
        rate = first["d"] * lr * _bias_correction(first)
        before = first["d"]
        if not self._estimate(stepped, rate):
            return loss  # only zeros came: there is nothing to step by
        for group, rule, run in stepped:
            rule.launch(run.arrays[:4], self._step_coefficients(group, before, rate))
            run.finish(run.taken + 1)
        for group in self.param_groups:
            group["k"] += 1
        return loss

    def _common_lr(self) -> float:
        rates = [float(group["lr"]) for group in self.param_groups]
        if any(rate not in (0.0, max(rates)) for rate in rates):
            raise RuntimeError(
                "Prodigy: Setting different lr values in different parameter groups is only "
                f"supported for values of 0, got {rates}"
            )
        return max(rates)

    def _estimate(self, stepped: list[Stepped], rate: float) -> bool:
        """The reductions: a new d in all groups; False if all gradients were zero so far."""
        first = self.param_groups[0]
        d, d_max = first["d"], first["d_max"]
        numerator, denominator = _beta3(first) * first["d_numerator"], 0.0
        for group, _, run in stepped:
            change, size = self._sums(group, run, d, rate)
            numerator += change
            denominator += size
        if denominator == 0:
            return False
        estimate = first["d_coef"] * numerator / denominator
        if d == first["d0"]:
            d = max(d, estimate)
        d_max = max(d_max, estimate)
        d = min(d_max, d * first["growth_rate"])
        for group in self.param_groups:
            group.update(
                d=d, d_max=d_max, d_hat=estimate, d_numerator=numerator, d_denom=denominator
            )
        return True

    def _sums(self, group: dict[str, Any], run: Run, d: float, rate: float) -> tuple[float, float]:
        """What a run adds to the estimate's numerator and to its denominator."""
        p, g, _, _, s, p0 = run.arrays
        if group["weight_decay"] and not group["decouple"]:
            g = g.copy()
            kernels.step_along.launch((g, p), (1.0, -group["weight_decay"]))
        way = p0.copy()
        kernels.step_along.launch((way, p), (1.0, 1.0))
        growth = d / group["d0"]
        weight = growth * (d if group["safeguard_warmup"] else rate)
        kernels.prodigy_sum.launch((s, g), (_beta3(self.param_groups[0]), weight))
        # Added up parameter by parameter: how many a run holds depends on where memory lies, and
        # must not change a bit.
        change = size = 0.0
        products, lengths = reduce.dots(g, way, run.offsets), reduce.magnitudes(s, run.offsets)
        for product, length in zip(products.tolist(), lengths.tolist(), strict=True):
            change += growth * rate * product
            size += length
        return change, size

    def _step_coefficients(self, group: dict[str, Any], d: float, rate: float) -> tuple[float, ...]:
        beta1, beta2 = self.param_groups[0]["betas"]
        wd = group["weight_decay"]
        coupled, decay = (0.0, 1.0 - rate * wd) if group["decouple"] else (wd, 1.0)
        eps = group["d"] * group["eps"]
        new1, new2 = (1.0 - beta1) * d, (1.0 - beta2) * d * d
        return coupled, decay, rate, beta1, beta2, new1, new2, eps


def _beta3(group: dict[str, Any]) -> float:
    beta3 = group["beta3"]
    return float(math.sqrt(group["betas"][1]) if beta3 is None else beta3)


def _bias_correction(group: dict[str, Any]) -> float:
    if not group["use_bias_correction"]:
        return 1.0
    beta1, beta2 = group["betas"]
    t = group["k"] + 1
    return float(math.sqrt(1.0 - beta2**t) / (1.0 - beta1**t))
