"""What `fit`, `evaluate`, `predict` and `lr_range_test` are given: mistakes are told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..data.datasets import Dataset, IterableDataset
from ..nn.module import Module
from .run import Callback

__all__ = ["Metrics", "as_callbacks", "check_count", "check_loader", "check_model", "check_parts",
           "check_scheduler", "named"]  # fmt: skip

Metric = Callable[[Any, Any], Any]
Metrics = Mapping[str, Metric] | Iterable[Metric] | Metric
_TAKEN = ("epoch", "step", "lr", "loss")  # names of a History's own


def check_parts(who: str, model: Any, loss_fn: Any, optimizer: Any) -> None:
    """Raise TypeError for anything of another kind, ValueError for another model's optimizer."""
    if _is_optimizer(loss_fn) and not _is_optimizer(optimizer):
        raise TypeError(
            f"{who}: loss_fn and optimizer stand in each other's place; the order is "
            f"{who}(model, loss_fn, optimizer, ...), or give them by name"
        )
    check_model(who, model, loss_fn)
    if not _is_optimizer(optimizer):
        raise TypeError(
            f"{who}: optimizer must be an optimizer, such as optim.Adam(model.parameters()), but "
            f"is {_described(optimizer)}"
        )
    own = {id(p) for part in (model, loss_fn) if isinstance(part, Module)
           for p in part.parameters()}  # fmt: skip
    held = [p for group in optimizer.param_groups for p in group["params"]]
    if held and not any(id(p) in own for p in held):
        raise ValueError(
            f"{who}: none of the optimizer's {len(held)} parameters is the model's, so that it "
            f"would not be trained; make a {type(optimizer).__name__} of this model's "
            "model.parameters()"
        )


def check_model(who: str, model: Any, loss_fn: Any = max) -> None:
    """Raise TypeError unless the model is a Module, and the loss a function or one of its kind."""
    if not isinstance(model, Module):
        raise TypeError(f"{who}: model must be an nn.Module, but is {_described(model)}")
    if not callable(loss_fn) or isinstance(loss_fn, type):
        raise TypeError(
            f"{who}: loss_fn must be a function (output, target) -> loss, such as nn.MSELoss(), "
            f"but is {_described(loss_fn)}"
        )


def _is_optimizer(x: Any) -> bool:
    """Also for what wraps one; not for classes."""
    return not isinstance(x, type) and hasattr(x, "param_groups") and hasattr(x, "step")


def _described(x: Any) -> str:
    return f"the class {x.__name__}: call it" if isinstance(x, type) else f"a {type(x).__name__}"


def check_count(who: str, name: str, value: Any, least: int = 1) -> None:
    """Raise TypeError for what is not a whole number, ValueError for one below `least`."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{who}: {name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{who}: {name} must be at least {least}, got {value}")


def check_loader(who: str, name: str, loader: Any) -> None:
    """Raise TypeError for what gives no batches, but single samples, or nothing at all."""
    if isinstance(loader, (Dataset, IterableDataset)):
        raise TypeError(
            f"{who}: {name} is a {type(loader).__name__}, a dataset, which gives single samples; "
            "give a loader of batches: DataLoader(dataset, batch_size=32, shuffle=True)"
        )
    iterable = hasattr(loader, "__iter__") or hasattr(loader, "__getitem__")
    if not iterable or isinstance(loader, type):
        raise TypeError(
            f"{who}: {name} must give batches, as a DataLoader or a list of (inputs..., target) "
            f"does, but is {_described(loader)}"
        )


def check_scheduler(who: str, scheduler: Any, optimizer: Any) -> None:
    """Raise ValueError for a scheduler that would change the rates of another optimizer."""
    its = getattr(scheduler, "optimizer", optimizer)
    groups = {id(group) for group in optimizer.param_groups}
    if its is not optimizer and not any(id(group) in groups for group in its.param_groups):
        raise ValueError(
            f"{who}: the {type(scheduler).__name__} belongs to another optimizer than this "
            f"{type(optimizer).__name__}, whose rates it would leave alone; make it of this one"
        )


def named(who: str, metrics: Metrics | None) -> dict[str, Metric]:
    """Metrics by name; of functions in a list, or a single one, the names are their own.

    Raises TypeError for what cannot be called, ValueError for names that are taken.
    """
    if metrics is None:
        return {}
    if isinstance(metrics, Mapping):
        pairs = list(metrics.items())
    else:
        functions = [metrics] if callable(metrics) else list(metrics)
        pairs = [(_name_of(function), function) for function in functions]
    for name, function in pairs:
        if not callable(function) or isinstance(function, type):
            raise TypeError(
                f"{who}: metrics must be functions (output, target) -> number, but {name!r} is "
                f"{_described(function)}"
            )
        if name in _TAKEN or name.startswith("val_") or [name for name, _ in pairs].count(name) > 1:
            raise ValueError(
                f"{who}: a metric cannot be called {name!r}, which is taken; choose its name: "
                'metrics={"name": function}'
            )
    return dict(pairs)


def _name_of(function: Any) -> str:
    inner = getattr(function, "func", function)  # of a functools.partial
    return getattr(inner, "__name__", type(inner).__name__)


def as_callbacks(callbacks: Sequence[Callback] | Callback | None) -> list[Callback]:
    """A list of them, of one or of none. Raises TypeError for anything that is not a callback."""
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
        callbacks = [callbacks]
    found = list(callbacks)
    for callback in found:
        if isinstance(callback, type) or not hasattr(callback, "before_epoch"):
            raise TypeError(
                "fit: callbacks must be Callbacks, such as EarlyStopping(), but one is "
                f"{_described(callback)}"
            )
    return found
