"""Ways to choose what is pruned: the methods behind the functions of `prune.py`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np

from ... import functions as fn
from ...arrays.size import WHOLE
from ...core.tensor import Tensor, wrap_plain
from ...tensors.creation import ones_like, zeros_like
from ...tensors.sampling import rand
from ..module import Module

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured",
    "PruningContainer", "RandomStructured", "RandomUnstructured", "hook_of",
]  # fmt: skip


class BasePruningMethod(ABC):
    """A way to choose what is pruned: a subclass says `PRUNING_TYPE` and `compute_mask`.

    `PRUNING_TYPE`: "unstructured" (single elements), "structured" (whole slices along `dim`) or
    "global" (the mask alone decides).
    """

    PRUNING_TYPE = "unstructured"
    _tensor_name: str

    def __call__(self, module: Module, inputs: Any) -> None:
        """The hook: the masked tensor, computed anew."""
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """A mask of the shape of `t`: 0 for what is pruned, by this method or by `default_mask`."""

    def apply_mask(self, module: Module) -> Tensor:
        """The original times the mask."""
        if not hasattr(self, "_tensor_name"):
            raise AssertionError(f"Module {module} has to be pruned")
        mask = getattr(module, f"{self._tensor_name}_mask")
        original = getattr(module, f"{self._tensor_name}_orig")
        return mask.to(original.dtype) * original

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Any = None, **kwargs: Any
    ) -> Any:
        """Prunes a tensor of the module; returns the method, joined to those before it."""
        before = hook_of(module, name)
        method: Any = cls(*args, **kwargs)
        method._tensor_name = name
        if before is not None:
            _, earlier = before
            joined = earlier if isinstance(earlier, PruningContainer) else PruningContainer(earlier)
            joined.add_pruning_method(method)
            method = joined
        tensor = getattr(module, name)
        scores = tensor if importance_scores is None else importance_scores
        if tuple(scores.shape) != tuple(tensor.shape):
            raise AssertionError(
                f"importance_scores should have the same shape as parameter {name} of {module}: "
                f"{tuple(tensor.shape)}, got {tuple(scores.shape)}"
            )
        if before is None:
            original = tensor
            delattr(module, name)
            default = ones_like(original)
        else:
            default = getattr(module, f"{name}_mask").detach().clone()
        mask = method.compute_mask(scores.detach(), default_mask=default)
        if before is None:
            module.register_parameter(f"{name}_orig", original)
            module.register_buffer(f"{name}_mask", mask)
        else:
            key, _ = before
            del module._forward_pre_hooks[key]
            setattr(module, f"{name}_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(
        self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Any = None
    ) -> Tensor:
        """`t` pruned, without any module."""
        scores = t if importance_scores is None else importance_scores
        if tuple(scores.shape) != tuple(t.shape):
            raise AssertionError(
                "importance_scores should have the same shape as tensor t: "
                f"{tuple(t.shape)}, got {tuple(scores.shape)}"
            )
        default = ones_like(t) if default_mask is None else default_mask
        return t * self.compute_mask(scores, default_mask=default)

    def remove(self, module: Module) -> None:
        """Makes the tensor a parameter again, with its zeros."""
        name = self._tensor_name
        if hook_of(module, name) is None:
            raise AssertionError(f"Module {module} has to be pruned before pruning can be removed")
        value = self.apply_mask(module).detach()
        original: Any = getattr(module, f"{name}_orig")
        for gone in (name, f"{name}_orig", f"{name}_mask"):
            delattr(module, gone)
        original.array = value.array  # the same Parameter, so that optimizers keep it
        setattr(module, name, original)


class PruningContainer(BasePruningMethod):
    """Several methods, one after the other: each chooses among what those before it left."""

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        methods = args[0] if len(args) == 1 and isinstance(args[0], Iterable) else args
        for method in methods:
            if not self._pruning_methods and isinstance(method, BasePruningMethod):
                self._tensor_name = method._tensor_name
            self.add_pruning_method(method)

    def add_pruning_method(self, method: Any) -> None:
        """Adds one. Raises TypeError for what is none, ValueError for one of another tensor."""
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Any:
        return iter(self._pruning_methods)

    def __getitem__(self, index: int) -> BasePruningMethod:
        return self._pruning_methods[index]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask of the newest method, applied to what is left."""
        method = self._pruning_methods[-1]
        mask = default_mask.to(t.dtype)
        place = _left(method, mask)
        new = mask.detach().clone()
        new[place] = method.compute_mask(t[place], default_mask=mask[place])
        return new


def _left(method: Any, mask: Tensor) -> Any:
    """The index of what a method may still prune."""
    if method.PRUNING_TYPE == "unstructured":
        return mask == 1
    if method.PRUNING_TYPE == "global":
        return (slice(None),) * mask.ndim
    if method.PRUNING_TYPE != "structured":
        raise AttributeError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
    dim = method.dim % mask.ndim
    others = tuple(i for i in range(mask.ndim) if i != dim)
    kept = np.flatnonzero(mask.array.sum(axis=others) != 0)
    return (*(slice(None),) * dim, wrap_plain(kept))


def hook_of(module: Module, name: str) -> Any:
    """(key, method) of the pruning of a tensor; None if there is none."""
    found = [
        (key, hook) for key, hook in module._forward_pre_hooks.items()
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name
    ]  # fmt: skip
    return found[0] if found else None


# Methods ------------------------------------------------------------------------------------------


class Identity(BasePruningMethod):
    """Prunes nothing, but makes the mask."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask`."""
        return default_mask


class RandomUnstructured(BasePruningMethod):
    """Prunes elements at random: `amount` of them, or that share of them."""

    def __init__(self, amount: float) -> None:
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask` without the elements of the smallest random numbers."""
        return _without_smallest(rand(tuple(t.shape)), self.amount, default_mask)


class L1Unstructured(BasePruningMethod):
    """Prunes the elements of the smallest absolute value: `amount` of them, or that share."""

    def __init__(self, amount: float) -> None:
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask` without the smallest elements."""
        return _without_smallest(fn.abs(t), self.amount, default_mask)


class RandomStructured(BasePruningMethod):
    """Prunes slices along `dim` at random: `amount` of them, or that share."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        _check_amount(amount)
        self.amount, self.dim = amount, dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask` without the slices of the smallest random numbers."""
        _check_slices(t, self.dim)
        return _without_slices(rand(t.shape[self.dim]), self.amount, self.dim, default_mask)


class LnStructured(BasePruningMethod):
    """Prunes the slices along `dim` of the smallest n-norm: `amount` of them, or that share."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, n: Any, dim: int = -1) -> None:
        _check_amount(amount)
        self.amount, self.n, self.dim = amount, n, dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask` without the smallest slices."""
        _check_slices(t, self.dim)
        others = tuple(i for i in range(t.ndim) if i != self.dim % t.ndim)
        norms = fn.norm(t, self.n, others)
        return _without_slices(norms, self.amount, self.dim, default_mask)


class CustomFromMask(BasePruningMethod):
    """Prunes where a given mask is 0."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """`default_mask` times the mask."""
        return default_mask * self.mask.to(default_mask.dtype)


def _check_amount(amount: Any) -> None:
    if not isinstance(amount, (int, float)):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    if amount < 0 or (isinstance(amount, float) and amount > 1.0):
        raise ValueError(
            f"amount={amount} should either be a float in the range [0, 1] or a "
            "non-negative integer"
        )


def _check_slices(t: Tensor, dim: int) -> None:
    if t.ndim <= 1:
        raise ValueError(
            "Structured pruning can only be applied to multidimensional tensors. Found tensor of "
            f"shape {tuple(t.shape)} with {t.ndim} dims"
        )
    if not -t.ndim <= dim < t.ndim:
        raise IndexError(f"Invalid index {dim} for tensor of size {tuple(t.shape)}")


def _count(amount: float, size: int) -> int:
    if isinstance(amount, WHOLE):
        if amount > size:
            raise ValueError(
                f"amount={amount} should be smaller than the number of parameters to prune={size}"
            )
        return amount
    return round(amount * size)


def _without_smallest(scores: Tensor, amount: float, mask: Tensor) -> Tensor:
    count = _count(amount, scores.numel())
    mask = mask.detach().clone()
    if count:
        smallest = fn.topk(scores.reshape(-1), count, largest=False).indices
        flat = mask.reshape(-1)
        flat[smallest] = 0
        mask = flat.reshape(mask.shape)
    return mask


def _without_slices(scores: Tensor, amount: float, dim: int, mask: Tensor) -> Tensor:
    size = scores.numel()
    kept = zeros_like(mask)
    largest = fn.topk(scores, size - _count(amount, size), largest=True).indices
    kept[(*(slice(None),) * (dim % mask.ndim), largest)] = 1
    return kept * mask
