"""Losses: one value per example or element, then reduced."""

import math

import numpy as np

from .activations import log_softmax, sigmoid
from .linear import pairwise_distance


def reduced(loss, reduction):
    return loss if reduction == "none" else getattr(np, reduction)(loss)


# Numbers ------------------------------------------------------------------------------------------


def mse_loss(x, target, reduction="mean"):
    return reduced((x - target) ** 2, reduction)


def l1_loss(x, target, reduction="mean"):
    return reduced(abs(x - target), reduction)


def huber_loss(x, target, reduction="mean", delta=1.0):
    d = abs(x - target)
    return reduced(np.where(d < delta, d * d / 2, delta * (d - delta / 2)), reduction)


def smooth_l1_loss(x, target, reduction="mean", beta=1.0):
    if beta == 0:
        return l1_loss(x, target, reduction)
    d = abs(x - target)
    return reduced(np.where(d < beta, d * d / 2 / beta, d - beta / 2), reduction)


# Probabilities ------------------------------------------------------------------------------------


def binary_cross_entropy(p, target, weight=1.0, reduction="mean"):
    return reduced(-weight * (target * np.log(p) + (1 - target) * np.log(1 - p)), reduction)


def binary_cross_entropy_with_logits(x, target, weight=1.0, reduction="mean", pos_weight=1.0):
    p = sigmoid(x)
    loss = pos_weight * target * np.log(p) + (1 - target) * np.log(1 - p)
    return reduced(-weight * loss, reduction)


def kl_div(x, target, reduction="mean", log_target=False):
    target, log = (np.exp(target), target) if log_target else (target, np.log(target))
    loss = target * (log - x)
    return loss.sum() / len(x) if reduction == "batchmean" else reduced(loss, reduction)


def poisson_nll_loss(x, target, log_input=True, full=False, eps=1e-8, reduction="mean"):
    loss = np.exp(x) - target * x if log_input else x - target * np.log(x + eps)
    if full:
        stirling = target * np.log(target) - target + np.log(2 * math.pi * target) / 2
        loss = loss + np.where(target > 1, stirling, 0)
    return reduced(loss, reduction)


def gaussian_nll_loss(x, target, var, full=False, eps=1e-6, reduction="mean"):
    var = np.maximum(var if np.ndim(var) == x.ndim else var[..., None], eps)
    loss = (np.log(var) + (x - target) ** 2 / var) / 2
    return reduced(loss + full * math.log(2 * math.pi) / 2, reduction)


# Classes ------------------------------------------------------------------------------------------


def nll_loss(logp, target, weight=None, ignore_index=-100, reduction="mean"):
    if logp.ndim == 1:
        loss = nll_loss(logp[None], target[None], weight, ignore_index, reduction)
        return loss[0] if reduction == "none" else loss
    weight = np.ones(logp.shape[1]) if weight is None else weight
    loss, factors = np.zeros(target.shape), np.zeros(target.shape)
    for at in np.ndindex(target.shape):
        if target[at] != ignore_index:
            factors[at] = weight[target[at]]
            loss[at] = -factors[at] * logp[(at[0], target[at], *at[1:])]
    return loss.sum() / factors.sum() if reduction == "mean" else reduced(loss, reduction)


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    axis = min(x.ndim - 1, 1)
    logp, classes = log_softmax(x, axis), x.shape[axis]
    weight = np.ones(classes) if weight is None else weight
    each = weight.reshape(-1, *(1,) * (x.ndim - 2)) * logp
    if target.shape == x.shape:
        mixed = target * (1 - label_smoothing) + label_smoothing / classes
        loss = -(mixed * each).sum(axis)
        count = x.size // classes
        return loss.sum() / count if reduction == "mean" else reduced(loss, reduction)
    right = nll_loss(logp, target, weight, ignore_index, "none")
    kept = target != ignore_index
    loss = (1 - label_smoothing) * right - label_smoothing / classes * each.sum(axis) * kept
    if reduction == "mean":
        return loss.sum() / weight[target[kept]].sum()
    return reduced(loss, reduction)


# Margins ------------------------------------------------------------------------------------------


def soft_margin_loss(x, target, reduction="mean"):
    return reduced(np.log(1 + np.exp(-target * x)), reduction)


def hinge_embedding_loss(x, target, margin=1.0, reduction="mean"):
    return reduced(np.where(target == 1, x, np.maximum(margin - x, 0)), reduction)


def cosine_embedding_loss(x1, x2, target, margin=0.0, reduction="mean"):
    cosine = (x1 * x2).sum(-1) / np.sqrt((x1 * x1).sum(-1) * (x2 * x2).sum(-1))
    return reduced(np.where(target == 1, 1 - cosine, np.maximum(cosine - margin, 0)), reduction)


def margin_ranking_loss(x1, x2, target, margin=0.0, reduction="mean"):
    return reduced(np.maximum(margin - target * (x1 - x2), 0), reduction)


def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, reduction="mean"
):
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = np.minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduced(np.maximum(margin + near - far, 0), reduction)


triplet_margin_with_distance_loss = triplet_margin_loss


def multi_margin_loss(x, target, p=1, margin=1.0, weight=None, reduction="mean"):
    rows, classes = np.atleast_2d(x), x.shape[-1]
    loss = np.zeros(len(rows))
    for n, (row, right) in enumerate(zip(rows, np.atleast_1d(target), strict=True)):
        others = [max(margin - row[right] + row[c], 0) ** p for c in range(classes) if c != right]
        loss[n] = sum(others) / classes * (1.0 if weight is None else weight[right])
    return reduced(loss if x.ndim == 2 else loss[0], reduction)


def multilabel_margin_loss(x, target, reduction="mean"):
    rows, classes = np.atleast_2d(x), x.shape[-1]
    loss = np.zeros(len(rows))
    for n, (row, labels) in enumerate(zip(rows, np.atleast_2d(target).tolist(), strict=True)):
        right = labels[: labels.index(-1)] if -1 in labels else labels
        wrong = set(range(classes)) - set(right)
        loss[n] = sum(max(1 - row[r] + row[w], 0) for r in right for w in wrong) / classes
    return reduced(loss if x.ndim == 2 else loss[0], reduction)


def multilabel_soft_margin_loss(x, target, weight=1.0, reduction="mean"):
    each = binary_cross_entropy_with_logits(x, target, weight, "none")
    return reduced(each.mean(-1), reduction)
