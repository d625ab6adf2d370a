"""What transforms are, and those made of others: inverse, compositions, whole events, shapes."""

from __future__ import annotations

import math
from typing import Any, cast

from ..core.tensor import Tensor
from ..tensors.creation import zeros_like
from . import constraints
from .utils import sum_rightmost

__all__ = [
    "ComposeTransform", "IndependentTransform", "ReshapeTransform", "Transform",
    "identity_transform",
]  # fmt: skip


class Transform:
    """y = transform(x), with `inv`, and `log_abs_det_jacobian(x, y)` = log|dy/dx|.

    A subclass says `domain`, `codomain`, `_call`, `_inverse` and `log_abs_det_jacobian`.
    `bijective`: whether every y comes from one x; `sign`: 1 or -1 where it grows or falls.
    `cache_size`: 1 remembers the last x and y, so that `inv(y)` gives back that x exactly.
    """

    bijective = False
    domain: Any = constraints.real
    codomain: Any = constraints.real

    def __init__(self, cache_size: int = 0) -> None:
        if cache_size not in (0, 1):
            raise ValueError(f"cache_size must be 0 or 1, got {cache_size}")
        self._cache_size = cache_size
        self._last: tuple[Any, Any] = (None, None)
        self._inverted: Transform | None = None

    @property
    def sign(self) -> Any:
        """1 or -1, as the function grows or falls."""
        raise NotImplementedError(f"{type(self).__name__} has no sign: it is not monotone")

    @property
    def inv(self) -> Transform:
        """The inverse transform."""
        if self._inverted is None:
            self._inverted = _Inverse(self)
        return self._inverted

    def with_cache(self, cache_size: int = 1) -> Transform:
        """The same transform with another cache."""
        if self._cache_size == cache_size:
            return self
        new = type(self).__new__(type(self))
        vars(new).update(vars(self))
        new._cache_size, new._last, new._inverted = cache_size, (None, None), None
        return new

    def __call__(self, x: Tensor) -> Tensor:
        """y for x."""
        if self._cache_size and x is self._last[0]:
            return self._last[1]
        y = self._call(x)
        if self._cache_size:
            self._last = x, y
        return y

    def _inv_call(self, y: Tensor) -> Tensor:
        if self._cache_size and y is self._last[1]:
            return self._last[0]
        x = self._inverse(y)
        if self._cache_size:
            self._last = x, y
        return x

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not define _call")

    def _inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no inverse")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log|dy/dx|, of the shape of the batch."""
        raise NotImplementedError(f"{type(self).__name__} does not define log_abs_det_jacobian")

    def forward_shape(self, shape: Any) -> Any:
        """The shape of y for x of this shape."""
        return shape

    def inverse_shape(self, shape: Any) -> Any:
        """The shape of x for y of this shape."""
        return shape

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    """The inverse of a transform; its own inverse is that transform."""

    def __init__(self, transform: Transform) -> None:
        super().__init__(transform._cache_size)
        self._inverted = transform
        self.bijective = transform.bijective

    @property
    def _of(self) -> Transform:
        return cast(Transform, self._inverted)

    @property
    def domain(self) -> Any:
        """The codomain of the transform."""
        return self._of.codomain

    @property
    def codomain(self) -> Any:
        """The domain of the transform."""
        return self._of.domain

    @property
    def sign(self) -> Any:
        """The sign of the transform."""
        return self._of.sign

    def with_cache(self, cache_size: int = 1) -> Transform:
        """The same with another cache."""
        return self._of.with_cache(cache_size).inv

    def __call__(self, x: Tensor) -> Tensor:
        """x for y."""
        return self._of._inv_call(x)

    def _inv_call(self, y: Tensor) -> Tensor:
        return self._of(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Minus that of the transform."""
        return -self._of.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Any) -> Any:
        """The inverse shape of the transform."""
        return self._of.inverse_shape(shape)

    def inverse_shape(self, shape: Any) -> Any:
        """The forward shape of the transform."""
        return self._of.forward_shape(shape)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Inverse) and self._of == other._of

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"{self._of!r}.inv"


class ComposeTransform(Transform):
    """Several transforms, one after the other, the first first.

    >>> from tinygrad_opt.distributions import AffineTransform, ExpTransform
    >>> ComposeTransform([ExpTransform(), AffineTransform(1.0, 2.0)])(tensor(0.0))
    tensor(3.)
    """

    def __init__(self, parts: list[Transform], cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.parts = [part.with_cache(cache_size) for part in parts] if cache_size else list(parts)
        self.bijective = all(part.bijective for part in self.parts)

    @property
    def sign(self) -> Any:
        """The product of the parts' signs."""
        return math.prod((part.sign for part in self.parts), start=1)

    def _dims(self, end: str) -> int:
        """How many axes one event has at an end, where the parts between need the most."""
        parts = self.parts if end == "codomain" else self.parts[::-1]
        into, out = ("domain", "codomain") if end == "codomain" else ("codomain", "domain")
        dim = 0
        for part in parts:
            a, b = getattr(part, into).event_dim, getattr(part, out).event_dim
            dim = max(dim, a) + b - a
        return dim

    @property
    def domain(self) -> Any:
        """The domain of the first part."""
        return self._end("domain", 0)

    @property
    def codomain(self) -> Any:
        """The codomain of the last part."""
        return self._end("codomain", -1)

    def _end(self, name: str, place: int) -> Any:
        if not self.parts:
            return constraints.real
        found = getattr(self.parts[place], name)
        more = self._dims(name) - found.event_dim
        return constraints.independent(found, more) if more else found

    def _call(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x

    def _inverse(self, y: Tensor) -> Tensor:
        for part in reversed(self.parts):
            y = part.inv(y)
        return y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum of the parts', each summed over what is an event of the whole."""
        if not self.parts:
            return zeros_like(x)
        total: Any = 0
        dim = self.domain.event_dim
        for part in self.parts:
            z = part(x)
            total = total + sum_rightmost(
                part.log_abs_det_jacobian(x, z), dim - part.domain.event_dim
            )
            dim += part.codomain.event_dim - part.domain.event_dim
            x = z
        return total

    def forward_shape(self, shape: Any) -> Any:
        """The shape after all parts."""
        for part in self.parts:
            shape = part.forward_shape(shape)
        return shape

    def inverse_shape(self, shape: Any) -> Any:
        """The shape before all parts."""
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return shape

    def __repr__(self) -> str:
        inner = ",\n    ".join(map(repr, self.parts))
        return f"ComposeTransform(\n    {inner}\n)"


identity_transform = ComposeTransform([])


class IndependentTransform(Transform):
    """A transform of each element, with the last `reinterpreted_batch_ndims` axes as one event.

    >>> from tinygrad_opt.distributions import ExpTransform
    >>> t = IndependentTransform(ExpTransform(), 1)
    >>> t.log_abs_det_jacobian(tensor([1.0, 2.0]), None)
    tensor(3.)
    """

    def __init__(
        self, base_transform: Transform, reinterpreted_batch_ndims: int, cache_size: int = 0
    ) -> None:
        super().__init__(cache_size)
        self.base_transform = base_transform.with_cache(cache_size)
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims
        self.bijective = base_transform.bijective

    @property
    def sign(self) -> Any:
        """The sign of the base."""
        return self.base_transform.sign

    @property
    def domain(self) -> Any:
        """The domain of the base, for whole events."""
        return constraints.independent(self.base_transform.domain, self.reinterpreted_batch_ndims)

    @property
    def codomain(self) -> Any:
        """The codomain of the base, for whole events."""
        return constraints.independent(self.base_transform.codomain, self.reinterpreted_batch_ndims)

    def _call(self, x: Tensor) -> Tensor:
        return self.base_transform(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.base_transform.inv(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """The sum of the base's."""
        found = self.base_transform.log_abs_det_jacobian(x, y)
        return sum_rightmost(found, self.reinterpreted_batch_ndims)


class ReshapeTransform(Transform):
    """Events of `in_shape` as events of `out_shape`. Raises ValueError for different sizes.

    >>> ReshapeTransform((4,), (2, 2))(tensor([1.0, 2.0, 3.0, 4.0]))
    tensor([[1., 2.],
            [3., 4.]])
    """

    bijective = True

    def __init__(self, in_shape: Any, out_shape: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.in_shape, self.out_shape = tuple(in_shape), tuple(out_shape)
        if math.prod(self.in_shape) != math.prod(self.out_shape):
            raise ValueError(
                f"in_shape, out_shape have different numbers of elements: {self.in_shape} and "
                f"{self.out_shape}"
            )

    @property
    def domain(self) -> Any:
        """Any numbers of in_shape."""
        return constraints.independent(constraints.real, len(self.in_shape))

    @property
    def codomain(self) -> Any:
        """Any numbers of out_shape."""
        return constraints.independent(constraints.real, len(self.out_shape))

    def _call(self, x: Tensor) -> Tensor:
        return x.reshape(self.forward_shape(x.shape))

    def _inverse(self, y: Tensor) -> Tensor:
        return y.reshape(self.inverse_shape(y.shape))

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """0."""
        return x.new_zeros(x.shape[: x.ndim - len(self.in_shape)])

    def forward_shape(self, shape: Any) -> Any:
        """The shape with the last axes, `in_shape`, as `out_shape`."""
        return _exchanged(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape: Any) -> Any:
        """The shape with the last axes, `out_shape`, as `in_shape`."""
        return _exchanged(shape, self.out_shape, self.in_shape)


def _exchanged(shape: Any, old: tuple[int, ...], new: tuple[int, ...]) -> tuple[int, ...]:
    cut = len(shape) - len(old)
    if cut < 0 or tuple(shape[cut:]) != old:
        raise ValueError(f"Shape mismatch: expected {old} but got {tuple(shape[max(cut, 0) :])}")
    return (*shape[:cut], *new)
