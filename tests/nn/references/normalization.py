"""Normalisation by means and variances."""

import numpy as np


def standardized(x, axes, eps):
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps)


def of_channels(vector, x):
    """A vector (C,) so that it broadcasts against x (N, C, ...)."""
    return vector if np.ndim(vector) == 0 else vector.reshape(-1, *(1,) * (x.ndim - 2))


def by_statistics(x, mean, variance, eps):
    return (x - of_channels(mean, x)) / np.sqrt(of_channels(variance, x) + eps)


def batch_norm(
    x, running_mean=None, running_var=None, weight=1.0, bias=0.0, training=False, eps=1e-5
):
    if training:
        y = standardized(x, (0, *range(2, x.ndim)), eps)
    else:
        y = by_statistics(x, running_mean, running_var, eps)
    return y * of_channels(weight, x) + of_channels(bias, x)


def instance_norm(
    x, running_mean=None, running_var=None, weight=1.0, bias=0.0, use_input_stats=True, eps=1e-5
):
    if use_input_stats:
        y = standardized(x, tuple(range(2, x.ndim)), eps)
    else:
        y = by_statistics(x, running_mean, running_var, eps)
    return y * of_channels(weight, x) + of_channels(bias, x)


def group_norm(x, num_groups, weight=1.0, bias=0.0, eps=1e-5):
    y = standardized(x.reshape(len(x), num_groups, -1), 2, eps).reshape(x.shape)
    return y * of_channels(weight, x) + of_channels(bias, x)


def layer_norm(x, normalized_shape, weight=1.0, bias=0.0, eps=1e-5):
    return standardized(x, tuple(range(-len(normalized_shape), 0)), eps) * weight + bias


def rms_norm(x, normalized_shape, weight=1.0, eps=None):
    eps = np.finfo(np.float64).eps if eps is None else eps
    axes = tuple(range(-len(normalized_shape), 0))
    return x / np.sqrt((x * x).mean(axes, keepdims=True) + eps) * weight


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    """Each channel divided by a sum over its neighbours: size // 2 before, the others after."""
    squares = np.zeros_like(x)
    for c in range(x.shape[1]):
        low = max(c - size // 2, 0)
        squares[:, c] = (x[:, low : c + (size - 1) // 2 + 1] ** 2).sum(axis=1)
    return x / (k + alpha * squares / size) ** beta


def running_statistics(x, mean, variance, share, each=False):
    """The running statistics after x: `share` of the batch's, the variance with n - 1.

    `each`: of the examples one by one, averaged.
    """
    axes = tuple(range(2, x.ndim)) if each else (0, *range(2, x.ndim))
    found = x.mean(axes), x.var(axes, ddof=1)
    new = [v.mean(0) if each else v for v in found]
    return mean + share * (new[0] - mean), variance + share * (new[1] - variance)
