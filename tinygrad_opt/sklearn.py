"""Estimators for scikit-learn: networks that pipelines and searches can hold.

    from tinygrad_opt.sklearn import Classifier, Regressor

Needs scikit-learn: `pip install 'tinygrad_opt[sklearn]'`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import nn, optim
from .arrays import random
from .autograd.modes import no_grad
from .data.datasets import TensorDataset
from .data.loader import DataLoader
from .tensors.creation import tensor
from .training import fit

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "tinygrad_opt.sklearn needs scikit-learn: pip install 'tinygrad_opt[sklearn]'"
    ) from error

__all__ = ["Classifier", "Regressor"]

_ACTIVATIONS = {
    "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "silu": nn.SiLU,
}  # fmt: skip
_FLOATS = (np.float64, np.float32)  # the network computes in the type of X, if it is one of these


class _Network(BaseEstimator):
    """What the two share: their settings, building the network, and training it with `fit`."""

    def __init__(
        self, hidden: tuple[int, ...] = (32,), activation: str = "relu",
        optimizer: str | type[optim.Optimizer] = "adam", lr: float = 0.01, epochs: int = 100,
        batch_size: int = 32, random_state: Any = None, verbose: bool = False,
    ) -> None:  # fmt: skip
        self.hidden = hidden
        self.activation = activation
        self.optimizer = optimizer
        self.lr = lr
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose

    def _train(self, x: Any, y: Any, outputs: int, loss_fn: Callable[..., Any]) -> None:
        """Make the network and train it, with random numbers of its own."""
        make_optimizer, activation = self._checked()
        seed = int(check_random_state(self.random_state).randint(2**31))
        with random.drawing_from(random.Generator().manual_seed(seed)):
            self.model_ = _layers(x.shape[1], self.hidden, outputs, activation, x.dtype)
            data = TensorDataset(tensor(x), tensor(y))
            loader: Any = DataLoader(data, batch_size=self.batch_size, shuffle=True)
            optimizer = make_optimizer(self.model_.parameters(), lr=self.lr)
            history = fit(
                self.model_, loss_fn, optimizer, loader, self.epochs, quiet=not self.verbose
            )
        self.loss_curve_ = history["loss"]

    def _checked(self) -> tuple[Any, Any]:
        """The classes of the optimizer and of the activation."""
        name = type(self).__name__
        for setting, smallest in [("epochs", 1), ("batch_size", 1)]:
            value = getattr(self, setting)
            if value < smallest:
                raise ValueError(f"{name}: {setting} must be at least {smallest}, got {value!r}")
        if self.activation not in _ACTIVATIONS:
            raise ValueError(
                f"{name}: activation must be one of {', '.join(_ACTIVATIONS)}, "
                f"got {self.activation!r}"
            )
        if not isinstance(self.optimizer, str):
            return self.optimizer, _ACTIVATIONS[self.activation]
        known = {entry.lower(): entry for entry in optim.__all__ if entry[0].isupper()}
        if self.optimizer.lower() not in known:
            raise ValueError(
                f"{name}: optimizer must be a class, or the name of one in tinygrad_opt.optim "
                f"({', '.join(sorted(known))}), got {self.optimizer!r}"
            )
        return getattr(optim, known[self.optimizer.lower()]), _ACTIVATIONS[self.activation]

    def _outputs(self, X: Any) -> Any:
        """What the network says of X, as a NumPy array; (samples, outputs)."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=_FLOATS, reset=False)
        own = next(self.model_.parameters()).dtype
        self.model_.eval()
        with no_grad():
            return self.model_(tensor(np.asarray(x, own))).numpy()


class Classifier(ClassifierMixin, _Network):
    """A network that tells classes apart, as a scikit-learn estimator.

    hidden: the widths of the hidden layers.  activation: "relu", "tanh", "sigmoid", "gelu", "silu".
    optimizer: a class of `tinygrad_opt.optim`, or its name in small letters; lr: its rate.
    epochs, batch_size: how long, and how many samples at once.  random_state: as everywhere in
    scikit-learn: each fit draws its initial weights and the order of the samples from a generator
    of its own, so that fits in threads disturb neither each other nor the global generator.
    verbose: show how it goes.  Scale the inputs first, as with any network.

    After `fit`: classes_, model_ (the network), loss_curve_ (the mean loss of each epoch).

    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> y = np.where((X**2).sum(1) < 1.4, "inside", "outside")
    >>> Classifier(random_state=0, epochs=30).fit(X, y).score(X, y) > 0.95
    True
    """

    def fit(self, X: Any, y: Any) -> Classifier:
        """Trains on X (samples, features) and y (samples,), labels of any kind; returns self."""
        x, y = validate_data(self, X, y, dtype=_FLOATS)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        self._train(x, labels.astype(np.int64), len(self.classes_), nn.CrossEntropyLoss())
        return self

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class; (samples, classes), in the order of `classes_`."""
        scores = self._outputs(X)
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> Any:
        """The likeliest class of each sample."""
        best = self._outputs(X).argmax(axis=1)
        return self.classes_[best]


class Regressor(RegressorMixin, _Network):
    """A network that predicts numbers, one or several a sample, as a scikit-learn estimator.

    Settings as for `Classifier`. It minimises the mean squared error; scale inputs, and targets
    that are far from 1 (`sklearn.compose.TransformedTargetRegressor`).

    >>> import numpy as np
    >>> X = np.linspace(-2, 2, 200)[:, None]
    >>> Regressor((16,), "tanh", random_state=0, epochs=60).fit(X, np.sin(X[:, 0])).score(
    ...     X, np.sin(X[:, 0])) > 0.98
    True
    """

    def fit(self, X: Any, y: Any) -> Regressor:
        """Trains on X (samples, features) and y (samples,) or (samples, outputs); returns self."""
        x, y = validate_data(self, X, y, dtype=_FLOATS, multi_output=True, y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._flat = y.ndim == 1
        targets = y.reshape(len(y), -1).astype(x.dtype)
        self._train(x, targets, targets.shape[1], nn.MSELoss())
        return self

    def predict(self, X: Any) -> Any:
        """The predicted numbers, of the shape of the y in `fit`."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._flat else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _layers(
    inputs: int, hidden: tuple[int, ...], outputs: int, activation: Any, dtype: Any
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), activation()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs)).to(dtype)
