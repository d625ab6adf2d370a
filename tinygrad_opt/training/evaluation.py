"""What a model says, and how well it does: the mean loss and metrics over a loader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..autograd.modes import no_grad
from ..core.tensor import Tensor
from ..functions import cat
from ..nn.module import Module
from ..optim.learning_rates import number
from ..optim.optimizer import Optimizer
from ..tensors.creation import as_tensor
from .checks import Metrics, check_count, check_loader, check_model, named
from .history import Means
from .progress import progress
from .put_back import modes_kept

__all__ = ["accuracy", "as_batch", "evaluate", "measure", "predict", "switch"]


@no_grad()
def evaluate(
    model: Module, loss_fn: Callable[[Any, Any], Any], loader: Iterable[Any],
    metrics: Metrics | None = None, *, quiet: bool = False,
) -> dict[str, float]:  # fmt: skip
    """The mean "loss" and metrics over all samples of `loader`, in eval mode; arguments as `fit`.

    The model's training modes are what they were afterwards. Raises ValueError without batches,
    TypeError for arguments of another kind.

    >>> from tinygrad_opt import nn, ones
    >>> evaluate(nn.Identity(), nn.MSELoss(), [(ones(3, 1), zeros(3, 1))])
    {'loss': 1.0}
    """
    check_model("evaluate", model, loss_fn)
    check_loader("evaluate", "loader", loader)
    measured = named("evaluate", metrics)
    seen = Means()
    with modes_kept(model):
        model.eval()
        for batch in progress(loader, "evaluating", quiet, leave=False):
            measure(model, loss_fn, measured, as_batch(model, batch, "evaluate"), seen)
    if not seen.weight:
        raise ValueError("evaluate: the loader gave no batches")
    return seen.result()


@no_grad()
def predict(model: Module, data: Any, *, batch_size: int = 256, quiet: bool = False) -> Any:
    """What the model says of all samples, in eval mode: its outputs, joined along the first axis.

    data: a Tensor or array, which is cut into pieces of `batch_size`; a tuple of them, for a model
    of several inputs; or a loader as `fit` takes it, of (inputs..., target) where the target is
    left out, or of the inputs alone.
    Outputs that are tuples or dicts are joined part by part; others come in a list.
    The model's training modes are what they were afterwards. Raises ValueError without samples,
    TypeError for a dataset in place of a loader.

    >>> from tinygrad_opt import nn, ones
    >>> predict(nn.Flatten(), ones(3, 2, 2)).shape
    torch.Size([3, 4])
    """
    check_model("predict", model)
    check_loader("predict", "data", data)
    check_count("predict", "batch_size", batch_size)
    batches: Any = _cut(data, batch_size) if _is_batch(data) else data
    with modes_kept(model):
        model.eval()
        outputs = [
            model(*_moved(model, _inputs(batch)))
            for batch in progress(batches, "predicting", quiet, leave=False)
        ]
    if not outputs:
        raise ValueError("predict: there were no samples")
    return _joined(outputs)


def _is_array(x: Any) -> bool:
    return hasattr(x, "shape") and hasattr(x, "dtype")


def _is_batch(data: Any) -> bool:
    return _is_array(data) or (isinstance(data, tuple) and all(map(_is_array, data)))


def _cut(data: Any, size: int) -> list[Any]:
    """Batches of the inputs alone; an empty one of empty data, whose outputs have a shape too."""
    parts = [as_tensor(x) for x in (data if isinstance(data, tuple) else (data,))]
    starts = range(0, max(len(parts[0]), 1), size)
    return [[*(x[i : i + size] for x in parts), None] for i in starts]


def _inputs(batch: Any) -> list[Any]:
    """What the model is called with: a batch without its target, if it has one."""
    if not isinstance(batch, (tuple, list)):
        return [batch]
    return list(batch) if len(batch) == 1 else list(batch[:-1])


def _joined(outputs: list[Any]) -> Any:
    first = outputs[0]
    if isinstance(first, Tensor) and first.ndim:
        return cat(outputs)
    if isinstance(first, Mapping):
        return {key: _joined([output[key] for output in outputs]) for key in first}
    if isinstance(first, (tuple, list)):
        return tuple(_joined(list(parts)) for parts in zip(*outputs, strict=True))
    return outputs


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    """The share of samples whose largest output is at `target`: (batch, classes), (batch,) ints.

    >>> accuracy(tensor([[0.1, 0.9], [0.8, 0.2]]), tensor([1, 1]))
    tensor(0.5000)
    """
    return (output.argmax(1) == target).float().mean()


def as_batch(model: Module, batch: Any, who: str = "fit") -> list[Tensor]:
    """(inputs..., target) as Tensors on the model's device."""
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise ValueError(
            f"{who}: a batch must be a tuple (inputs..., target), but is a {type(batch).__name__}; "
            "one batch of all data is the list [(x, y)], many are "
            "DataLoader(TensorDataset(x, y), batch_size=32)"
        )
    return _moved(model, batch)


def _moved(model: Module, batch: Iterable[Any]) -> list[Tensor]:
    device = next((p.device for p in model.parameters()), None)
    tensors = [as_tensor(x) for x in batch]
    return [x if device is None else x.to(device) for x in tensors]


def measure(
    model: Any, loss_fn: Any, metrics: Mapping[str, Any], batch: list[Tensor], seen: Means
) -> Any:
    """The loss of a batch; its number, and what the metrics say, go to `seen`."""
    *inputs, target = batch
    output = model(*inputs)
    loss = loss_fn(output, target)
    if not isinstance(loss, Tensor):
        raise TypeError(f"loss_fn must return a Tensor of one number, got {_shown(loss)}")
    values = {"loss": loss.item()}
    if metrics:
        with no_grad():
            for name, fn in metrics.items():
                values[name] = _number(name, fn(output, target))
    seen.add(len(inputs[0]), **values)
    return loss


def _number(metric: str, value: Any) -> float:
    """What a metric returned, as a float; TypeError, with its name, where that is not a number."""
    try:
        if not isinstance(value, (str, bytes)):  # "0.5" would pass
            return float(number(value))
    except (TypeError, ValueError, RuntimeError):
        pass
    raise TypeError(
        f"the metric {metric!r} must return one number, or a Tensor of one, got {_shown(value)}"
    )


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a Tensor of shape {tuple(value.shape)}"
    text = repr(value)
    return f"{text if len(text) < 60 else text[:57] + '...'} ({type(value).__name__})"


def switch(optimizer: Optimizer, mode: str) -> None:
    """Puts optimizers that have modes into one: "train" or "eval" (the schedule-free ones)."""
    getattr(optimizer, mode, lambda: None)()
