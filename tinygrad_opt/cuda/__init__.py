"""The GPU, by the names of `torch.cuda` that training scripts use.

Without a GPU (and CuPy) the questions are answered, seeds are taken and caches are empty, as in
PyTorch; what needs a GPU raises RuntimeError. With one, memory is that of CuPy's pool.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from ..arrays import random
from ..arrays.device import Device, check_device, cupy, is_available, synchronize
from . import amp

__all__ = [
    "Event", "OutOfMemoryError", "amp", "current_device", "device", "device_count", "empty_cache",
    "get_device_capability", "get_device_name", "get_device_properties", "get_rng_state",
    "get_rng_state_all", "init", "initial_seed", "ipc_collect", "is_available", "is_bf16_supported",
    "is_initialized", "make_graphed", "manual_seed", "manual_seed_all", "max_memory_allocated",
    "max_memory_reserved", "mem_get_info", "memory_allocated", "memory_reserved", "memory_summary",
    "reset_max_memory_allocated", "reset_peak_memory_stats", "seed", "seed_all", "set_device",
    "set_rng_state", "set_rng_state_all", "synchronize",
]  # fmt: skip


class OutOfMemoryError(RuntimeError):
    """For `except`: memory that runs out raises Python's MemoryError, or CuPy's subclass of it."""


def device_count() -> int:
    """The number of CUDA devices that tensors can live on; 0 without CuPy or without a GPU."""
    return int(cupy().cuda.runtime.getDeviceCount()) if is_available() else 0


def is_initialized() -> bool:
    """Whether there is a GPU to talk to."""
    return is_available()


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False: tensors have no such type."""
    return False


def _needed(name: str) -> Any:
    if not is_available():
        raise RuntimeError(
            f"cuda.{name}: no CUDA device: CuPy is not installed, or sees no GPU; ask "
            "cuda.is_available() first"
        )
    return cupy()


# Devices ------------------------------------------------------------------------------------------


def init() -> None:
    """Raises RuntimeError without a GPU; nothing else is needed."""
    _needed("init")


def current_device() -> int:
    """0, the GPU that tensors lie on. Raises RuntimeError without one."""
    _needed("current_device")
    return 0


def set_device(device: Any) -> None:
    """Accepts the first GPU. Raises RuntimeError for any other, and without one."""
    chosen = Device("cuda", device) if isinstance(device, int) else Device(device)
    if chosen.type == "cuda" and (chosen.index or 0) >= 0:
        _needed("set_device")
        check_device(chosen)


class device:
    """`with cuda.device(0):`, where tensors lie anyway; -1 and None are not devices."""

    def __init__(self, device: Any) -> None:
        self.idx = device if isinstance(device, int) else -1 if device is None else 0

    def __enter__(self) -> None:
        if self.idx >= 0:
            set_device(self.idx)

    def __exit__(self, *exc: object) -> None:
        pass


def get_device_properties(device: Any = None) -> Any:
    """Name, memory and abilities: `name`, `total_memory`, `major`, `minor`, and CUDA's others."""
    library = _needed("get_device_properties")
    told = dict(library.cuda.runtime.getDeviceProperties(0))
    told["name"] = _text(told["name"])
    told["total_memory"] = told.get("totalGlobalMem", 0)
    told["multi_processor_count"] = told.get("multiProcessorCount", 0)
    return type("_CudaDeviceProperties", (), told)()


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def get_device_name(device: Any = None) -> str:
    """The name of the GPU."""
    return str(get_device_properties(device).name)


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The GPU's generation: (9, 0)."""
    told = get_device_properties(device)
    return int(told.major), int(told.minor)


class Event:
    """A moment in the work of the GPU, as `torch.cuda.Event`: `record`, then `elapsed_time`.

    Raises RuntimeError without a GPU.
    """

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False
    ) -> None:
        made = _needed("Event").cuda.Event
        self._event: Any = made(block=blocking, disable_timing=not enable_timing)

    def record(self, stream: Any = None) -> None:
        """Marks what has been asked of the GPU up to now."""
        self._event.record()

    def synchronize(self) -> None:
        """Waits until the GPU has got there."""
        self._event.synchronize()

    def query(self) -> bool:
        """Whether the GPU has got there."""
        return bool(self._event.done)

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from here to `end_event`."""
        return float(_needed("Event").cuda.get_elapsed_time(self._event, end_event._event))


# Random numbers: of one generator for all devices -------------------------------------------------


def manual_seed(seed: int) -> None:
    """Nothing to seed: numbers on the GPU are those of the default generator."""
    int(seed)


def manual_seed_all(seed: int) -> None:
    """Nothing to seed, as `manual_seed`."""
    int(seed)


def seed() -> None:
    """Nothing to seed, as `manual_seed`."""


def seed_all() -> None:
    """Nothing to seed, as `manual_seed`."""


def initial_seed() -> int:
    """The seed of the default generator. Raises RuntimeError without a GPU."""
    _needed("initial_seed")
    return random.initial_seed()


def get_rng_state(device: Any = "cuda") -> Any:
    """The state of the default generator. Raises RuntimeError without a GPU."""
    _needed("get_rng_state")
    return random.get_rng_state()


def get_rng_state_all() -> list[Any]:
    """A state for each GPU: [] without one."""
    return [get_rng_state() for _ in range(device_count())]


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Nothing: `torch.set_rng_state` sets the generator that all numbers come from."""


def set_rng_state_all(new_states: Any) -> None:
    """Nothing, as `set_rng_state`."""


# Memory -------------------------------------------------------------------------------------------


def _pool() -> Any:
    return cupy().get_default_memory_pool() if is_available() else None


def empty_cache() -> None:
    """Gives memory that no tensor uses back to the GPU's driver."""
    if (pool := _pool()) is not None:
        pool.free_all_blocks()


def memory_allocated(device: Any = None) -> int:
    """Bytes that tensors use; 0 without a GPU."""
    pool = _pool()
    return 0 if pool is None else int(pool.used_bytes())


def memory_reserved(device: Any = None) -> int:
    """Bytes that the pool holds; 0 without a GPU."""
    pool = _pool()
    return 0 if pool is None else int(pool.total_bytes())


def max_memory_allocated(device: Any = None) -> int:
    """At least the most that tensors used since `empty_cache`: what the pool holds."""
    return memory_reserved(device)


def max_memory_reserved(device: Any = None) -> int:
    """The most that the pool held since `empty_cache`."""
    return memory_reserved(device)


def reset_peak_memory_stats(device: Any = None) -> None:
    """Nothing: the peak is what the pool holds; `empty_cache` lets it shrink."""


def reset_max_memory_allocated(device: Any = None) -> None:
    """Nothing, as `reset_peak_memory_stats`."""


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free, all) bytes of the GPU. Raises RuntimeError without one."""
    free, total = _needed("mem_get_info").cuda.runtime.memGetInfo()
    return int(free), int(total)


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """Says in one line how much memory tensors use and the pool holds."""
    return f"used by tensors: {memory_allocated()} bytes; held: {memory_reserved()} bytes"


def make_graphed(step: Callable[..., Any], *inputs: Any) -> Any:
    """A training step as a CUDA graph: forward, backward, clipping and optimizer in one launch.

        def step(x, y):
            optimizer.zero_grad()
            loss = loss_function(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        step = cuda.make_graphed(step, x, y)
        for x, y in batches:
            loss = step(x, y)

    Nothing runs here. Of the calls, the first two run as they stand, the third is captured, and
    the others are replays: each is one step, as without a graph. Python in the step runs while it
    is captured and never again; the steps of optimizers and schedulers are taken in each call, with
    the settings of then. What is returned are copies, without a graph of autograd.

    A call for which the graph does not fit runs as it stands, and the next one captures anew:
    other shapes or types of inputs, train() and eval(), parameters or gradients that lie elsewhere,
    groups or state that were added or loaded, names that were set. `notes` says why.

    step    a function that waits for nothing: it reads no result and draws nothing on the host
    inputs  tensors as those of the calls. On the CPU (or without inputs and without a GPU) the
            result is that of `compile(step)`: one script serves both

    Raises TypeError for what is not a function of the user's, RuntimeError for inputs on both
    devices. Calls raise CaptureError, a RuntimeError, for what cannot be captured: it says where,
    and what to write instead, and nothing has been done.

    Named after `torch.cuda.make_graphed_callables`, which takes forward and backward alone.
    """
    from .graphs import make_graphed  # much to load, for those who capture

    return make_graphed(step, *inputs)


def ipc_collect() -> None:
    """Nothing: no memory is shared between processes."""


@contextlib.contextmanager
def stream(stream: Any) -> Iterator[None]:
    """The GPU works on one stream here: a `with` block for another changes nothing."""
    yield
