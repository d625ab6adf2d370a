"""Estimators for scikit-learn: networks that pipelines and searches can hold.

    from tinygrad_opt.sklearn import Classifier, Regressor

Needs scikit-learn: `pip install 'tinygrad_opt[sklearn]'`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from math import ceil
from numbers import Real
from typing import Any

import numpy as np

from . import nn, optim
from .arrays import random
from .data.datasets import TensorDataset
from .data.loader import DataLoader
from .tensors.creation import tensor
from .training import EarlyStopping, History, fit, predict
from .training.checks import as_callbacks, check_count
from .training.weighted import Weighted, packed

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import (
        _check_sample_weight,
        check_is_fitted,
        validate_data,
    )
except ImportError as error:
    raise ImportError(
        "tinygrad_opt.sklearn needs scikit-learn: pip install 'tinygrad_opt[sklearn]'"
    ) from error

__all__ = ["Classifier", "Regressor"]

_ACTIVATIONS = {
    "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "silu": nn.SiLU,
}  # fmt: skip
_PARTS = ("module", "optimizer", "criterion")
_FLOATS = (np.float64, np.float32)  # the network computes in the type of X, if it is one of these


class _Network(BaseEstimator):
    """What the two share: their settings, building the network, and training it with `fit`."""

    def __init__(
        self, hidden: tuple[int, ...] = (32,), activation: str = "relu",
        optimizer: str | type[optim.Optimizer] = "adam", lr: float = 0.01, epochs: int = 100,
        batch_size: int = 32, random_state: Any = None, verbose: bool = False, *,
        module: Any = None, criterion: Any = None, callbacks: Any = (), warm_start: bool = False,
        early_stopping: bool = False, validation_fraction: float = 0.1, n_iter_no_change: int = 10,
        tol: float = 1e-4, **parts: Any,
    ) -> None:  # fmt: skip
        self.hidden = hidden
        self.activation = activation
        self.optimizer = optimizer
        self.lr = lr
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state
        self.verbose = verbose
        self.module = module
        self.criterion = criterion
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        for name, value in parts.items():  # as scikit-learn has it, they are looked at in `fit`
            if not _is_of_a_part(name):
                raise TypeError(
                    f"{type(self).__name__} has no setting {name!r}; those of a part are named "
                    f"{', '.join(f'{part}__...' for part in _PARTS)}"
                )
            setattr(self, name, value)

    # Settings of the parts: module__width, optimizer__weight_decay, criterion__label_smoothing ----

    def _settings_of(self, part: str) -> dict[str, Any]:
        start = f"{part}__"
        return {k[len(start) :]: v for k, v in vars(self).items() if k.startswith(start)}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """All settings by name, those of the parts as `module__width` as well."""
        own = {k: v for k, v in vars(self).items() if _is_of_a_part(k)}
        return {**super().get_params(deep), **own}

    def set_params(self, **params: Any) -> Any:
        """Changes settings; ValueError for a name that is none. Returns self."""
        own = {k: v for k, v in params.items() if _is_of_a_part(k)}
        super().set_params(**{k: v for k, v in params.items() if k not in own})
        for name, value in own.items():
            setattr(self, name, value)
        return self

    # Training -------------------------------------------------------------------------------------

    def _train(self, x: Any, y: Any, weights: Any, outputs: int, loss: Any, go_on: bool,
               epochs: int | None = None) -> None:  # fmt: skip
        """Train the network, with random numbers of its own; a new one unless told to go on.

        loss: the usual class, where no criterion is given.  epochs: None for as many as are set.
        """
        self._check()
        if not go_on:
            self._seeds = check_random_state(self.random_state)
            self.history_ = History()
        seed = int(self._seeds.randint(2**31))
        with random.drawing_from(random.Generator().manual_seed(seed)):
            if not go_on:
                self.model_ = self._make_model(x, outputs)
                self.optimizer_ = self._make_optimizer(self.model_)
            criterion = self.criterion or loss
            if isinstance(criterion, type | nn.Module) or self._settings_of("criterion"):
                criterion = _made(criterion, self._settings_of("criterion"))
            if weights is not None:
                counting = weights > 0  # the others are as good as absent, where held out as well
                x, y, weights = x[counting], y[counting], weights[counting]
                criterion, y = Weighted(criterion, type(self).__name__), packed(y, weights)
            held_out, callbacks = None, as_callbacks(self.callbacks)
            if self.early_stopping and epochs is None:
                stratify = self._strata(y if weights is None else y[:, 0])
                x, x_held, y, y_held = train_test_split(
                    x, y, test_size=self.validation_fraction, stratify=stratify,
                    random_state=seed,
                )  # fmt: skip
                held_out = self._loader(x_held, y_held, shuffle=False)
                callbacks = [
                    *callbacks,
                    EarlyStopping(patience=self.n_iter_no_change, min_delta=self.tol),
                ]
            made = fit(
                self.model_, criterion, self.optimizer_, self._loader(x, y, shuffle=True),
                self.epochs if epochs is None else epochs, validation=held_out,
                callbacks=callbacks, quiet=not self.verbose,
            )  # fmt: skip
        before = self.history_.records[-1] if len(self.history_) else {"epoch": 0, "step": 0}
        self.history_.records += [
            {**r, "epoch": r["epoch"] + before["epoch"], "step": r["step"] + before["step"]}
            for r in made.records
        ]
        self.loss_curve_ = self.history_["loss"] if len(self.history_) else []
        self.n_iter_ = len(self.history_)

    def _strata(self, y: Any) -> Any:
        return None

    def _loader(self, x: Any, y: Any, shuffle: bool) -> Any:
        data = TensorDataset(tensor(x), tensor(y))
        return DataLoader(data, batch_size=self.batch_size, shuffle=shuffle)

    def _check(self) -> None:
        name = type(self).__name__
        for setting in ("epochs", "batch_size", "n_iter_no_change"):
            check_count(name, setting, getattr(self, setting))
        for setting in ("lr", "tol", "validation_fraction"):
            value = getattr(self, setting)
            if not isinstance(value, Real):
                raise TypeError(f"{name}: {setting} must be a number, got {value!r}")
        hidden: Any = self.hidden
        if isinstance(hidden, str) or not isinstance(hidden, Iterable):
            raise TypeError(f"{name}: hidden must be widths, such as (32,), got {hidden!r}")
        if not 0 < self.validation_fraction < 1:
            raise ValueError(
                f"{name}: validation_fraction must lie between 0 and 1, got "
                f"{self.validation_fraction!r}"
            )
        if self.activation not in _ACTIVATIONS:
            raise ValueError(
                f"{name}: activation must be one of {', '.join(_ACTIVATIONS)}, "
                f"got {self.activation!r}"
            )

    def _make_model(self, x: Any, outputs: int) -> Any:
        if self.module is None:
            activation = _ACTIVATIONS[self.activation]
            return _layers(x.shape[1], self.hidden, outputs, activation, x.dtype)
        made = _made(self.module, self._settings_of("module"))
        if not isinstance(made, nn.Module):
            raise TypeError(
                f"{type(self).__name__}: module must be an nn.Module, its class, or a function "
                f"that makes one, got {made!r}"
            )
        return made.to(x.dtype)

    def _make_optimizer(self, model: Any) -> Any:
        name = type(self).__name__
        wanted: Any = self.optimizer
        if isinstance(wanted, str):
            known = {entry.lower(): entry for entry in optim.__all__ if entry[0].isupper()}
            if wanted.lower() not in known:
                raise ValueError(
                    f"{name}: optimizer must be a class, or the name of one in tinygrad_opt.optim "
                    f"({', '.join(sorted(known))}), got {wanted!r}"
                )
            wanted = getattr(optim, known[wanted.lower()])
        return wanted(model.parameters(), lr=self.lr, **self._settings_of("optimizer"))

    def _goes_on(self, partial: bool) -> bool:
        return (partial or self.warm_start) and hasattr(self, "model_")

    def _outputs(self, X: Any) -> Any:
        """What the network says of X, as a NumPy array; (samples, outputs)."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=_FLOATS, reset=False, allow_nd=self.module is not None)
        own = next(self.model_.parameters()).dtype
        return predict(self.model_, np.asarray(x, own), quiet=True).numpy()

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")


class Classifier(ClassifierMixin, _Network):
    """A network that tells classes apart, as a scikit-learn estimator.

    hidden: the widths of the hidden layers.  activation: "relu", "tanh", "sigmoid", "gelu", "silu".
    module: instead of those, a Module, its class or a function that makes one; each fit begins with
    a new one. It gives (samples, classes), of which the loss makes probabilities (softmax).
    optimizer: a class of `tinygrad_opt.optim`, or its name in small letters; lr: its rate.
    criterion: a loss, or its class; by default `nn.CrossEntropyLoss`.
    module__..., optimizer__..., criterion__...: settings of these parts, for searches too.
    epochs, batch_size: how long, and how many samples at once.  callbacks: as `training.fit` takes.
    early_stopping: hold out validation_fraction, and stop when its loss has not fallen by tol for
    n_iter_no_change epochs; the best network is kept.  warm_start: fit goes on from the last one.
    random_state: as everywhere in scikit-learn: each fit draws its initial weights and the order of
    the samples from a generator of its own, so that fits in threads disturb neither each other nor
    the global generator.  verbose: show how it goes.  Scale the inputs first.

    After `fit`: classes_, model_ (the network), optimizer_, history_ (a `History`), loss_curve_
    (the mean loss of each epoch), n_iter_ (epochs).

    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> y = np.where((X**2).sum(1) < 1.4, "inside", "outside")
    >>> Classifier(random_state=0, epochs=30).fit(X, y).score(X, y) > 0.95
    True
    """

    classes_: Any

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Classifier:
        """Trains on X (samples, features) and y (samples,), labels of any kind; returns self.

        sample_weight: (samples,), how much each counts in the loss.
        """
        return self._fit(X, y, sample_weight, None, self._goes_on(False))

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Classifier:
        """One epoch more, on these samples; the first call needs all `classes`. Returns self."""
        go_on = self._goes_on(True)
        if not go_on and classes is None:
            raise ValueError("Classifier: the first call of partial_fit needs all classes")
        if go_on and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"Classifier: classes are {self.classes_} since the first call, got {classes!r}"
            )
        return self._fit(X, y, sample_weight, classes, go_on, 1)

    def _fit(
        self, X: Any, y: Any, weights: Any, classes: Any, go_on: bool, epochs: int | None = None
    ) -> Classifier:
        nd = self.module is not None
        x, y = validate_data(self, X, y, dtype=_FLOATS, reset=not go_on, allow_nd=nd)
        check_classification_targets(y)
        if weights is not None:
            weights = _check_sample_weight(weights, x, dtype=x.dtype, ensure_non_negative=True)
        known = np.unique(y if classes is None else classes)
        if go_on:
            known = self.classes_
        new = np.setdiff1d(y, known)
        if len(new):
            raise ValueError(f"Classifier: y has classes {new} that are not among {known}; "
                             "fit anew, without warm_start")  # fmt: skip
        self.classes_ = known
        labels = np.searchsorted(known, y).astype(np.int64)
        self._train(x, labels, weights, len(known), nn.CrossEntropyLoss, go_on, epochs)
        return self

    def _strata(self, y: Any) -> Any:
        """The labels, where each can be on both sides of what is held out."""
        counts = np.unique(y, return_counts=True)[1]
        held = ceil(self.validation_fraction * len(y))
        both_sides = counts.min() > 1 and len(counts) <= min(held, len(y) - held)
        return y if both_sides else None

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

    _flat: bool
    _width: int

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Regressor:
        """Trains on X (samples, features) and y (samples,) or (samples, outputs); returns self.

        sample_weight: (samples,), how much each counts in the loss.
        """
        return self._fit(X, y, sample_weight, self._goes_on(False))

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Regressor:
        """One epoch more, on these samples; returns self."""
        return self._fit(X, y, sample_weight, self._goes_on(True), 1)

    def _fit(
        self, X: Any, y: Any, weights: Any, go_on: bool, epochs: int | None = None
    ) -> Regressor:
        x, y = validate_data(
            self, X, y, dtype=_FLOATS, reset=not go_on, allow_nd=self.module is not None,
            multi_output=True, y_numeric=True,
        )  # fmt: skip
        if weights is not None:
            weights = _check_sample_weight(weights, x, dtype=x.dtype, ensure_non_negative=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        targets = y.reshape(len(y), -1).astype(x.dtype)
        if go_on and (self._flat, self._width) != (y.ndim == 1, targets.shape[1]):
            raise ValueError(f"Regressor: y had {self._width} outputs before, and has "
                             f"{targets.shape[1]} now; fit anew, without warm_start")  # fmt: skip
        self._flat, self._width = y.ndim == 1, targets.shape[1]
        self._train(x, targets, weights, targets.shape[1], nn.MSELoss, go_on, epochs)
        return self

    def predict(self, X: Any) -> Any:
        """The predicted numbers, of the shape of the y in `fit`."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._flat else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _is_of_a_part(name: str) -> bool:
    part, dunder, _ = name.partition("__")
    return dunder != "" and part in _PARTS


def _layers(
    inputs: int, hidden: tuple[int, ...], outputs: int, activation: Any, dtype: Any
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), activation()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs)).to(dtype)


def _made(part: Any, settings: dict[str, Any]) -> Any:
    """A part of an estimator: what a class or a function makes, a copy of a Module, or itself."""
    if isinstance(part, nn.Module):
        if settings:
            raise ValueError(
                f"{type(part).__name__} is made already, so that {', '.join(settings)} cannot be "
                "set; give its class"
            )
        return copy.deepcopy(part)
    try:
        return part(**settings)
    except TypeError as error:
        raise TypeError(
            f"{getattr(part, '__name__', part)}({', '.join(settings)}) could not be made: {error}; "
            "settings of parts are given as module__width=..., criterion__reduction=..."
        ) from error
