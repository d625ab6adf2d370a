"""Rows of the losses, for each of which every reduction is tried."""

import numpy as np

from tinygrad_opt.nn import functional

from .samplers import classes, counts, given, normal, probabilities, signs, written_as

W3 = [1.0, 0.5, 2.0]
SQUARE = (4, 3)
LABELS = np.array([[2, 0, -1, 1], [-1, 2, 2, 2], [0, 1, 2, 3]])

# name -> rows: (settings, then (sampler, shape) for each input)
LOSSES = {
    "MSELoss": [({}, (normal, SQUARE), (normal, SQUARE))],
    "L1Loss": [({}, (normal, SQUARE), (normal, SQUARE))],
    "HuberLoss": [({"delta": 0.5}, (normal, SQUARE), (normal, SQUARE)),
                  ({}, (normal, SQUARE), (normal, SQUARE))],
    "SmoothL1Loss": [({"beta": 0.5}, (normal, SQUARE), (normal, SQUARE)),
                     ({"beta": 0.0}, (normal, SQUARE), (normal, SQUARE))],
    "CrossEntropyLoss": [
        ({"weight": W3, "ignore_index": 1, "label_smoothing": 0.1},
         (normal, (5, 3, 2)), (classes, (5, 2))),
        ({"weight": W3, "label_smoothing": 0.1}, (normal, (5, 3)), (probabilities, (5, 3))),
        ({"ignore_index": 0}, (normal, (3,)), (classes, ())),
        ({}, (normal, (5, 3)), (classes, (5,))),
        ({"weight": W3}, (normal, (5, 3)), (classes, (5,))),
    ],
    "NLLLoss": [
        ({"weight": W3, "ignore_index": 1}, (normal, (5, 3, 2)), (classes, (5, 2))),
        ({}, (normal, (3,)), (classes, ())),
    ],
    "BCELoss": [({"weight": W3}, (probabilities, SQUARE), (probabilities, SQUARE)),
                ({}, (probabilities, SQUARE), (probabilities, SQUARE))],
    "BCEWithLogitsLoss": [
        ({"weight": W3, "pos_weight": [0.5, 3.0, 1.0]}, (normal, SQUARE), (probabilities, SQUARE)),
        ({}, (normal, SQUARE), (probabilities, SQUARE)),
    ],
    "KLDivLoss": [
        ({}, (normal, SQUARE), (probabilities, SQUARE)),
        ({"log_target": True}, (normal, SQUARE), (normal, SQUARE)),
    ],
    "PoissonNLLLoss": [
        ({}, (normal, SQUARE), (probabilities, SQUARE)),
        ({"log_input": False, "eps": 0.1}, (probabilities, SQUARE), (probabilities, SQUARE)),
        ({"full": True}, (normal, SQUARE), (counts, SQUARE)),
    ],
    "GaussianNLLLoss": [
        ({"full": True}, (normal, SQUARE), (normal, SQUARE), (probabilities, SQUARE)),
        ({"eps": 0.5}, (normal, SQUARE), (normal, SQUARE), (probabilities, (4,))),
        ({}, (normal, SQUARE), (normal, SQUARE), (probabilities, (1, 3))),
    ],
    "SoftMarginLoss": [({}, (normal, SQUARE), (signs, SQUARE))],
    "HingeEmbeddingLoss": [({"margin": 0.6}, (normal, SQUARE), (signs, SQUARE)),
                           ({}, (normal, SQUARE), (signs, SQUARE))],
    "CosineEmbeddingLoss": [
        ({"margin": 0.1}, (normal, (6, 3)), (normal, (6, 3)), (signs, (6,))),
        ({}, (normal, (3,)), (normal, (3,)), (signs, ())),
    ],
    "MarginRankingLoss": [({"margin": 0.3}, (normal, (6,)), (normal, (6,)), (signs, (6,))),
                          ({}, (normal, (6,)), (normal, (6,)), (signs, (6,)))],
    "TripletMarginLoss": [
        ({"margin": 0.7, "p": 3.0, "eps": 0.01}, *[(normal, (5, 3))] * 3),
        ({"swap": True}, *[(normal, (5, 3))] * 3),
        ({}, *[(normal, (3,))] * 3),
    ],
    "TripletMarginWithDistanceLoss": [({"swap": True}, *[(normal, (5, 3))] * 3),
                                      ({"margin": 0.7}, *[(normal, (5, 3))] * 3)],
    "MultiMarginLoss": [
        ({"p": 2, "margin": 0.7, "weight": W3}, (normal, (5, 3)), (classes, (5,))),
        ({}, (normal, (5, 3)), (classes, (5,))),
        ({}, (normal, (3,)), (classes, ())),
    ],
    "MultiLabelMarginLoss": [
        ({}, (normal, (3, 4)), (given(LABELS), (3, 4))),
        ({}, (normal, (4,)), (given([1, 3, -1, 0]), (4,))),
    ],
    "MultiLabelSoftMarginLoss": [({"weight": W3}, (normal, SQUARE), (probabilities, SQUARE)),
                                 ({}, (normal, SQUARE), (probabilities, SQUARE))],
}  # fmt: skip

# The loss as a function: its name in `nn.functional` and in `references`.
FORMULAS = {name: written_as(name, functional.__all__) for name in LOSSES} | {
    "CrossEntropyLoss": "cross_entropy", "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits", "KLDivLoss": "kl_div",
}  # fmt: skip
