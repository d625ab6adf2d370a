"""Running a step under trace: all that is exchanged meanwhile, and put back afterwards.

While a trace is made, a tensor's `array` is a `Traced`; leaves gather traced gradients, optimizers
and schedulers note that they would have stepped, and random numbers are promised instead of drawn.
Other threads go on as before. Nothing outside is changed: what the step would have written is in
the trace.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..arrays import drawing, dtypes, random
from ..core import backward, record
from ..core.node import Variable
from ..core.tensor import Tensor, wrap
from ..core.versions import clock
from ..nn.module import Module
from ..nn.utils import clip_grad
from ..optim.lr_scheduler.base import LRScheduler
from ..optim.optimizer import Optimizer
from ..tensors import creation
from .families import FAMILIES
from .namespace import SPACE
from .stand_ins import Clipping, Stream, promised
from .stepping import Stepping
from .trace import Trace
from .traced import Traced, active

__all__ = ["traced_run"]

_slot, _grad_slot = Variable.__dict__["array"], Variable.__dict__["_grad"]
_one_at_a_time = threading.RLock()


def array_in(tensor: Any) -> Any:
    """What a tensor's slot holds, past the trace."""
    return _slot.__get__(tensor)


def traced_run(
    step: Callable[..., Any], args: Any, kwargs: Any, arguments: list[Any]
) -> tuple[Trace, Any]:
    """The trace of a step, and what it returned, made of traced tensors.

    arguments: the arrays among the arguments, which are others in each call.
    """
    trace = Trace()
    for array in arguments:
        trace.argument(array)
    with _one_at_a_time, _uninterrupted():
        try:
            with _exchanged(trace):
                result = step(*args, **kwargs)
        except BaseException:
            trace.put_modules_back()
            raise
    return trace, result


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl+C wait until all is put back; only in the main thread, which alone gets it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[Any] = []
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):
        yield
        return
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(*came[0])


@contextlib.contextmanager
def _exchanged(trace: Trace) -> Iterator[None]:
    """Let this thread's tensors be traced; put everything back in the end."""
    thread, run = threading.get_ident(), _Run(trace)
    before = []
    written = clock.last_write

    def exchange(owner: Any, name: str, replacement: Any) -> None:
        original = vars(owner)[name]
        before.append((owner, name, original))
        if isinstance(replacement, property):
            setattr(owner, name, replacement)
            return

        def chosen(*args: Any, **kwargs: Any) -> Any:
            ours = threading.get_ident() == thread
            return (replacement if ours else original)(*args, **kwargs)

        setattr(owner, name, chosen)

    def read(tensor: Any) -> Any:
        array = _slot.__get__(tensor)
        if type(array) is np.ndarray and threading.get_ident() == thread:
            return run.handle(tensor, array)
        return array

    def write(tensor: Any, array: Any) -> None:
        if threading.get_ident() != thread or not run.is_in_place(tensor, array):
            _slot.__set__(tensor, array)
            if type(array) is Traced:
                trace.made.append(weakref.ref(tensor))

    active.trace = trace
    try:
        exchange(Variable, "array", property(read, write))
        exchange(Variable, "_grad", property(run.read_grad, run.write_grad))
        exchange(backward, "accumulate", run.accumulate)
        exchange(backward, "place_for", lambda *_: None)
        exchange(record, "record", run.record)
        exchange(Module, "__call__", run.call_module)
        exchange(random, "stream", lambda generator=None: Stream(trace))
        exchange(drawing, "drawn", run.draw)
        for name in ("set_state", "manual_seed"):
            exchange(random.Generator, name, run.refuse_seed)
        exchange(clip_grad, "_norm_of", Clipping(trace).norm_of)
        exchange(clip_grad, "_scale", Clipping(trace).scale)
        exchange(creation, "_from_python", run.refuse_data)
        exchange(dtypes, "held", run.refuse_data)
        for name in ("item", "numpy", "tolist", "__float__", "__int__", "__bool__", "__repr__"):
            exchange(Tensor, name, run.reading(vars(Tensor)[name]))
        for kind in _with_own("step", Optimizer):
            exchange(kind, "step", run.stepping.step_of(vars(kind)["step"]))
        for kind in _with_own("step", LRScheduler):
            exchange(kind, "step", run.stepping.schedule)
        yield
    finally:
        for owner, name, original in reversed(before):
            setattr(owner, name, original)
        active.trace = None
        clock.last_write = written
        run.put_back()


def _with_own(name: str, base: type) -> list[type]:
    """`base` and all classes below it that define a method of this name themselves."""
    kinds: list[type] = [base]
    for kind in kinds:
        below: list[type] = kind.__subclasses__()
        kinds += [k for k in below if k not in kinds]
    return [kind for kind in kinds if name in vars(kind)]


class _Run:
    """What stands in the place of what was exchanged."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.thread = threading.get_ident()
        self.grads: dict[int, tuple[Any, Any]] = {}  # leaves that got another .grad, and the first
        self.original_call = Module.__call__
        self.stepping = Stepping(trace, self.handle)
        self.names: dict[int, str] = {}  # of modules that have a parent

    def put_back(self) -> None:
        for generator, place in self.trace.generators.values():
            random.put_back(generator, place)
        for leaf, before in self.grads.values():
            self.trace.left.append((leaf, before, leaf._grad))
            leaf._grad = before

    def read_grad(self, tensor: Any) -> Any:
        found = _grad_slot.__get__(tensor)
        ours = threading.get_ident() == self.thread and id(tensor) not in self.grads
        if ours and tensor.node is None and tensor._requires_grad:
            self.trace.consulted.append((tensor, found))
            self.grads[id(tensor)] = (tensor, found)
        return found

    def write_grad(self, tensor: Any, grad: Any) -> None:
        if threading.get_ident() == self.thread and id(tensor) not in self.grads:
            with contextlib.suppress(AttributeError):  # it is being made
                self.grads[id(tensor)] = (tensor, _grad_slot.__get__(tensor))
        _grad_slot.__set__(tensor, grad)

    # Tensors -------------------------------------------------------------------------------------

    def handle(self, tensor: Any, array: Any) -> Traced:
        """The handle of an array from outside: one for all who hold it."""
        self.trace.tensors.setdefault(id(tensor), (tensor, array))
        if id(array) in self.stepping.later:
            self.trace.refuse(
                "uses a parameter after the step of an optimizer that takes it in Python, at the "
                "end of the compiled step"
            )
        known = self.trace.handles.get(id(array))
        if known is None:
            known = self.trace.handles[id(array)] = Traced(self.trace.lift(array))
        return known

    def is_in_place(self, tensor: Any, array: Any) -> bool:
        """Whether a tensor from outside is given what it has, as by `t.array += 1`.

        Other memory it may not be given.
        """
        try:
            held = _slot.__get__(tensor)
        except AttributeError:
            return False  # it is being made
        if type(held) is not np.ndarray:
            return False
        if self.trace.handles.get(id(held)) is not array:
            self.trace.refuse(
                "gives a tensor that was there before the step other memory (.data = ...), which "
                "a compiled step cannot; write into it: t.copy_(...)"
            )
        return True

    def reading(self, original: Any) -> Callable[..., Any]:
        """A method that reads a tensor's elements."""

        def read(tensor: Any, *args: Any, **kwargs: Any) -> Any:
            array = tensor.array
            return array.item() if isinstance(array, Traced) else original(tensor, *args, **kwargs)

        return read

    def refuse_seed(self, *_: Any, **__: Any) -> Any:
        self.trace.refuse("sets a random generator, as checkpoint() and manual_seed() do")

    def refuse_data(self, *_: Any, **__: Any) -> Any:
        self.trace.refuse(
            "makes a tensor of data inside the step; the compiled step would see this data for "
            "ever. Pass it as an argument of the step"
        )

    # Gradients -----------------------------------------------------------------------------------

    def accumulate(self, leaf: Any, g: Any, ours: bool = False) -> None:
        """What backward does with a leaf's gradient, on traced ones."""
        if isinstance(g, Variable):
            self.trace.refuse("calls backward(create_graph=True), which has no compiled form")
        if not isinstance(g, Traced):
            if not hasattr(g, "__array__") or not hasattr(g, "dtype"):
                self.trace.refuse("makes a sparse gradient, which has no compiled form")
            g = SPACE.full((), g, g.dtype) if not g.ndim else Traced(self.trace.lift(np.asarray(g)))
        held = leaf._grad
        if held is None:
            leaf._grad = wrap(Traced(g.value))
        else:
            handle = held.array
            handle += g

    # Modules, random numbers ---------------------------------------------------------------------

    def call_module(self, module: Any, *args: Any, **kwargs: Any) -> Any:
        if id(module) not in self.trace.modules:
            self.trace.modules[id(module)] = module, module.training
            self.trace.spaces.append((vars(module), dict(vars(module))))
        path, name = self.trace.path, self.name_of(module)
        path.append(name) if name else None
        try:
            result = self.original_call(module, *args, **kwargs)
            self.name_result(result)
            return result
        finally:
            path.pop() if name else None

    def name_of(self, module: Any) -> str:
        """The name of a module in the one that called it; of the outermost, none, or "loss"."""
        for name, child in module.named_children():
            self.names.setdefault(id(child), name)
        kind = type(module).__name__.lower()
        name = self.names.get(id(module), "loss" if kind.endswith("loss") else "")
        return f"{kind}{name}" if name.isdigit() else name

    def name_result(self, result: Any) -> None:
        """Call what a module returns by its name, where it made that itself."""
        array = _slot.__get__(result) if isinstance(result, Variable) else None
        path = "_".join(self.trace.path)
        if path and isinstance(array, Traced) and array.value.root.name.startswith(f"{path}_"):
            array.value.root.name = path

    def record(self, value: Any, op: Any, *rest: Any) -> Any:
        """Record an operation; what its pullbacks compute is named after where it stands."""
        made = record.record_plainly(value, op, *rest)
        if op.__name__ == "relu":
            self.trace.relus[id(value)] = value
        path = [*(self.trace.path or [op.__name__]), "back"]

        def named(pullback: Any) -> Any:
            def pull(g: Any) -> Any:
                before, self.trace.path[:] = list(self.trace.path), path
                if op.__name__ in FAMILIES and type(g) is np.ndarray:
                    g = Traced(self.trace.lift(g))  # whose namespace has no use for traced others
                try:
                    return pullback(g)
                finally:
                    self.trace.path[:] = before

            return pull if pullback is not None else None

        output = made.node.output
        made.node.output = (output[0], *map(named, output[1:]))
        return made

    def draw(
        self, kind: str, shape: Any, dtype: Any, generator: Any, device: Any, *numbers: float
    ) -> Any:
        return promised(self.trace, kind, shape, dtype, generator, numbers)
