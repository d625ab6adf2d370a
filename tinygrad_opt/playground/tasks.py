"""What is learnt: points of two classes in the plane, or the lowest point of a landscape."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import nn
from ..autograd.modes import no_grad
from ..core.tensor import Tensor
from ..tensors.creation import from_numpy, tensor

__all__ = [
    "ACTIVATIONS", "DATASETS", "LANDSCAPES", "Classification", "Descent", "Landscape", "points",
]  # fmt: skip

Coordinates = tuple[np.ndarray, np.ndarray]

# Points of two classes ----------------------------------------------------------------------------


def _moons(t: np.ndarray, c: np.ndarray) -> Coordinates:
    angle = np.pi * t
    sign = 1 - 2 * c
    return sign * np.cos(angle) * 1.2 + c * 1.2 - 0.6, sign * np.sin(angle) * 1.2 + 0.6 * c - 0.3


def _circles(t: np.ndarray, c: np.ndarray) -> Coordinates:
    radius = np.where(c == 1, 0.7, 1.6)
    return radius * np.cos(2 * np.pi * t), radius * np.sin(2 * np.pi * t)


def _spirals(t: np.ndarray, c: np.ndarray) -> Coordinates:
    along = np.sqrt(0.02 + 0.98 * t)  # as many points outside as inside, for their length
    angle, radius = 3 * np.pi * along + np.pi * c, 1.9 * along
    return radius * np.cos(angle), radius * np.sin(angle)


def _xor(t: np.ndarray, c: np.ndarray) -> Coordinates:
    """A low-discrepancy filling of each class's two squares: the golden ratio's multiples."""
    n = np.arange(len(t))
    a, b = (0.5 + n * 0.7548776662) % 1, (0.5 + n * 0.5698402910) % 1
    side = np.where(n // 2 % 2, 1.0, -1.0)
    x = side * (0.15 + 1.5 * a)
    return x, np.where(c == 1, -1.0, 1.0) * side * (0.15 + 1.5 * b)


def _blobs(t: np.ndarray, c: np.ndarray) -> Coordinates:
    """Two centres; each class a disc about its own."""
    radius, angle = 0.75 * np.sqrt(t), 2.399963 * np.arange(len(t))  # a sunflower's seeds
    side = 1 - 2 * c
    return 0.85 * side + radius * np.cos(angle), 0.6 * side + radius * np.sin(angle)


DATASETS: dict[str, Callable[[np.ndarray, np.ndarray], Coordinates]] = {
    "moons": _moons, "circles": _circles, "spirals": _spirals, "xor": _xor, "blobs": _blobs,
}  # fmt: skip


def points(name: str, count: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """`count` points of a data set: (count, 2) float32 and their classes, (count,) int64.

    name: a key of `DATASETS`.  noise: the standard deviation of what is added to both coordinates.
    Raises ValueError for another name, fewer than 2 points or a negative noise.
    """
    if name not in DATASETS:
        raise ValueError(f"playground: data set must be one of {', '.join(DATASETS)}, got {name!r}")
    if count < 2 or not noise >= 0:
        raise ValueError(f"playground: at least 2 points and a noise >= 0, got {count}, {noise}")
    random = np.random.default_rng(seed)
    classes = np.arange(count) % 2
    along = random.random(count)
    x = np.stack(DATASETS[name](along, classes), 1) + noise * random.standard_normal((count, 2))
    return x.astype(np.float32), classes.astype(np.int64)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh, "ReLU": nn.ReLU, "GELU": nn.GELU, "SiLU": nn.SiLU, "sigmoid": nn.Sigmoid,
    "ELU": nn.ELU,
}  # fmt: skip


@dataclass(frozen=True)
class Classification:
    """A small network learns which of two classes a point in the plane belongs to.

    data, count, noise: as of `points`.
    layers, width, activation: hidden layers, their features, a key of `ACTIVATIONS`.
    batch: points in a step; 0 for all of them.
    seed: of the points, the first weights and the batches: the same for all that race.
    """

    data: str = "spirals"
    count: int = 300
    noise: float = 0.05
    layers: int = 2
    width: int = 16
    activation: str = "tanh"
    batch: int = 0
    seed: int = 0
    limit = 2.2  # the picture goes from -limit to limit in both directions

    def prepare(self) -> Prepared:
        """The points as tensors, and how models, losses and batches are made of them."""
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"playground: activation must be one of {', '.join(ACTIVATIONS)}, got "
                f"{self.activation!r}"
            )
        if self.layers < 0 or self.width < 1:
            raise ValueError(
                f"playground: layers >= 0 and width >= 1, got {self.layers} and {self.width}"
            )
        x, y = points(self.data, self.count, self.noise, self.seed)
        all_x, all_y = from_numpy(x), from_numpy(y)

        def batch(step: int) -> tuple[Tensor, ...]:
            if not 0 < self.batch < self.count:
                return all_x, all_y
            random = np.random.default_rng((self.seed, step))
            chosen = random.choice(self.count, self.batch, replace=False)
            return from_numpy(x[chosen]), from_numpy(y[chosen])

        def loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            return nn.functional.cross_entropy(model(x), y)

        return Prepared(self._model, batch, loss, x, y)

    def _model(self) -> nn.Module:
        """A network; its first weights are uniform, as nn.Linear's, but drawn from the seed."""
        random = np.random.default_rng((self.seed, 1))
        sizes = [2, *[self.width] * self.layers, 2]
        parts: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            linear = nn.Linear(inputs, outputs)
            for p in linear.parameters():
                bound = inputs**-0.5
                p.data = tensor(random.uniform(-bound, bound, tuple(p.shape)).astype(np.float32))
            parts += [linear, ACTIVATIONS[self.activation]()]
        return nn.Sequential(*parts[:-1])

    def field(self, model: nn.Module, side: int = 96) -> np.ndarray:
        """The probability of class 1 on a grid of the picture: (side, side), rows upwards."""
        line = np.linspace(-self.limit, self.limit, side, dtype=np.float32)
        grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
        with no_grad():
            scores = model(from_numpy(grid)).numpy()
        with np.errstate(over="ignore"):
            chance = 1 / (1 + np.exp(scores[:, 0] - scores[:, 1]))
        return chance.reshape(side, side).astype(np.float32)

    def accuracy(self, model: nn.Module, prepared: Prepared) -> float:
        """The share of the points whose class the model finds."""
        with no_grad():
            scores = model(from_numpy(prepared.x)).numpy()
        return float((scores.argmax(1) == prepared.y).mean())


class Prepared(NamedTuple):
    """A task ready to be raced.

    model: makes the model, each time the same.  batch: what the loss of a step takes beside it.
    loss(model, *batch): a Tensor.  x, y: the points; empty for a landscape.
    """

    model: Callable[[], nn.Module]
    batch: Callable[[int], tuple[Tensor, ...]]
    loss: Callable[..., Tensor]
    x: np.ndarray
    y: np.ndarray


# Landscapes ---------------------------------------------------------------------------------------


def _bowl(x: Any, y: Any) -> Any:
    return 0.5 * x**2 + 10 * y**2


def _rosenbrock(x: Any, y: Any) -> Any:
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def _beale(x: Any, y: Any) -> Any:
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def _himmelblau(x: Any, y: Any) -> Any:
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def _saddle(x: Any, y: Any) -> Any:
    return 2 * x**2 - y**2 + y**4 / 4 + 1


class Landscape(NamedTuple):
    """A function of two numbers, of Tensors as of arrays; its lowest value is 0.

    start: where contestants begin.  goals: the lowest points.  view: left, right, low, high.
    """

    function: Callable[[Any, Any], Any]
    start: tuple[float, float]
    goals: tuple[tuple[float, float], ...]
    view: tuple[float, float, float, float]
    says: str


LANDSCAPES = {
    "Rosenbrock": Landscape(
        _rosenbrock, (-1.5, 2.0), ((1, 1),), (-2.1, 2.1, -1.0, 3.2), "(1 - x)^2 + 100 (y - x^2)^2"
    ),
    "Beale": Landscape(
        _beale, (1.0, 1.5), ((3, 0.5),), (-0.5, 4.2, -1.5, 2.0),
        "(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2",
    ),
    "Himmelblau": Landscape(
        _himmelblau, (-0.3, -0.9),
        ((3, 2), (-2.805118, 3.131312), (-3.779310, -3.283186), (3.584428, -1.848127)),
        (-5.0, 5.0, -5.0, 5.0), "(x^2 + y - 11)^2 + (x + y^2 - 7)^2",
    ),
    "saddle": Landscape(
        _saddle, (1.5, 0.01), ((0, -(2**0.5)), (0, 2**0.5)), (-1.9, 1.9, -2.1, 2.1),
        "2 x^2 - y^2 + y^4 / 4 + 1",
    ),
    "bowl": Landscape(
        _bowl, (-4.0, 1.6), ((0, 0),), (-5.0, 5.0, -2.2, 2.2), "x^2 / 2 + 10 y^2"
    ),
}  # fmt: skip


class _Place(nn.Module):
    """One parameter, (1, 2): a row of a matrix, so that layer-wise optimizers take it too."""

    def __init__(self, start: tuple[float, float]) -> None:
        super().__init__()
        self.place = nn.Parameter(tensor([start], dtype=np.float32))

    def forward(self) -> tuple[Tensor, Tensor]:
        return self.place[0, 0], self.place[0, 1]


@dataclass(frozen=True)
class Descent:
    """A point walks down a landscape; name: a key of `LANDSCAPES`."""

    name: str = "Rosenbrock"

    @property
    def landscape(self) -> Landscape:
        """What is walked down; ValueError where there is none of that name."""
        if self.name not in LANDSCAPES:
            raise ValueError(
                f"playground: landscape must be one of {', '.join(LANDSCAPES)}, got {self.name!r}"
            )
        return LANDSCAPES[self.name]

    def prepare(self) -> Prepared:
        """The point at its start; no batches."""
        function, start = self.landscape.function, self.landscape.start

        def loss(model: nn.Module) -> Tensor:
            value: Tensor = function(*model())
            return value

        nothing = np.empty((0, 2), np.float32)
        return Prepared(lambda: _Place(start), lambda step: (), loss, nothing, nothing[:, 0])

    def place(self, model: nn.Module) -> tuple[float, float]:
        """Where the point is."""
        (p,) = model.parameters()
        x, y = p.detach().numpy()[0]
        return float(x), float(y)

    def heights(self, side: int = 160) -> np.ndarray:
        """The landscape on a grid of its view: (side, side), rows upwards."""
        left, right, low, high = self.landscape.view
        x, y = np.meshgrid(np.linspace(left, right, side), np.linspace(low, high, side))
        values: np.ndarray = self.landscape.function(x, y)
        return values
