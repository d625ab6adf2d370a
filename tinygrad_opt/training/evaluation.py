"""How well a model does: the mean loss and metrics over a loader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._tensor import Tensor
from ..autograd.modes import no_grad
from ..creation import as_tensor
from ..nn.module import Module
from ..optim.optimizer import Optimizer
from ..optim.rates import number
from .extras import progress
from .history import Means
from .snapshot import modes_kept

__all__ = ["Metrics", "accuracy", "as_batch", "evaluate", "measure", "switch"]

Metrics = Mapping[str, Callable[[Any, Any], Any]]


@no_grad()
def evaluate(
    model: Module, loss_fn: Callable[[Any, Any], Any], loader: Iterable[Any],
    metrics: Metrics | None = None, *, quiet: bool = False,
) -> dict[str, float]:  # fmt: skip
    """The mean "loss" and metrics over all samples of `loader`, in eval mode; arguments as `fit`.

    The model's training modes are what they were afterwards. Raises ValueError without batches.

    >>> from tinygrad_opt import nn, ones
    >>> evaluate(nn.Identity(), nn.MSELoss(), [(ones(3, 1), zeros(3, 1))])
    {'loss': 1.0}
    """
    seen = Means()
    with modes_kept(model):
        model.eval()
        for batch in progress(loader, "evaluating", quiet, leave=False):
            measure(model, loss_fn, metrics or {}, as_batch(model, batch), seen)
    if not seen.weight:
        raise ValueError("evaluate: the loader gave no batches")
    return seen.result()


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    """The share of samples whose largest output is at `target`: (batch, classes), (batch,) ints.

    >>> accuracy(tensor([[0.1, 0.9], [0.8, 0.2]]), tensor([1, 1]))
    tensor(0.5000)
    """
    return (output.argmax(1) == target).float().mean()


def as_batch(model: Module, batch: Any) -> list[Tensor]:
    """(inputs..., target) as Tensors on the model's device."""
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise ValueError(
            f"fit: a batch must be a tuple (inputs..., target), but is a {type(batch).__name__}"
        )
    device = next((p.device for p in model.parameters()), None)
    tensors = [as_tensor(x) for x in batch]
    return [x if device is None else x.to(device) for x in tensors]


def measure(model: Any, loss_fn: Any, metrics: Metrics, batch: list[Tensor], seen: Means) -> Any:
    """The loss of a batch; its number, and what the metrics say, go to `seen`."""
    *inputs, target = batch
    output = model(*inputs)
    loss = loss_fn(output, target)
    values = {"loss": loss.item()}
    if metrics:
        with no_grad():
            values |= {name: float(number(fn(output, target))) for name, fn in metrics.items()}
    seen.add(len(inputs[0]), **values)
    return loss


def switch(optimizer: Optimizer, mode: str) -> None:
    """Puts optimizers that have modes into one: "train" or "eval" (the schedule-free ones)."""
    getattr(optimizer, mode, lambda: None)()
