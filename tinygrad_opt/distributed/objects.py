"""Collective calls on objects: pickled here, and unpickled by processes of the same program."""

from __future__ import annotations

import pickle
from typing import Any

from .collectives import _root
from .groups import ProcessGroup
from .state import the

__all__ = [
    "all_gather_object", "broadcast_object_list", "gather_object", "scatter_object_list",
]  # fmt: skip


def messenger(group: Any = None) -> ProcessGroup:
    """The group whose messages are bytes on the CPU: of "nccl", the one behind it."""
    found = the(group)
    return getattr(found, "control", found)


def all_gather_object(object_list: list[Any], obj: Any, group: Any = None) -> None:
    """`object_list[i]` becomes the `obj` of rank i; what pickle can take along."""
    g = messenger(group)
    _check_length("all_gather_object", object_list, g)
    parts = g.all_gather_bytes(pickle.dumps(obj), "all_gather_object")
    object_list[:] = [pickle.loads(part) for part in parts]


def broadcast_object_list(
    object_list: list[Any], src: int | None = None, group: Any = None, device: Any = None,
    group_src: int | None = None,
) -> None:  # fmt: skip
    """The entries of `object_list` become those of rank `src`; as many on all ranks."""
    g = messenger(group)
    root = _root("broadcast_object_list", g, src, group_src)
    data = pickle.dumps(list(object_list)) if g.rank() == root else b""
    received = pickle.loads(g.broadcast_bytes(data, root, "broadcast_object_list"))
    if len(received) != len(object_list):
        raise ValueError(
            f"broadcast_object_list: rank {g.ranks[root]} sends {len(received)} objects, the list "
            f"here has {len(object_list)} entries"
        )
    if g.rank() != root:
        object_list[:] = received


def gather_object(
    obj: Any, object_gather_list: list[Any] | None = None, dst: int | None = None,
    group: Any = None, group_dst: int | None = None,
) -> None:  # fmt: skip
    """At rank `dst`, `object_gather_list[i]` becomes the `obj` of rank i."""
    g = messenger(group)
    root = _root("gather_object", g, dst, group_dst)
    if g.rank() == root:
        _check_length("gather_object", object_gather_list, g)
    parts = g.gather_bytes(pickle.dumps(obj), root, "gather_object")
    if parts and object_gather_list is not None:
        object_gather_list[:] = [pickle.loads(part) for part in parts]


def scatter_object_list(
    scatter_object_output_list: list[Any], scatter_object_input_list: list[Any] | None = None,
    src: int | None = None, group: Any = None, group_src: int | None = None,
) -> None:  # fmt: skip
    """`scatter_object_output_list[0]` of rank i becomes object i of the list of rank `src`."""
    g = messenger(group)
    root = _root("scatter_object_list", g, src, group_src)
    if not scatter_object_output_list:
        raise ValueError("scatter_object_list: the output list needs one entry, to be filled")
    data = b""
    if g.rank() == root:
        _check_length("scatter_object_list", scatter_object_input_list, g)
        data = pickle.dumps(scatter_object_input_list)
    given = pickle.loads(g.broadcast_bytes(data, root, "scatter_object_list"))
    scatter_object_output_list[0] = given[g.rank()]


def _check_length(name: str, objects: Any, g: ProcessGroup) -> None:
    if not isinstance(objects, list) or len(objects) != g.size():
        given = len(objects) if isinstance(objects, list) else type(objects).__name__
        raise ValueError(f"{name}: expected a list of {g.size()} entries, one a rank, got {given}")
