"""Module: the base class of everything with parameters.

Ninth of the reading path; next: `nn/linear.py`. Assigning a Parameter or a Module to an attribute
registers it (`registry.py`); from there this file walks the tree. What it inherits stands beside
it: looking up by path (`paths.py`), moving and casting (`convert.py`), saving and loading
(`state.py`), hooks (`hooks.py`), its text (`text.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..core.tensor import Tensor
from .convert import Conversions
from .errors import explain_missing
from .hooks import call, everywhere
from .parameter import Parameter
from .paths import Paths
from .registry import BUFFER, MODULE, PARAMETER
from .state import Saving
from .text import Text

__all__ = ["Module"]

M = TypeVar("M", bound="Module")


def _unimplemented(self: Any, *input: Any) -> None:
    """The output for the given inputs, which the documentation of each class describes."""
    raise NotImplementedError(
        f'Module [{type(self).__name__}] is missing the required "forward" function'
    )


class Module(Paths, Conversions, Saving, Text):
    """The base class of layers and networks, as `torch.nn.Module`.

    A subclass calls `super().__init__()`, assigns Parameters and Modules to attributes, and defines
    `forward`; calling the module runs `forward` and its hooks.

    training  whether the module behaves as in training; `train()` and `eval()` switch it

    >>> class Shift(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.by = Parameter(Tensor([1.0]))
    ...     def forward(self, x):
    ...         return x + self.by
    >>> Shift()(Tensor([2.0])).detach()
    tensor([3.])
    """

    training: bool
    forward: Callable[..., Any] = _unimplemented

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["training"] = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooks or everywhere:
                return call(self, args, kwargs)
            if len(args) == 1 and not kwargs:  # as a rule, and half the time of the next line
                return self.forward(args[0])
            return self.forward(*args, **kwargs)
        except (AttributeError, TypeError) as error:
            explain_missing(self, error, args)
            raise

    # Walking the tree -----------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """(path, module) of this module and all below it, parents first; each module once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._own(MODULE):
            if module is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, path, remove_duplicate)

    def _named_tensors(
        self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        whole = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, module in whole if recurse else [(prefix, self)]:
            for name, value in module._own(kind):
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(path, parameter) of this module and, with `recurse`, of all below it."""
        return self._named_tensors(PARAMETER, prefix, recurse, remove_duplicate)

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(path, buffer) of this module and, with `recurse`, of all below it."""
        return self._named_tensors(BUFFER, prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once: what an optimizer is given."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (m for _, m in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the direct submodules, each once."""
        seen: set[Any] = set()
        for name, module in self._own(MODULE):
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct submodules, each once."""
        return (m for _, m in self.named_children())

    # Changing all of it ---------------------------------------------------------------------------

    def apply(self: M, fn: Callable[[Module], None]) -> M:
        """Calls `fn` with every submodule, children first, then with this module; returns it."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self: M, mode: bool = True) -> M:
        """Switches this module and all below it to training mode, or out of it."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """The same as `train(False)`."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Switches recording for every parameter."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops every parameter's gradient, or fills it with zeros."""
        for p in self.parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad.detach_().zero_()
