"""Calling a module with other tensors than its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .. import ops
from ..core.tensor import wrap_plain

__all__ = ["functional_call", "stack_module_state"]


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: dict[str, Any] | Sequence[dict[str, Any]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with the given tensors in place of its parameters and buffers.

    `parameter_and_buffer_dicts`: path -> Tensor, or several such dicts; names that are missing keep
    their own values (an error if `strict`). `args`: a tuple, or a single argument. `tie_weights`:
    one tensor registered under two names is replaced under both.
    """
    given = parameter_and_buffer_dicts
    merged: dict[str, Any] = {}
    for part in [given] if isinstance(given, dict) else given:
        if repeated := merged.keys() & part.keys():
            raise ValueError(f"{sorted(repeated)[0]} appears in multiple dictionaries; behavior of "
                             "functional call is ambiguous")  # fmt: skip
        merged.update(part)
    places = _places(module)
    _check(places, merged, strict)
    if tie_weights:
        merged = _tied(places, merged)
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(places, merged):
        return module(*args, **(kwargs or {}))


def _places(module: Any) -> dict[str, tuple[Any, str, Any]]:
    """path -> (the module that has it, its name there, the tensor itself)."""
    found: dict[str, tuple[Any, str, Any]] = {}
    for path, owner in module.named_modules(remove_duplicate=False):
        for name, value in (*owner._parameters.items(), *owner._buffers.items()):
            if value is not None:
                found[f"{path}.{name}" if path else name] = (owner, name, value)
    return found


def _check(places: dict[str, Any], given: dict[str, Any], strict: bool) -> None:
    unknown = [key for key in given if key not in places]
    missing = [key for key in places if key not in given]
    if unknown or (strict and missing):
        raise RuntimeError(
            "functional_call: Error(s) in the names: unexpected key(s): "
            f"{', '.join(unknown) or 'none'}; missing key(s): {', '.join(missing) or 'none'}"
        )


def _tied(places: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    by_tensor = {id(places[key][2]): value for key, value in given.items()}
    more = {key: by_tensor[id(x)] for key, (_, _, x) in places.items() if id(x) in by_tensor}
    return {**more, **given}


@contextmanager
def _replaced(places: dict[str, Any], given: dict[str, Any]) -> Iterator[None]:
    """The module's attributes are plain entries of its `__dict__`: they are lent out and put back.

    What the module assigns to a replaced buffer meanwhile goes to the caller's dictionary.
    """
    try:
        for key, value in given.items():
            owner, name, _ = places[key]
            owner.__dict__[name] = value
        yield
    finally:
        for key in given:
            owner, name, original = places[key]
            owner.__dict__[name] = original


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(parameters, buffers) of several modules of the same kind, each stacked along a new axis 0.

    For an ensemble: `vmap(lambda p, b, x: functional_call(base, (p, b), x), (0, 0, None))`.
    """
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({type(model) for model in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")

    def stacked(rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            key: wrap_plain(ops.stack([row[key].detach() for row in rows]).array) for key in rows[0]
        }

    parameters = stacked([dict(model.named_parameters()) for model in models])
    for key, p in parameters.items():
        p.requires_grad_(dict(models[0].named_parameters())[key].requires_grad)
    return parameters, stacked([dict(model.named_buffers()) for model in models])
