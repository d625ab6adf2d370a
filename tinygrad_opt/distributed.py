"""`torch.distributed`, as far as a program asks whether there is more than one process: no.

Starting a process group raises NotImplementedError.
"""

from __future__ import annotations

from typing import Any

from .core.public import named

__all__ = [
    "ProcessGroup",
    "ReduceOp",
    "all_gather",
    "all_gather_into_tensor",
    "all_gather_object",
    "all_reduce",
    "barrier",
    "broadcast",
    "destroy_process_group",
    "gather",
    "get_rank",
    "get_world_size",
    "init_process_group",
    "is_available",
    "is_initialized",
    "is_torchelastic_launched",
    "new_group",
    "recv",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_tensor",
    "scatter",
    "send",
]  # fmt: skip


def is_available() -> bool:
    """False: one process trains alone here."""
    return False


def is_initialized() -> bool:
    """False."""
    return False


def is_torchelastic_launched() -> bool:
    """False."""
    return False


def get_rank(group: Any = None) -> int:
    """Raises ValueError, as PyTorch without a process group."""
    raise ValueError("Default process group has not been initialized: this process trains alone")


def get_world_size(group: Any = None) -> int:
    """Raises ValueError, as PyTorch without a process group."""
    raise ValueError("Default process group has not been initialized: this process trains alone")


def init_process_group(*args: Any, **kwargs: Any) -> None:
    """Raises NotImplementedError."""
    raise NotImplementedError(
        "distributed.init_process_group: tinygrad_opt trains in one process, on one device; leave "
        "the call out where distributed.is_available() is False"
    )


def _refused(name: str) -> Any:
    def collective(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f"distributed.{name}: tinygrad_opt trains in one process; ask "
            "distributed.is_initialized() first, which is False"
        )

    collective.__doc__ = "Raises NotImplementedError: there is one process."
    return named(collective, name, module=__name__)


all_gather, all_gather_into_tensor, all_gather_object, all_reduce, barrier, broadcast, gather = map(
    _refused,
    ("all_gather", "all_gather_into_tensor", "all_gather_object", "all_reduce", "barrier",
     "broadcast", "gather"),
)  # fmt: skip
new_group, recv, reduce, reduce_scatter, reduce_scatter_tensor, scatter, send = map(
    _refused,
    ("new_group", "recv", "reduce", "reduce_scatter", "reduce_scatter_tensor", "scatter", "send"),
)


class ReduceOp:
    """PyTorch's names of reductions, for what is never called."""

    SUM, AVG, PRODUCT, MIN, MAX = "sum", "avg", "product", "min", "max"


ProcessGroup = type("ProcessGroup", (), {"__doc__": "For annotations: there is none."})


def destroy_process_group(group: Any = None) -> None:
    """Nothing: there is no group."""
