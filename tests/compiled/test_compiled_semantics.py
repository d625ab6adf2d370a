"""Python around tensors in a compiled step: writes, views, aliases, names, interruptions.

Each step is run several times, eagerly and compiled, from the same start; results and all that it
wrote have to be the same, whether it was compiled or said that it was not. Interpreted, so that no
compiler is waited for.
"""

import copy
import gc
import pickle
import re
import warnings

import interpreted
import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.compiled import compile, values
from tinygrad_opt.nn import functional as F

CASES = {}


def case(make):
    """make() -> (step, batches, tensors to compare in the end)."""
    CASES[make.__name__] = make
    return make


def batches(*shape, count=6):
    rng = np.random.default_rng(0)
    return [(tg.tensor(rng.standard_normal(shape), dtype=tg.float32),) for _ in range(count)]


def network():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    return model, optim.Adam(model.parameters(), 0.05)


def train(model, optimizer, x):
    optimizer.zero_grad()
    loss = (model(x) ** 2).mean()
    loss.backward()
    optimizer.step()
    return loss


@case
def copy_into_a_tensor():
    a = tg.zeros(5, 4)

    def step(x):
        a.copy_(x)
        return x.sum()

    return step, batches(5, 4), [a]


@case
def write_to_parts_of_a_tensor():
    a = tg.zeros(5, 4)

    def step(x):
        a[1:3] = x[1:3]
        a[4].copy_(x[0])
        a[0, 1] += 1
        a.view(-1)[3] = 7.0
        return a.sum()

    return step, batches(5, 4), [a]


@case
def views_see_writes_to_what_they_look_into():
    def step(x):
        h = x * 2
        row, flat = h[0], h.view(-1)
        h.add_(1)
        h[1] = 5.0
        row.mul_(3)
        return row * 1.0, flat * 1.0, h * 1.0

    return step, batches(5, 4), []


@case
def an_old_value_survives_a_write():
    a = tg.ones(5, 4)

    def step(x):
        before = a * 1.0
        a.add_(x)
        return before

    return step, batches(5, 4), [a]


@case
def views_from_outside():
    a = tg.ones(5, 4)
    row = a[0]

    def step(x):
        a.add_(x)
        return (row * 1.0).sum()

    return step, batches(5, 4), [a]


@case
def clamp_after_the_step():
    model, optimizer = network()

    def step(x):
        loss = train(model, optimizer, x)
        with tg.no_grad():
            for p in model.parameters():
                p.clamp_(-0.2, 0.2)
        return loss

    return step, batches(5, 4), list(model.parameters())


@case
def decay_before_the_step():
    model, optimizer = network()

    def step(x):
        with tg.no_grad():
            for p in model.parameters():
                p.mul_(0.9)
        return train(model, optimizer, x)

    return step, batches(5, 4), list(model.parameters())


@case
def an_average_of_parameters():
    model, optimizer = network()
    average = copy.deepcopy(model)

    def step(x):
        loss = train(model, optimizer, x)
        with tg.no_grad():
            for a, p in zip(average.parameters(), model.parameters(), strict=True):
                a.mul_(0.9).add_(p, alpha=0.1)
        return loss

    return step, batches(5, 4), [*model.parameters(), *average.parameters()]


@case
def a_target_network():
    model, optimizer = network()
    target = copy.deepcopy(model)

    def step(x):
        loss = train(model, optimizer, x)
        with tg.no_grad():
            for a, p in zip(target.parameters(), model.parameters(), strict=True):
                a.copy_(p)
        return loss

    return step, batches(5, 4), [*model.parameters(), *target.parameters()]


@case
def writes_to_an_argument():
    given = batches(5, 4)

    def step(x):
        x.add_(1)
        return x.sum()

    return step, given, [x for (x,) in given]


@case
def returns_an_argument():
    def step(x):
        return x, x * 2

    return step, batches(5, 4), []


@case
def the_same_argument_twice():
    given = [(x, x) for (x,) in batches(5, 4)]
    given[3:] = [(x, y) for (x,), (y,) in zip(batches(5, 4), batches(5, 4)[::-1], strict=True)][3:]
    return (lambda x, y: x - 2 * y), given, []


@case
def an_argument_that_is_captured_too():
    w = tg.ones(5, 4)
    return (lambda x: x * 3 + w), [(w,), (w,), (w,), *batches(5, 4)], []


@case
def modules_and_optimizers_as_arguments():
    pairs = [network() for _ in range(3)]
    given = [(*pairs[i % 3], x) for i, (x,) in enumerate(batches(5, 4, count=9))]
    return train, given, [p for model, _ in pairs for p in model.parameters()]


@case
def state_in_an_attribute():
    cell = nn.Linear(4, 4)
    cell.h = tg.zeros(5, 4)

    def step(x):
        h = tg.tanh(cell(x) + cell.h)
        cell.h = h.detach()
        return h.detach()

    return step, batches(5, 4, count=2), []


@case
def zero_grad_at_the_end_of_a_step_in_python():
    model = nn.ModuleDict({"a": nn.Linear(4, 3), "b": nn.Linear(4, 3)})
    optimizer = optim.SGD(model.parameters(), 0.1)

    def step(x):
        loss = (model["a"](x) ** 2).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return step, batches(5, 4), list(model.parameters())


@case
def zero_grad_to_zero():
    model, optimizer = network()

    def step(x):
        optimizer.zero_grad(set_to_none=False)
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return step, batches(5, 4), list(model.parameters())


@case
def an_empty_slice():
    model, optimizer = network()

    def step(x):
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean() + x[4:1].sum()
        loss.backward()
        optimizer.step()
        return loss

    return step, batches(5, 4), list(model.parameters())


@case
def unfreezing():
    a, b = nn.Parameter(tg.ones(4)), nn.Parameter(tg.ones(4), requires_grad=False)
    optimizer = optim.Adam([a, b], 0.1)
    calls = []

    def step(x):
        optimizer.zero_grad()
        loss = ((a * x + b) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    def outer(x):
        calls.append(1)
        b.requires_grad_(len(calls) > 4)
        return step(x)

    outer.inner = step
    return step, batches(5, 4, count=8), [a, b], lambda i: b.requires_grad_(i > 3)


@case
def two_steps_in_one():
    model, optimizer = network()

    def step(x):
        loss = train(model, optimizer, x)
        optimizer.step()
        return loss

    return step, batches(5, 4), list(model.parameters())


@case
def small_integers():
    given = [(tg.tensor([3, 250, 7], dtype=tg.uint8),)] * 4

    def step(y):
        return (y - 5).float(), (y + 100) // 2, (y * 200).long(), (y * y).max()

    return step, given, []


@case
def numbers_of_numpys():
    return (lambda x: x * np.float64(0.3) + np.int64(3)), batches(5, 4), []


@case
def a_setting_of_a_module():
    drop = nn.Dropout(0.1)
    return (lambda x: drop(x)), batches(5, 4), [], lambda i: setattr(drop, "p", 0.1 + 0.2 * (i > 3))


@case
def a_replaced_layer():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    other = nn.Linear(4, 3)

    def change(i):
        model[0] = other if i > 3 else model[0]

    return (lambda x: model(x).detach()), batches(5, 4), [], change


@case
def a_replaced_name():
    box = {"w": tg.ones(4)}
    w = box["w"]

    def step(x):
        return x * w

    def change(i):
        nonlocal w
        w = tg.full((4,), float(i))

    return step, batches(5, 4), [], change


@case
def a_second_hook():
    p = nn.Parameter(tg.ones(4))
    p.register_hook(lambda g: g * 2)

    def step(x):
        p.grad = None
        (p * x).sum().backward()
        return p.grad * 1.0

    return step, batches(5, 4), [], lambda i: p.register_hook(lambda g: g * 3) if i == 4 else None


@pytest.mark.parametrize("name", CASES)
def test_as_eagerly(name, monkeypatch):
    interpreted.install(monkeypatch)
    finals = []
    for wrap in (lambda step: step, compile):
        tg.manual_seed(1)
        step, given, tensors, *change = CASES[name]()
        step, results = wrap(step), []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            for i, args in enumerate(given):
                for one in change:
                    one(i)
                tg.manual_seed(i)
                results.append(step(*args))
        found = [r for result in results for r in (result if type(result) is tuple else (result,))]
        finals.append([x.detach().numpy().copy() for x in (*found, *tensors)])
    for a, b in zip(*finals, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)
        assert a.dtype == b.dtype


def test_constants_take_part_in_products(monkeypatch):
    interpreted.install(monkeypatch)
    found = []
    for wrap in (lambda step: step, lambda step: compile(step, strict=True)):
        tg.manual_seed(1)
        model, optimizer = network()

        def step(x, model=model, optimizer=optimizer):
            optimizer.zero_grad()
            rows = tg.eye(6) @ model[0].weight  # a constant on the left, and no more on the right
            loss = model(x).sum() + rows.sum()  # gradients that begin as constants
            loss.backward()
            optimizer.step()
            return loss

        run = wrap(step)
        found.append([run(*args).item() for args in batches(5, 4)])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


def test_copies_and_pickles_compile_anew():
    class Trainer:
        def __init__(self, factor):
            self.factor = tg.full((2,), factor)

        @compile
        def step(self, x):
            return x * self.factor

    trainer = Trainer(2.0)
    for _ in range(3):
        trainer.step(tg.ones(2))
    other = copy.copy(trainer)
    other.factor = tg.full((2,), 5.0)
    for _ in range(3):
        assert other.step(tg.ones(2)).tolist() == [5.0, 5.0]
    assert copy.deepcopy(trainer).step(tg.ones(2)).tolist() == [2.0, 2.0]
    step = compile(F.relu)
    assert pickle.loads(pickle.dumps(step))(tg.ones(1)).tolist() == [1.0]


def test_parts_are_written_where_they_stand_in_the_whole(monkeypatch):
    """`cat` and the gradient of a split cost no pass of their own, unless a part is read twice."""
    interpreted.install(monkeypatch)
    x, w = tg.arange(12.0).reshape(3, 4) / 12, tg.arange(8.0)
    v = nn.Parameter(tg.arange(32.0).reshape(4, 8) / 32)

    def beside(x):
        return (tg.cat([x * 2, x + 1], 1) @ w).sum(0)

    def heads(x):
        v.grad = None
        a, b = (part.reshape(3, 2, 2).transpose(0, 1) for part in (x @ v).split(4, dim=1))
        (a.exp() * b).sum().backward()
        return v.grad * 1

    def read_twice(x):
        y = x * 2
        return tg.cat([y, x + 1], 1) @ w, y.sum()

    for function, passes in ((beside, 0), (heads, 0), (read_twice, 1)):
        step = compile(function, strict=True)
        expected, _, found = step(x), step(x), step(x)
        for a, b in zip(*(r if type(r) is tuple else (r,) for r in (expected, found)), strict=True):
            np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-6)
        source = step.source()
        assert source.count("def concatenate") + source.count("def boxes") == passes, source


def test_methods_let_their_instances_go():
    class Trainer:
        @compile
        def step(self, x):
            return x * 2

    step = vars(Trainer)["step"]
    trainer = Trainer()
    for _ in range(3):
        assert trainer.step(tg.ones(2)).tolist() == [2.0, 2.0]
    assert "def step_0" in trainer.step.source()
    assert len(step._methods) == 1
    del trainer
    gc.collect()
    assert not step._methods
    assert Trainer().step(tg.ones(1)).tolist() == [2.0]


def test_a_step_within_a_step():
    inner = compile(lambda x: x * 2, strict=True)
    outer = compile(lambda x: inner(x) + 1, strict=True)
    for _ in range(3):
        assert outer(tg.ones(2)).tolist() == [3.0, 3.0]


def test_profile_refuses_other_shapes():
    step = compile(lambda x: (x * 2).sum(), strict=True)
    for _ in range(3):
        step(tg.ones(10, 4))
    with pytest.raises(ValueError, match="profile: expected tensors of the step's own kinds"):
        step.profile(tg.ones(1, 4))


class Batch:
    """Holds a tensor where nobody sees it."""

    def __init__(self, x):
        self.x = x

    def __repr__(self):
        return "Batch"


def test_unknown_objects_are_refused():
    step = compile(lambda batch: batch.x * 2)
    step(Batch(tg.ones(1)))
    with pytest.warns(RuntimeWarning, match="Batch is no argument of a compiled step"):
        step(Batch(tg.ones(1)))
    assert step(Batch(tg.full((1,), 3.0))).tolist() == [6.0]


def test_what_is_looked_for_is_computed_once():
    """x where x == min(x): computed again, it could be rounded otherwise, and nowhere be equal."""
    x, w = tg.randn(20, 10), tg.rand(10, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)

    def step():
        optimizer.zero_grad()
        loss = (x * w).amin(1).sum()
        loss.backward()
        optimizer.step()
        return loss

    compiled = compile(step, strict=True)
    for _ in range(3):
        compiled()
    text = compiled.source()
    assert "==" in text
    assert len(re.findall(r"= e\d+ \* e\d+", text)) == 1


@pytest.mark.parametrize("knows", [True, False])
def test_views_of_other_shapes_need_no_copy(monkeypatch, knows):
    """NumPy before 2.1 cannot be asked to reshape without a copy."""
    if knows > values._KNOWS_COPY:
        pytest.skip("this NumPy knows no copy=")
    monkeypatch.setattr(values, "_KNOWS_COPY", knows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # later NumPy's, of what stands in
        assert values.reshaped(values.strided((4, 6), (6, 1)), (3, 8)).strides == (8, 1)
        assert values.reshaped(values.strided((2, 3, 4), (0, 4, 1)), (2, 12)).strides == (0, 1)
        with pytest.raises(ValueError, match=r"."):
            values.reshaped(values.strided((4, 6), (1, 4)), (24,))
