"""Reverse-mode autograd in a hundred lines, built as tinygrad_opt is; run it to train a network."""

import heapq
from itertools import count

import numpy as np

next_rank = count(0, -1).__next__  # the clock runs backwards: the newest Node has the lowest rank


class Node:
    """One recorded operation: its inputs, and for each a pullback, from gradient to gradient."""

    def __init__(self, inputs, pullbacks):
        self.inputs, self.pullbacks, self.rank = inputs, pullbacks, next_rank()


class Tensor:
    """An array that remembers how it was made: `node` is None for a leaf."""

    __array_ufunc__ = None  # NumPy leaves `array * tensor` to the tensor

    def __init__(self, data, requires_grad=False, node=None):
        self.array, self.node, self.grad = np.asarray(data, dtype=float), node, None
        self.requires_grad = requires_grad

    def backward(self):
        """Adds d(self)/d(leaf) to the `grad` of every leaf that requires one."""
        if self.node is None or self.array.size != 1:
            raise RuntimeError(f"backward: want one recorded number, got shape {self.array.shape}")
        pending = {self.node: np.ones_like(self.array)}  # Node or leaf -> gradient so far
        waiting = [(self.node.rank, self.node)]  # a heap: newest first, so nothing is still to come
        while waiting:
            node = heapq.heappop(waiting)[1]
            g = pending.pop(node)
            for x, pullback in zip(node.inputs, node.pullbacks, strict=True):
                if not x.requires_grad:
                    continue
                gx, key = summed_to(pullback(g), x.array.shape), x.node or x
                if key is x.node and key not in pending:
                    heapq.heappush(waiting, (key.rank, key))
                pending[key] = pending.get(key, 0) + gx
        for leaf, g in pending.items():
            leaf.grad = g if leaf.grad is None else leaf.grad + g


def summed_to(g, shape):
    """A gradient summed down to `shape`: undoes what broadcasting did."""
    full = (1,) * (g.ndim - len(shape)) + shape  # as broadcasting reads it
    return g.sum(axis=tuple(i for i, n in enumerate(full) if n == 1), keepdims=True).reshape(shape)


def op(pair):
    """An operation on Tensors, of a function from arrays to (value, a pullback per input)."""

    def operation(*inputs):
        tensors = [x if isinstance(x, Tensor) else Tensor(x) for x in inputs]
        value, *pullbacks = pair(*(x.array for x in tensors))
        recorded = any(x.requires_grad for x in tensors)
        return Tensor(value, recorded, Node(tensors, pullbacks) if recorded else None)

    return operation


add = op(lambda x, y: (x + y, lambda g: g, lambda g: g))
sub = op(lambda x, y: (x - y, lambda g: g, lambda g: -g))
mul = op(lambda x, y: (x * y, lambda g: g * y, lambda g: g * x))
matmul = op(lambda x, y: (x @ y, lambda g: g @ y.T, lambda g: x.T @ g))
mean = op(lambda x: (x.mean(), lambda g: np.full_like(x, g / x.size)))
tanh = op(lambda x: (y := np.tanh(x), lambda g: g * (1 - y * y)))
softplus = op(lambda x: (np.logaddexp(0, x), lambda g: g / (1 + np.exp(-x))))

for name, function in {"add": add, "sub": sub, "mul": mul, "matmul": matmul}.items():
    setattr(Tensor, f"__{name}__", function)  # x + y is add(x, y)
    setattr(Tensor, f"__r{name}__", lambda y, x, function=function: function(x, y))


def train(steps=300, lr=0.5):
    """Teaches a network of 16 tanh units which points lie in a circle; (losses, accuracy)."""
    losses, rng = [], np.random.default_rng(0)
    points = rng.uniform(-2, 2, (200, 2))
    sides = np.where((points**2).sum(1, keepdims=True) < 2, 1.0, -1.0)

    def draw(*shape):
        return Tensor(rng.normal(0, 1, shape), requires_grad=True)

    w1, b1, w2, b2 = network = draw(2, 16), draw(16), draw(16, 1), draw(1)
    for _ in range(steps):
        scores = tanh(points @ w1 + b1) @ w2 + b2  # (200, 1)
        loss = mean(softplus(-sides * scores))
        losses.append(loss.array.item())
        loss.backward()
        for p in network:
            p.array, p.grad = p.array - lr * p.grad, None
    return losses, (scores.array * sides > 0).mean()


if __name__ == "__main__":
    losses, accuracy = train()
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, accuracy {accuracy:.0%}")
