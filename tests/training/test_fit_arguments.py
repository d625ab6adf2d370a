"""What `fit` and its neighbours are given: other forms, and mistakes that are told at once."""

import functools
import math
import re

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.optim.lr_scheduler import ChainedScheduler, ExponentialLR
from tinygrad_opt.training import (
    Callback,
    EarlyStopping,
    accuracy,
    evaluate,
    fit,
    lr_range_test,
    predict,
)
from tinygrad_opt.utils.data import DataLoader, IterableDataset, Subset, TensorDataset


def setup(lr=0.1):
    """A model, its loss, its optimizer, and batches."""
    tg.manual_seed(0)
    x = tg.randn(12, 3)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    batches = [(x[:8], (x[:8].sum(1) > 0).long()), (x[8:], (x[8:].sum(1) > 0).long())]
    return model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=lr), batches


FUNCTIONS = {"fit": fit, "lr_range_test": functools.partial(lr_range_test, steps=3, end=1.0)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_both_take_their_arguments_in_one_order_and_by_name(name):
    model, loss_fn, optimizer, batches = setup()
    FUNCTIONS[name](model, loss_fn, optimizer, batches)
    batches_by_name = {"loader" if name == "fit" else "batches": batches}
    FUNCTIONS[name](optimizer=optimizer, loss_fn=loss_fn, model=model, **batches_by_name)
    order = rf"{name}: loss_fn and optimizer stand in each other's place; the order is {name}\("
    with pytest.raises(TypeError, match=order):
        FUNCTIONS[name](model, optimizer, loss_fn, batches)


class Lookalike:
    """Wraps an optimizer, as those of other libraries do."""

    def __init__(self, optimizer):
        self.optimizer, self.param_groups = optimizer, optimizer.param_groups
        self.step, self.zero_grad = optimizer.step, optimizer.zero_grad


def test_optimizers_by_their_looks_and_losses_with_parameters():
    model, loss_fn, optimizer, batches = setup()
    assert len(fit(model, loss_fn, Lookalike(optimizer), batches)) == 1

    class Weighted(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(tg.ones(1))

        def forward(self, output, target):
            return (loss_fn(output, target) * self.weight).sum()

    weighted = Weighted()
    fit(model, weighted, optim.SGD(weighted.parameters(), lr=0.1), batches)
    assert weighted.weight.item() < 1


class Stream(IterableDataset):
    def __iter__(self):
        return iter([(tg.ones(3), tg.tensor(0))] * 4)


DATA = TensorDataset(tg.ones(12, 3), tg.zeros(12, dtype=tg.int64))
MISTAKES = [
    (dict(model=nn.Linear), TypeError, "model must be an nn.Module, but is the class Linear: call"),
    (dict(model=[nn.Linear(3, 2)]), TypeError, "model must be an nn.Module, but is a list"),
    (dict(loss_fn=nn.MSELoss), TypeError, "loss_fn must be a function .* the class MSELoss: call"),
    (dict(loss_fn="mse"), TypeError, "loss_fn must be a function .*, but is a str"),
    (dict(optimizer=optim.Adam), TypeError, "optimizer must be an optimizer.* the class Adam: cal"),
    (dict(optimizer="adam"), TypeError, r"such as optim.Adam\(model.parameters\(\)\), but is a s"),
    (dict(optimizer=optim.Adam(nn.Linear(3, 2).parameters())), ValueError,
     "none of the optimizer's 2 parameters is the model's, .* make a Adam of this model's"),
    (dict(batches=DATA), TypeError, "is a TensorDataset, a dataset, which gives single samples"),
    (dict(batches=Subset(DATA, [1, 2])), TypeError, r"is a Subset.*DataLoader\(dataset, batch_siz"),
    (dict(batches=Stream()), TypeError, "is a Stream, a dataset, which gives single samples; give"),
    (dict(batches=None), TypeError, "must give batches, as a DataLoader .* but is a NoneType"),
    (dict(batches=3), TypeError, "must give batches, as a DataLoader .* does, but is a int"),
    (dict(batches=DataLoader), TypeError, "must give batches.*is the class DataLoader: call it"),
    (dict(batches=[tg.ones(3)]), ValueError, r"a batch must be a tuple \(inputs..., target\)"),
]  # fmt: skip


@pytest.mark.parametrize("name", [*FUNCTIONS, "evaluate", "predict"])
@pytest.mark.parametrize(("given", "kind", "text"), MISTAKES, ids=lambda x: str(x)[:40])
def test_mistakes(name, given, kind, text):
    model, loss_fn, optimizer, batches = setup()
    parts = dict(model=model, loss_fn=loss_fn, optimizer=optimizer, batches=batches) | given
    arguments = list(parts.values())
    function = FUNCTIONS.get(name)
    if name == "evaluate":
        function, arguments = evaluate, [parts["model"], parts["loss_fn"], parts["batches"]]
    elif name == "predict":
        function, arguments = predict, [parts["model"], parts["batches"]]
    if not any(part is given.get(key) for key in given for part in arguments):
        return  # the function has no such argument
    if name == "predict" and kind is ValueError:
        return  # inputs alone make a batch
    with pytest.raises(kind, match=f"^{name}: .*{text}"):
        function(*arguments)


def test_mistakes_of_fit_alone():
    model, loss_fn, optimizer, batches = setup()
    start = model, loss_fn, optimizer, batches
    with pytest.raises(TypeError, match="fit: validation is a TensorDataset, a dataset"):
        fit(*start, validation=DATA)
    with pytest.raises(ValueError, match='nan_loss must be "raise" or "ignore", got \'stop\''):
        fit(*start, nan_loss="stop")
    other = ExponentialLR(optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1), 0.9)
    with pytest.raises(
        ValueError, match="the ExponentialLR belongs to another optimizer than this"
    ):
        fit(*start, scheduler=other)
    own = ChainedScheduler([ExponentialLR(optimizer, 0.9)])
    assert len(fit(*start, scheduler=own)) == 1
    for callbacks, text in [
        ([EarlyStopping], "but one is the class EarlyStopping: call it"), (3, "one is a int"),
        ([print], "one is a builtin_function_or_method"),
    ]:  # fmt: skip
        with pytest.raises(TypeError, match=f"callbacks must be Callbacks, such as .*{text}"):
            fit(*start, callbacks=callbacks)


class Counts(Callback):
    epochs = 0

    def after_epoch(self, run):
        self.epochs += 1


@pytest.mark.parametrize("many", [lambda c: c, lambda c: [c], lambda c: (c,), lambda c: iter([c])])
def test_one_callback_or_several(many):
    counts = Counts()
    fit(*setup(), 3, callbacks=many(counts))
    assert counts.epochs == 3
    assert len(fit(*setup(), callbacks=None)) == 1


class Error(nn.Module):
    def forward(self, output, target):
        return 1 - accuracy(output, target)


METRICS = [
    ([accuracy], ["accuracy"]), (accuracy, ["accuracy"]), ((accuracy, Error()),
     ["accuracy", "Error"]),
    ({"right": accuracy}, ["right"]), (iter([accuracy]), ["accuracy"]), (None, []), ([], []),
    ([functools.partial(accuracy)], ["accuracy"]), ({"f": lambda y, t: 1}, ["f"]),
]  # fmt: skip


@pytest.mark.parametrize(("metrics", "names"), METRICS)
def test_metrics_by_name_or_in_a_list(metrics, names):
    model, loss_fn, optimizer, batches = setup()
    history = fit(model, loss_fn, optimizer, batches, 1, validation=batches, metrics=metrics)
    held_out = [f"val_{name}" for name in ("loss", *names)]
    assert history.names == ["epoch", "step", "lr", "loss", *names, *held_out]
    again = evaluate(model, loss_fn, batches, [accuracy])
    assert set(again) == {"loss", "accuracy"}


@pytest.mark.parametrize(
    ("metrics", "kind", "text"),
    [
        ([lambda y, t: 1, lambda y, t: 2], ValueError, "cannot be called '<lambda>', which is tak"),
        (
            {"loss": accuracy},
            ValueError,
            "a metric cannot be called 'loss', which is taken; choose",
        ),
        ({"val_loss": accuracy}, ValueError, "a metric cannot be called 'val_loss'"),
        ({"accuracy": "accuracy"}, TypeError, "'accuracy' is a str"),
        (["accuracy"], TypeError, r"functions \(output, target\) -> number, but 'str' is a str"),
        ([Error], TypeError, "'Error' is the class Error: call it"),
    ],
)
def test_metrics_that_are_none(metrics, kind, text):
    with pytest.raises(kind, match=text):
        fit(*setup(), metrics=metrics)
    model, loss_fn, _, batches = setup()
    with pytest.raises(kind, match=f"^evaluate: .*{text}"):
        evaluate(model, loss_fn, batches, metrics)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("0.5", r"'0.5' \(str\)"), ("good", "'good'"), (None, r"None \(NoneType\)"), ([1], "list"),
     (tg.tensor([1.0, 2.0]), r"a Tensor of shape \(2,\)"), ("x" * 99, r"xx\.\.\. \(str\)")],
    ids=str,
)  # fmt: skip
def test_what_a_metric_returns_is_a_number(value, shown):
    with pytest.raises(TypeError, match=f"the metric 'quality' must return one number.*{shown}"):
        fit(*setup(), metrics={"quality": lambda y, t: value})


def test_what_a_loss_returns_is_a_tensor():
    model, _, optimizer, batches = setup()
    with pytest.raises(TypeError, match=r"loss_fn must return a Tensor of one number, got 0.5 \(f"):
        fit(model, lambda y, t: 0.5, optimizer, batches)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("kind", ["sgd", "lbfgs"])
def test_a_loss_that_is_not_finite_ends_it_before_the_step(value, accumulate, kind):
    model, criterion, optimizer, batches = setup()
    if kind == "lbfgs":
        optimizer = optim.LBFGS(model.parameters(), lr=0.1, max_iter=2)
    seen = []

    def loss_fn(output, target):
        return criterion(output, target) + (value if seen else 0.0)

    class Notes(Callback):
        def after_step(self, run):
            seen.append([p.tolist() for p in run.model.parameters()])

    step = rf"the loss of step 2, in epoch {accumulate}, is {value}; the parameters are still those"
    with pytest.raises(RuntimeError, match=f"fit: {step}"):
        fit(model, loss_fn, optimizer, batches, 3, accumulate=accumulate, callbacks=Notes())
    assert [p.tolist() for p in model.parameters()] == seen[-1]
    assert len(seen) == 1
    seen.clear()
    history = fit(model, loss_fn, optimizer, batches, 2, callbacks=Notes(), nan_loss="ignore")
    assert len(history) == 2
    assert not math.isfinite(history["loss"][-1])


def test_a_line_search_may_pass_through_what_is_not_finite():
    """Only the place where a step begins has to be one."""
    w = nn.Linear(1, 1, bias=False)
    w.weight.data.fill_(1.0)
    calls = []

    def loss_fn(output, target):
        calls.append(1)
        return output.sum() * (math.inf if len(calls) == 2 else 1.0) ** 2

    optimizer = optim.LBFGS(w.parameters(), lr=0.1, max_iter=2)
    assert len(fit(w, loss_fn, optimizer, [(tg.ones(1, 1), tg.ones(1, 1))])) == 1
    assert len(calls) >= 2


# predict ------------------------------------------------------------------------------------------


class Parts(nn.Module):
    """Outputs of every form."""

    def __init__(self, form):
        super().__init__()
        self.form, self.layer, self.drop = form, nn.Linear(3, 2), nn.Dropout(0.9)

    def forward(self, x, more=0.0):
        assert not tg.is_grad_enabled()
        y = self.drop(self.layer(x)) + more
        return {"tensor": y, "tuple": (y, (y * 2,)), "dict": {"y": y}, "number": y.sum()}[self.form]


@pytest.mark.parametrize(
    "data",
    [
        lambda x: x, lambda x: x.numpy(), lambda x: (x,), lambda x: [x[:5], x[5:]],
        lambda x: [(x[:5],), (x[5:],)], lambda x: [(x[:5], None), [x[5:], tg.zeros(7)]],
        lambda x: DataLoader(TensorDataset(x, x), batch_size=5),
        lambda x: DataLoader(TensorDataset(x), batch_size=5), lambda x: (b for b in (x[:2], x[2:])),
    ],
    ids=["tensor", "array", "tuple", "list", "tuples", "targets", "loader", "inputs", "iterator"],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 5, 256])
def test_predict(data, size):
    x = tg.randn(12, 3)
    model = Parts("tensor").train()
    expected = model.layer(x)
    found = predict(model, data(x), batch_size=size, quiet=True)
    np.testing.assert_allclose(found.numpy(), expected.detach().numpy(), rtol=1e-6)
    assert not found.requires_grad
    assert model.training
    assert model.drop.training


def test_predict_joins_every_part():
    x, more = tg.randn(5, 3), tg.ones(5, 1)
    y = predict(Parts("tensor"), (x, more), batch_size=2)
    assert y.shape == (5, 2)
    for form in ("tuple", "dict"):
        model = Parts(form)
        model.layer.weight.data.fill_(1.0)
        found = predict(model, x, batch_size=2)
        whole = predict(model, x)
        first, second = (found["y"], whole["y"]) if form == "dict" else (found[1][0], whole[1][0])
        assert first.shape == (5, 2)
        np.testing.assert_allclose(first.numpy(), second.numpy(), rtol=1e-6)
    assert len(predict(Parts("number"), x, batch_size=2)) == 3
    assert predict(Parts("tensor"), x[:0]).shape == (0, 2)


def test_mistakes_of_predict():
    model = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="predict: there were no samples"):
        predict(model, [])
    with pytest.raises(ValueError, match="predict: batch_size must be at least 1, got 0"):
        predict(model, tg.ones(2, 3), batch_size=0)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"epochs": "3"}, TypeError, "fit: epochs must be a whole number, got '3'"),
        ({"epochs": 2.0}, TypeError, "fit: epochs must be a whole number, got 2.0"),
        ({"epochs": -1}, ValueError, "fit: epochs must be at least 0, got -1"),
        ({"accumulate": 0}, ValueError, "fit: accumulate must be at least 1, got 0"),
        ({"accumulate": True}, TypeError, "fit: accumulate must be a whole number, got True"),
    ],
)
def test_counts_are_refused_by_name(given, error, says):
    model = nn.Linear(1, 1)
    with pytest.raises(error, match=re.escape(says)):
        fit(model, nn.MSELoss(), optim.SGD(model.parameters(), 0.1), [], quiet=True, **given)
    with pytest.raises(TypeError, match=re.escape("predict: batch_size must be a whole number")):
        predict(model, tg.ones(2, 1), batch_size="all")
