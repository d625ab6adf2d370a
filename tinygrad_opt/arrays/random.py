"""Random numbers: one generator of the project's own, seeded by `manual_seed`.

NumPy's global state is never touched. Numbers of tensors are drawn where the tensor lies, the same
ones on every device (`drawing.py`). `drawing_from` puts another generator in the default one's
place, for one block of code in one thread.
"""

from __future__ import annotations

import contextlib
import json
import reprlib
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from operator import index
from typing import Any

import numpy as np

__all__ = ["Generator", "current", "default_generator", "drawing_from", "fork_rng",
           "get_rng_state",
           "initial_seed", "manual_seed", "seed", "set_rng_state"]  # fmt: skip


class Generator:
    """A stream of random numbers, as `torch.Generator`.

    A tensor's numbers are Philox-4x32-10 of the seed and their place in the stream, which counts
    blocks of four words: uniform and normal ones, integers, Bernoulli's, dropout, initial weights.
    They depend on these two alone, not on the device or on threads. Whatever takes an unknown
    number of words, as orders, multinomial, Poisson, gamma and binomial numbers do, is drawn on
    the CPU from `numpy`, PCG64 of the same seed. Both are part of the state.

    Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; O'Neill 2014 for PCG64.

    >>> g = Generator().manual_seed(0)
    >>> g.initial_seed()
    0
    """

    def __init__(self, device: Any = "cpu") -> None:
        self.device = device
        self.seed()

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream that belongs to `seed` (any integer); returns the generator."""
        self._seed = int(seed)
        self._children = self._place = 0
        self._key = (self._seed + 2**63) % 2**64 - 2**63  # its 64 bits, as kernels take them
        self.numpy = np.random.Generator(np.random.PCG64(self._seed % 2**64))
        self._lock = self.numpy.bit_generator.lock
        return self

    def seed(self) -> int:
        """Starts a stream from the operating system's entropy; returns its seed."""
        self.manual_seed(int(np.random.SeedSequence().generate_state(1, np.uint64)[0]))
        return self._seed

    def initial_seed(self) -> int:
        """The seed that the current stream started from."""
        return self._seed

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = self.numpy.bit_generator.lock
        if "_place" not in state:  # pickled when all numbers came from `numpy`
            numpy = self.numpy.bit_generator.state
            self.set_state({"seed": self._seed, "state": numpy, "children": self._children})

    def child_seed(self) -> int:
        """A seed for somebody else's stream, another at each call; draws nothing from this one."""
        self._children += 1
        sequence = np.random.SeedSequence([self._seed % 2**64, self._children])
        return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(2))

    def get_state(self) -> Any:
        """Where the stream stands, for `set_state`: a uint8 Tensor, which may be saved or compared.

        All states are of one length, but for those of seeds beyond 64 bits.
        """
        text = json.dumps(state_of(self)).encode()
        text = text.ljust(-(-len(text) // _LENGTH) * _LENGTH)
        return tensor_over(np.frombuffer(text, np.uint8).copy())

    def set_state(self, new_state: Any) -> Generator:
        """Goes on from where `get_state` was taken; returns the generator.

        Takes the dict that it returned earlier, too. Warns of one without a place, from when all
        numbers came from `numpy`: those of tensors begin at place 0 then, and are not the ones that
        would have been drawn. Raises TypeError for anything else and RuntimeError for the state of
        another kind of generator, and stays where it was.
        """
        state = _unpacked(new_state)
        trial = np.random.PCG64(0)
        try:
            seed = index(state["seed"])
            place, children = (index(state.get(name, 0)) for name in ("place", "children"))
            trial.state = state["state"]
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as e:
            raise TypeError(
                "set_state: expected what get_state() of a Generator returned, a uint8 Tensor, or "
                "a dict with 'seed', 'place' and 'state' as it was before; got "
                f"{reprlib.repr(state)} ({type(e).__name__}: {e})"
            ) from e
        if "place" not in state:
            warnings.warn(
                "this random state was saved before tensors had a stream of their own: the run "
                "goes on with other random numbers than it would have drawn then",
                stacklevel=2,
            )
        self.manual_seed(seed)
        self.numpy.bit_generator.state = trial.state
        self._place, self._children = place, children
        return self

    def clone_state(self) -> Generator:
        """Another generator, which stands where this one does."""
        return Generator(self.device).set_state(state_of(self))


tensor_over: Any = None  # a Tensor over an array: `tensors/creation.py`, which stands above
_LENGTH = 512  # bytes of a state, a JSON text that is filled up with spaces


def state_of(generator: Generator) -> dict[str, Any]:
    """Where the stream stands, in plain numbers and strings."""
    state = generator.numpy.bit_generator.state
    return {
        "seed": generator._seed, "place": generator._place, "state": state,
        "children": generator._children,
    }  # fmt: skip


def _unpacked(state: Any) -> Any:
    """What `state_of` returned, from the Tensor that `get_state` made of it; or as it is."""
    array = getattr(state, "array", None)
    if array is None:
        return state
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        raise TypeError(
            f"set_state: RNG state must be a torch.ByteTensor, got {array.dtype} on "
            f"{getattr(state, 'device', 'cpu')}"
        )
    try:
        return json.loads(array.tobytes())
    except ValueError as error:
        raise RuntimeError(
            f"set_state: the {array.size} bytes are not a state of this library's generator; "
            "PyTorch's and others' cannot be gone on from, as their numbers are others"
        ) from error


def take(generator: Generator, blocks: int) -> tuple[int, int]:
    """The stream's key, and the place of the next of so many blocks, which are taken now."""
    with generator._lock:  # no two threads draw the same
        place = generator._place
        generator._place = place + blocks
    return generator._key, place


def put_back(generator: Generator, place: int) -> None:
    """Lets the next draw begin at a place that `take` gave: what came since is drawn again."""
    generator._place = place


def place_of(generator: Generator) -> int:
    """The place of the next draw."""
    return generator._place


default_generator = Generator().manual_seed(0)
_in_its_place: ContextVar[Generator | None] = ContextVar("generator", default=None)


def current() -> Generator:
    """The generator that is drawn from where none is named: as a rule the default one."""
    return _in_its_place.get() or default_generator


@contextlib.contextmanager
def drawing_from(generator: Generator) -> Iterator[Generator]:
    """In here `generator` stands in for the default one, and only in this thread.

    Whatever draws without a generator of its own draws from it: initial weights, dropout, the order
    of samples; and `manual_seed`, `get_rng_state` and the like are about it. The default generator
    is neither asked nor changed. A draw costs about 0.05 us more for being able to.
    """
    token = _in_its_place.set(generator)
    try:
        yield generator
    finally:
        _in_its_place.reset(token)


def manual_seed(seed: int) -> Generator:
    """Seeds the default generator: the same seed gives the same numbers on every machine."""
    return current().manual_seed(seed)


def seed() -> int:
    """Seeds the default generator from the operating system; returns the seed."""
    return current().seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return current().initial_seed()


def get_rng_state() -> Any:
    """The state of the default generator: a uint8 Tensor."""
    return current().get_state()


def set_rng_state(new_state: Any) -> None:
    """Puts the default generator where `get_rng_state` found it."""
    current().set_state(new_state)


@contextlib.contextmanager
def fork_rng(
    devices: Any = None, enabled: bool = True, _caller: str = "fork_rng",
    _devices_kw: str = "devices", device_type: str = "cuda",
) -> Iterator[None]:  # fmt: skip
    """Puts the default generator back at the end of the block to where it was at its start.

    `devices` are accepted: all numbers come from the one generator.
    """
    state = state_of(current())
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)


def stream(generator: Generator | None) -> np.random.Generator:
    """NumPy's generator behind `generator`, or behind the one that is current."""
    return (generator or current()).numpy
