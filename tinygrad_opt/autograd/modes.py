"""Whether operations are recorded: `no_grad`, `enable_grad`, `set_grad_enabled`."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

from ..core.record import mode

_Function = TypeVar("_Function", bound=Callable[..., Any])

__all__ = ["enable_grad", "inference_mode", "no_grad", "set_grad_enabled"]


def is_grad_enabled() -> bool:
    """Whether operations on tensors that require a gradient are being recorded in this thread."""
    return mode.enabled


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside an `inference_mode` block."""
    return _thread.inference


class _Thread(threading.local):
    inference = False


_thread = _Thread()


class _GradMode:
    """A recording mode, as a context manager and as a decorator of functions and generators."""

    wanted: bool

    def __init__(self) -> None:
        self._before: list[bool] = []  # a stack: the same object may be entered twice

    def _again(self) -> _GradMode:
        return type(self)()

    def __enter__(self) -> None:
        self._before.append(mode.enabled)
        mode.enabled = self.wanted

    def __exit__(self, *exc: object) -> None:
        mode.enabled = self._before.pop()

    def __call__(self, function: _Function) -> _Function:
        if inspect.isgeneratorfunction(function):
            return self._wrap_generator(function)  # type: ignore[return-value]

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]

    def _wrap_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        # The mode holds while the generator's own lines run, not between its yields.
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            generator = function(*args, **kwargs)
            resume: Callable[[], Any] = functools.partial(next, generator)
            while True:
                try:
                    with self._again():
                        item = resume()
                except StopIteration as stop:
                    return stop.value
                try:
                    sent = yield item
                    resume = functools.partial(generator.send, sent)
                except GeneratorExit:
                    generator.close()
                    raise
                except BaseException as error:
                    resume = functools.partial(generator.throw, error)

        return wrapped


class _BareDecorator(_GradMode):
    """A mode that may decorate without parentheses: `@no_grad`."""

    if not TYPE_CHECKING:  # which take it for a class that makes its instances

        def __new__(cls, function: Any = None) -> Any:
            instance = super().__new__(cls)
            if not callable(function):
                return instance
            instance.__init__()
            return instance(function)


class no_grad(_BareDecorator):
    """Operations inside are not recorded: `with no_grad(): ...`, `@no_grad()` or `@no_grad`."""

    wanted = False


class inference_mode(_BareDecorator):
    """Like `no_grad`; `inference_mode(False)` is like `enable_grad`.

    Its tensors are ordinary ones: where PyTorch refuses to write to them outside, or to save them
    for a backward pass, they may be used here as if they had been made under `no_grad`.
    """

    if not TYPE_CHECKING:

        def __new__(cls, mode: Any = True) -> Any:
            return super().__new__(cls, mode)

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self._inference = bool(mode)
        self.wanted = not mode
        self._around: list[bool] = []

    def _again(self) -> _GradMode:
        return inference_mode(self._inference)

    def __enter__(self) -> None:
        self._around.append(_thread.inference)
        _thread.inference = self._inference
        super().__enter__()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        _thread.inference = self._around.pop()


class enable_grad(_BareDecorator):
    """Operations inside are recorded, also within `no_grad`."""

    wanted = True


class set_grad_enabled(_GradMode):
    """Switches recording at once; as a context manager it switches back at the end."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.wanted = bool(mode)
        self._before.append(is_grad_enabled())
        self._switch(self.wanted)

    @staticmethod
    def _switch(value: bool) -> None:
        mode.enabled = value

    def _again(self) -> _GradMode:
        return _Temporarily(self.wanted)

    def __enter__(self) -> None:  # the constructor has switched already
        self._switch(self.wanted)

    def __exit__(self, *exc: object) -> None:
        self._switch(self._before[0])

    def __call__(self, function: _Function) -> _Function:
        self._switch(self._before[0])  # a decorator acts when the function runs, not here
        return super().__call__(function)


class _Temporarily(_GradMode):
    def __init__(self, wanted: bool) -> None:
        super().__init__()
        self.wanted = wanted
