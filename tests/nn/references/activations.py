"""Activations, element by element or along an axis."""

import math

import numpy as np

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
erf = np.vectorize(math.erf, otypes=[float])


def relu(x):
    return np.maximum(x, 0)


def relu6(x):
    return np.clip(x, 0, 6)


def leaky_relu(x, negative_slope=0.01):
    return np.where(x > 0, x, negative_slope * x)


def prelu(x, weight):
    slopes = weight.reshape(-1, *(1,) * (x.ndim - 2)) if weight.size > 1 else weight
    return np.where(x > 0, x, slopes * x)


def rrelu(x, lower=1 / 8, upper=1 / 3):
    """Outside training: the middle of the slopes."""
    return leaky_relu(x, (lower + upper) / 2)


def hardtanh(x, min_val=-1.0, max_val=1.0):
    return np.clip(x, min_val, max_val)


def hardsigmoid(x):
    return np.clip((x + 3) / 6, 0, 1)


def hardswish(x):
    return x * hardsigmoid(x)


def hardshrink(x, lambd=0.5):
    return np.where(abs(x) > lambd, x, 0)


def softshrink(x, lambd=0.5):
    return np.sign(x) * np.maximum(abs(x) - lambd, 0)


def threshold(x, threshold, value):
    return np.where(x > threshold, x, value)


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))


def celu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0) / alpha) - 1))


def selu(x):
    return SELU_SCALE * elu(x, SELU_ALPHA)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def logsigmoid(x):
    return np.log(sigmoid(x))


def silu(x):
    return x * sigmoid(x)


def mish(x):
    return x * np.tanh(np.log(1 + np.exp(x)))


def gelu(x, approximate="none"):
    if approximate == "tanh":
        return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    return x * (1 + erf(x / math.sqrt(2))) / 2


def glu(x, dim=-1):
    first, second = np.split(x, 2, axis=dim)
    return first * sigmoid(second)


def tanh(x):
    return (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)


def tanhshrink(x):
    return x - np.tanh(x)


def softsign(x):
    return x / (1 + abs(x))


def softplus(x, beta=1.0, threshold=20.0):
    return np.where(beta * x > threshold, x, np.log(1 + np.exp(beta * x)) / beta)


def softmax(x, dim):
    return np.exp(x) / np.exp(x).sum(axis=dim, keepdims=True)


def softmin(x, dim):
    return softmax(-x, dim)


def log_softmax(x, dim):
    return np.log(softmax(x, dim))
