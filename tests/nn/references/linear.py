"""Linear maps, distances, tables of rows, and attention."""

import math

import numpy as np

from .activations import softmax


def linear(x, weight, bias=0.0):
    return x @ weight.T + bias


def bilinear(x1, x2, weight, bias=0.0):
    return np.einsum("...i,kij,...j->...k", x1, weight, x2) + bias


def norm(x, p, dim, keepdims=False):
    return (abs(x) ** p).sum(axis=dim, keepdims=keepdims) ** (1 / p)


def normalize(x, p=2.0, dim=1, eps=1e-12):
    return x / np.maximum(norm(x, p, dim, keepdims=True), eps)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    x1, x2 = np.broadcast_arrays(x1, x2)
    return (normalize(x1, 2, dim, eps) * normalize(x2, 2, dim, eps)).sum(axis=dim)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    return norm(x1 - x2 + eps, p, -1, keepdim)


def one_hot(index, num_classes):
    return np.eye(num_classes, dtype=np.int64)[index]


def embedding(index, weight):
    return weight[index]


def embedding_bag(index, weight, mode="mean"):
    return getattr(np, mode)(weight[index], axis=1)


def scaled_dot_product_attention(query, key, value, scale=None, is_causal=False):
    scores = query @ key.swapaxes(-1, -2) * (scale or 1 / math.sqrt(query.shape[-1]))
    if is_causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    return softmax(scores, -1) @ value
