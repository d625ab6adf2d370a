"""Recording switched off and on: contexts, decorators, generators, threads, exceptions."""

import threading

import pytest

import tinygrad_opt as tg
from tinygrad_opt import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)

OFF = [no_grad, inference_mode, lambda: set_grad_enabled(False)]
off = pytest.mark.parametrize("mode", OFF, ids=["no_grad", "inference_mode", "set_grad_enabled"])
bare = pytest.mark.parametrize(
    ("mode", "expected"), [(no_grad, False), (inference_mode, False), (enable_grad, True)]
)


def records():
    """Whether an operation on a tensor that requires a gradient is recorded."""
    y = tg.ones(1, requires_grad=True) * 2
    assert y.requires_grad == (y.grad_fn is not None) == is_grad_enabled()
    return y.requires_grad


@off
def test_context(mode):
    with mode():
        assert not records()
        with enable_grad():
            assert records()
            with mode():
                assert not records()
            assert records()
        assert not records()
    assert records()


def test_modes_say_what_they_want():
    with no_grad(), set_grad_enabled(True):
        assert records()
    with inference_mode(False):
        assert records()
    with no_grad(), inference_mode(False):
        assert records()  # as in PyTorch: False does not leave the mode as it is


def test_inference_mode_is_asked_for():
    seen = []

    def look():
        seen.append((is_inference_mode_enabled(), is_grad_enabled()))

    with inference_mode():
        look()
        with inference_mode(False):
            look()
        with enable_grad():
            look()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        inference_mode(False)(look)()
    look()
    inference_mode(look)()
    assert seen == [
        (True, False), (False, True), (True, True), (False, True), (False, True), (False, True),
        (True, False),
    ]  # fmt: skip


def test_what_inference_mode_has_made_is_an_ordinary_tensor():
    with inference_mode():
        x = tg.ones(2)
    w = tg.ones(2, requires_grad=True)
    (w * x).sum().backward()
    x.add_(1)
    assert not x.is_inference()
    assert x.requires_grad_().requires_grad
    assert w.grad.tolist() == [1, 1]


@off
def test_exceptions_restore_the_mode(mode):
    with pytest.raises(KeyError), mode():
        raise KeyError
    assert records()

    @no_grad()
    def fails():
        raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert records()


def test_set_grad_enabled_acts_at_once():
    set_grad_enabled(False)
    assert not records()
    set_grad_enabled(True)
    assert records()
    with set_grad_enabled(False):
        assert not records()
    assert records()


@off
def test_decorator(mode):
    @mode()
    def decorated(a, *, b):
        """A docstring."""
        return records(), a, b

    assert decorated(1, b=2) == (False, 1, 2)
    assert (decorated.__name__, decorated.__doc__) == ("decorated", "A docstring.")
    assert records()


@bare
def test_decorator_without_parentheses(mode, expected):
    decorated = mode(records)
    with set_grad_enabled(not expected):
        assert decorated() is expected
        assert is_grad_enabled() is not expected
    assert decorated.__name__ == "records"


def test_decorators_on_methods_and_in_recursion():
    class Model:
        @no_grad()
        def depth(self, n):
            assert not is_grad_enabled()
            return 0 if n == 0 else 1 + self.depth(n - 1)

        @enable_grad()
        def training(self):
            return records()

    assert Model().depth(5) == 5
    assert records()
    with no_grad():
        assert Model().training()
        assert not records()


def test_one_object_may_be_entered_twice():
    mode = no_grad()
    with mode:
        with mode:
            assert not records()
        assert not records()
    assert records()


@bare
def test_generators_run_in_the_mode_and_their_callers_do_not(mode, expected):
    @mode()
    def generator():
        sent = yield is_grad_enabled()
        try:
            yield is_grad_enabled(), sent
        except KeyError:
            yield "caught", is_grad_enabled()
        return is_grad_enabled()

    def delegates():
        return (yield from decorated)

    with set_grad_enabled(not expected):
        decorated = generator()
        outer = delegates()
        assert next(outer) is expected
        assert is_grad_enabled() is not expected
        assert outer.send("x") == (expected, "x")
        assert outer.throw(KeyError) == ("caught", expected)
        with pytest.raises(StopIteration) as stop:
            next(outer)
        assert stop.value.value is expected
        assert is_grad_enabled() is not expected


def test_generators_can_be_closed_early():
    closed = []

    @no_grad()
    def generator():
        try:
            yield 1
            yield 2
        finally:
            closed.append(is_grad_enabled())

    items = generator()
    assert next(items) == 1
    items.close()
    assert len(closed) == 1
    assert records()


def test_each_thread_has_its_own_mode():
    inside, proceed, seen = threading.Event(), threading.Event(), []

    def work():
        seen.append(records())
        with no_grad():
            inside.set()
            proceed.wait(10)
            seen.append(records())

    thread = threading.Thread(target=work)
    with no_grad():
        thread.start()
        assert inside.wait(10)
        assert not records()
    assert records()  # although the other thread is still inside no_grad
    proceed.set()
    thread.join(10)
    assert seen == [True, False]


def test_parameters_can_be_written_to_under_no_grad():
    x = tg.ones(2, requires_grad=True)
    with no_grad():
        x -= 0.5 * tg.ones(2)
        x.mul_(2)
        x[0] = 5
    assert x.tolist() == [5, 1]
    assert x.requires_grad
    assert x.is_leaf


def test_backward_works_under_no_grad():
    x = tg.tensor([3.0], requires_grad=True)
    y = x * x
    with no_grad():
        y.backward()
    assert x.grad.item() == 6
    assert not x.grad.requires_grad


@pytest.mark.peers
@pytest.mark.parametrize("name", ["no_grad", "enable_grad", "inference_mode"])
def test_decorated_generators_as_pytorch(torch, name):
    def run(m):
        @getattr(m, name)()
        def generator():
            for _ in range(2):
                yield m.is_grad_enabled()

        return [(inside, m.is_grad_enabled()) for inside in generator()]

    assert run(tg) == run(torch)
