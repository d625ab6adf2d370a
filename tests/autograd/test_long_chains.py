"""Four times as many recorded steps run four times as many lines, and give the right gradient.

Quadratic work would run up to 16 times as many. What is counted is the same on every machine.
"""

import sys

import pytest

import tinygrad_opt as tg
from tinygrad_opt import autograd

GROWTH = 4
ROOM = 1.2  # times what is expected


class Same(autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 1

    @staticmethod
    def backward(ctx, g):
        assert len(ctx.saved_tensors) == 1
        return g * 1


class Both(autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        return x * 1, y * 1

    @staticmethod
    def backward(ctx, g, h):
        return g * 1, h * 1


class Raised(autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        x += 1
        return x

    @staticmethod
    def backward(ctx, g):
        return g


def add(x, n):
    y = x * 1
    for _ in range(n):
        y += x
    return y


def multiply(x, n):
    y = x * 1
    for _ in range(n):
        y.mul_(1.0)
    return y


def keep_values(x, n):  # sin_ needs the old values, which are copied
    y = x * 0
    for _ in range(n):
        y.sin_()
    return y


def read_between(x, n):
    y, total = x * 1, 0
    for _ in range(n):
        y += x
        total = total + y
    return total


def set_items(x, n):
    y = tg.zeros(8)
    for t in range(n):
        y[t % 8] = x[0]
    return y


def put_by_index(x, n):
    y, index = x.expand(2).clone(), (tg.tensor([0]),)
    for _ in range(n):
        y.index_put_(index, x, accumulate=True)
    return y


def write_through_views(x, n):
    y = x.expand(8).clone()
    for t in range(n):
        y[t % 8].add_(x[0])
    return y


def write_through_one_view(x, n):
    y = x.expand(8).clone()
    view = y[2:4]
    for _ in range(n):
        view += x
    return y


def view_of_view(x, n):
    y = x * 1
    for _ in range(n):
        y = y.view(1)
    y += x
    return y


def hook_each(x, n):
    y = x * 1
    for _ in range(n):
        y += x
        y.register_hook(lambda g: None)
    return y


def retain(x, n):
    y = x * 1
    y.retain_grad()
    for _ in range(n):
        y += x
    return y


def detach_each(x, n):
    y = tg.zeros(1)
    for _ in range(n):
        y += x
        y.detach_()
    y += x
    return y


def read_and_detach(x, n):
    y = tg.zeros(1)
    for _ in range(n):
        y += x
        z = y * x
        y.detach_()
    return z


def backward_each(x, n):
    y = tg.zeros(1)
    for _ in range(n):
        y += x
        y.sum().backward()
        y.detach_()
    return x * 0


def reshape_each(x, n):
    y = x * 1
    for _ in range(n):
        y.unsqueeze_(0).squeeze_(0)
    return y


def call_function(x, n):
    y = x * 1
    for _ in range(n):
        y = Same.apply(y)
    return y


def call_function_of_two(x, n):
    y, z = x * 1, x * 1
    for _ in range(n):
        y, z = Both.apply(y, z)
    return y + z


def call_function_that_writes(x, n):
    y = x * 1
    for _ in range(n):
        y = Raised.apply(y)
    return y


# The chain and the gradient of the sum of what it returns after n steps.
CHAINS = [
    (add, lambda n: n + 1),
    (multiply, lambda n: 1),
    (keep_values, lambda n: 0),
    (read_between, lambda n: n * (n + 3) / 2),
    (set_items, lambda n: 8),
    (put_by_index, lambda n: n + 2),
    (write_through_views, lambda n: n + 8),
    (write_through_one_view, lambda n: 2 * n + 8),
    (view_of_view, lambda n: 2),
    (hook_each, lambda n: n + 1),
    (retain, lambda n: n + 1),
    (detach_each, lambda n: 1),
    (read_and_detach, lambda n: n + 1),
    (backward_each, lambda n: n),
    (reshape_each, lambda n: 1),
    (call_function, lambda n: 1),
    (call_function_of_two, lambda n: 2),
    (call_function_that_writes, lambda n: 1),
]


def lines(chain, right, n):
    x = tg.ones(1, requires_grad=True)
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        chain(x, n).sum().backward()
    finally:
        sys.settrace(before)
    assert x.grad.item() == pytest.approx(right(n), rel=1e-3)
    return count


@pytest.mark.parametrize(("chain", "right"), CHAINS, ids=[row[0].__name__ for row in CHAINS])
def test_work_grows_with_the_number_of_steps(chain, right):
    few = 100
    lines(chain, right, few)  # what is loaded and compiled at first use
    assert lines(chain, right, GROWTH * few) < ROOM * GROWTH * lines(chain, right, few)


def test_a_chain_of_functions_far_beyond_the_recursion_limit():
    x = tg.ones(1, requires_grad=True)
    call_function(x, 20_000).sum().backward()
    assert x.grad.item() == 1
