"""One table of layers and losses, built here and in PyTorch: values, gradients, names and text.

The weights go through `state_dict` in both directions. A row says how both libraries build the
layer and what it takes: shapes of normal numbers, or a function that makes the arrays.
"""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_opt as T

pytestmark = pytest.mark.peers


def rng(seed=0):
    return np.random.default_rng(seed)


def numbers(*shape, seed=0):
    return rng(seed).standard_normal(shape)


def chosen(layer):
    """The layer in evaluation mode, with running statistics that are not the start's."""
    layer.running_mean.data += 0.5
    layer.running_var.data *= 2
    return layer.eval()


SQUARE, BATCH, IMAGES = (5, 3), (4, 3, 6), (4, 3, 5, 2)
LAYERS = {
    "ReLU": (lambda nn: nn.ReLU(), SQUARE),
    "ReLU6": (lambda nn: nn.ReLU6(), SQUARE),
    "LeakyReLU": (lambda nn: nn.LeakyReLU(0.2, inplace=False), SQUARE),
    "PReLU": (lambda nn: nn.PReLU(), SQUARE),
    "PReLU of channels": (lambda nn: nn.PReLU(3, init=0.1), IMAGES),
    "RReLU": (lambda nn: nn.RReLU(0.2, 0.4).eval(), SQUARE),
    "Hardtanh": (lambda nn: nn.Hardtanh(-0.5, 0.7), SQUARE),
    "Hardsigmoid": (lambda nn: nn.Hardsigmoid(), SQUARE),
    "Hardswish": (lambda nn: nn.Hardswish(), SQUARE),
    "Hardshrink": (lambda nn: nn.Hardshrink(0.3), SQUARE),
    "Softshrink": (lambda nn: nn.Softshrink(0.3), SQUARE),
    "Threshold": (lambda nn: nn.Threshold(0.1, 2.0), SQUARE),
    "ELU": (lambda nn: nn.ELU(1.5), SQUARE),
    "CELU": (lambda nn: nn.CELU(1.5), SQUARE),
    "SELU": (lambda nn: nn.SELU(), SQUARE),
    "SiLU": (lambda nn: nn.SiLU(), SQUARE),
    "Mish": (lambda nn: nn.Mish(), SQUARE),
    "GELU": (lambda nn: nn.GELU("tanh"), SQUARE),
    "GLU": (lambda nn: nn.GLU(), (5, 4)),
    "GLU of rows": (lambda nn: nn.GLU(0), (4, 3)),
    "Sigmoid": (lambda nn: nn.Sigmoid(), SQUARE),
    "LogSigmoid": (lambda nn: nn.LogSigmoid(), SQUARE),
    "Tanh": (lambda nn: nn.Tanh(), SQUARE),
    "Tanhshrink": (lambda nn: nn.Tanhshrink(), SQUARE),
    "Softsign": (lambda nn: nn.Softsign(), SQUARE),
    "Softplus": (lambda nn: nn.Softplus(2.0, 1.0), SQUARE),
    "Softmax": (lambda nn: nn.Softmax(0), SQUARE),
    "Softmin": (lambda nn: nn.Softmin(1), SQUARE),
    "LogSoftmax": (lambda nn: nn.LogSoftmax(1), SQUARE),
    "Softmax2d": (lambda nn: nn.Softmax2d(), IMAGES),
    "Softmax2d of one": (lambda nn: nn.Softmax2d(), IMAGES[1:]),
    "Dropout": (lambda nn: nn.Dropout(0.3).eval(), SQUARE),
    "Dropout1d": (lambda nn: nn.Dropout1d(0.3).eval(), BATCH),
    "Dropout2d": (lambda nn: nn.Dropout2d(0.3).eval(), IMAGES),
    "Dropout3d": (lambda nn: nn.Dropout3d().eval(), (2, 3, 2, 2, 2)),
    "AlphaDropout": (lambda nn: nn.AlphaDropout(0.2).eval(), SQUARE),
    "FeatureAlphaDropout": (lambda nn: nn.FeatureAlphaDropout(inplace=True).eval(), IMAGES),
    "Linear": (lambda nn: nn.Linear(3, 4), SQUARE),
    "Linear of a vector": (lambda nn: nn.Linear(3, 4), (3,)),
    "LazyLinear": (lambda nn: nn.LazyLinear(4), SQUARE),
    "LazyLinear without bias": (lambda nn: nn.LazyLinear(4, bias=False), (2, 5, 3)),
    "Bilinear": (lambda nn: nn.Bilinear(3, 2, 4), SQUARE, (5, 2)),
    "Bilinear without bias": (lambda nn: nn.Bilinear(3, 2, 4, bias=False), (2, 5, 3), (2, 5, 2)),
    "Identity": (lambda nn: nn.Identity(3, unused=True), SQUARE),
    "Flatten": (lambda nn: nn.Flatten(0, 1), BATCH),
    "Unflatten": (lambda nn: nn.Unflatten(1, (3, -1)), (2, 6)),
    "BatchNorm1d": (lambda nn: nn.BatchNorm1d(3), SQUARE),
    "BatchNorm1d of sequences": (lambda nn: nn.BatchNorm1d(3, eps=0.1, momentum=0.3), BATCH),
    "BatchNorm1d cumulative": (lambda nn: nn.BatchNorm1d(3, momentum=None), BATCH),
    "BatchNorm1d without statistics": (
        lambda nn: nn.BatchNorm1d(3, track_running_stats=False).eval(), BATCH),
    "BatchNorm1d evaluated": (lambda nn: chosen(nn.BatchNorm1d(3)), SQUARE),
    "BatchNorm2d": (lambda nn: nn.BatchNorm2d(3), IMAGES),
    "BatchNorm2d plain": (lambda nn: nn.BatchNorm2d(3, affine=False), IMAGES),
    "BatchNorm2d without bias": (lambda nn: nn.BatchNorm2d(3, bias=False), IMAGES),
    "BatchNorm2d evaluated": (lambda nn: chosen(nn.BatchNorm2d(3, eps=0.1)), IMAGES),
    "BatchNorm3d": (lambda nn: nn.BatchNorm3d(3), (2, 3, 2, 3, 2)),
    "LazyBatchNorm1d": (lambda nn: nn.LazyBatchNorm1d(0.1), SQUARE),
    "LazyBatchNorm2d": (lambda nn: nn.LazyBatchNorm2d(affine=False), IMAGES),
    "LazyBatchNorm3d": (lambda nn: nn.LazyBatchNorm3d(bias=False), (2, 3, 2, 3, 2)),
    "InstanceNorm1d": (lambda nn: nn.InstanceNorm1d(3), BATCH),
    "InstanceNorm1d of one": (lambda nn: nn.InstanceNorm1d(3, affine=True), BATCH[1:]),
    "InstanceNorm1d tracking": (lambda nn: nn.InstanceNorm1d(3, track_running_stats=True), BATCH),
    "InstanceNorm1d evaluated": (
        lambda nn: chosen(nn.InstanceNorm1d(3, affine=True, track_running_stats=True)), BATCH),
    "InstanceNorm2d": (lambda nn: nn.InstanceNorm2d(3, 0.1, affine=True), IMAGES),
    "InstanceNorm3d": (lambda nn: nn.InstanceNorm3d(3), (2, 3, 2, 3, 2)),
    "LazyInstanceNorm1d": (lambda nn: nn.LazyInstanceNorm1d(affine=True), BATCH),
    "LazyInstanceNorm2d": (lambda nn: nn.LazyInstanceNorm2d(track_running_stats=False), IMAGES),
    "LazyInstanceNorm3d": (lambda nn: nn.LazyInstanceNorm3d(), (2, 3, 2, 3, 2)),
    "LayerNorm": (lambda nn: nn.LayerNorm(3), SQUARE),
    "LayerNorm of two axes": (lambda nn: nn.LayerNorm((3, 6), eps=0.1, bias=False), BATCH),
    "LayerNorm plain": (lambda nn: nn.LayerNorm(3, elementwise_affine=False), SQUARE),
    "RMSNorm": (lambda nn: nn.RMSNorm(3), SQUARE),
    "RMSNorm of two axes": (lambda nn: nn.RMSNorm((3, 6), 0.1, elementwise_affine=False), BATCH),
    "GroupNorm": (lambda nn: nn.GroupNorm(2, 4), (3, 4, 5)),
    "GroupNorm of vectors": (lambda nn: nn.GroupNorm(2, 6, eps=0.1, bias=False), (3, 6)),
    "GroupNorm plain": (lambda nn: nn.GroupNorm(3, 3, affine=False), IMAGES),
    "LocalResponseNorm": (lambda nn: nn.LocalResponseNorm(2, 0.5, 0.6, 1.2), (2, 4, 3)),
    "LocalResponseNorm, odd": (lambda nn: nn.LocalResponseNorm(3), IMAGES),
    "LocalResponseNorm, wide": (lambda nn: nn.LocalResponseNorm(9, 0.5), IMAGES),
    "CosineSimilarity": (lambda nn: nn.CosineSimilarity(0, 0.1), SQUARE, SQUARE),
    "CosineSimilarity of all": (lambda nn: nn.CosineSimilarity(-1), (4, 1, 3), (2, 3)),
    "PairwiseDistance": (lambda nn: nn.PairwiseDistance(), SQUARE, SQUARE),
    "PairwiseDistance, p": (lambda nn: nn.PairwiseDistance(3, 0.1, True), SQUARE, (3,)),
    "Sequential": (
        lambda nn: nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Mish(), nn.Linear(8, 2)),
        SQUARE),
}  # fmt: skip


def probabilities(rng, shape):
    return rng.uniform(0.1, 0.9, shape)


def signs(rng, shape):
    return rng.choice([-1, 1], shape)


def classes(rng, shape):
    return rng.integers(0, 3, shape)


def normal(rng, shape):
    return rng.standard_normal(shape)


def labels(rng, shape):
    return np.array([[2, 0, -1, 1], [-1, 2, 2, 2], [0, 1, 2, 3]])


W3 = [1.0, 0.5, 2.0]
# name -> (constructor arguments, then (sampler, shape) for each input)
LOSSES = {
    "MSELoss": [({}, (normal, (4, 3)), (normal, (4, 3)))],
    "L1Loss": [({}, (normal, (4, 3)), (normal, (4, 3)))],
    "HuberLoss": [({"delta": 0.5}, (normal, (4, 3)), (normal, (4, 3)))],
    "SmoothL1Loss": [({"beta": 0.5}, (normal, (4, 3)), (normal, (4, 3)))],
    "CrossEntropyLoss": [
        (
            {"weight": W3, "ignore_index": 1, "label_smoothing": 0.1},
            (normal, (5, 3, 2)),
            (classes, (5, 2)),
        ),
        ({"weight": W3, "label_smoothing": 0.1}, (normal, (5, 3)), (probabilities, (5, 3))),
        ({"ignore_index": 0}, (normal, (3,)), (classes, ())),
    ],
    "NLLLoss": [
        ({"weight": W3, "ignore_index": 1}, (normal, (5, 3, 2)), (classes, (5, 2))),
        ({}, (normal, (3,)), (classes, ())),
    ],
    "BCELoss": [({"weight": W3}, (probabilities, (4, 3)), (probabilities, (4, 3)))],
    "BCEWithLogitsLoss": [
        ({"weight": W3, "pos_weight": [0.5, 3.0, 1.0]}, (normal, (4, 3)), (probabilities, (4, 3))),
        ({}, (normal, (4, 3)), (probabilities, (4, 3))),
    ],
    "KLDivLoss": [
        ({}, (normal, (4, 3)), (probabilities, (4, 3))),
        ({"log_target": True}, (normal, (4, 3)), (normal, (4, 3))),
    ],
    "PoissonNLLLoss": [
        ({}, (normal, (4, 3)), (probabilities, (4, 3))),
        ({"log_input": False, "eps": 0.1}, (probabilities, (4, 3)), (probabilities, (4, 3))),
        ({"full": True}, (normal, (4, 3)), (lambda rng, shape: rng.uniform(0, 5, shape), (4, 3))),
    ],
    "GaussianNLLLoss": [
        ({"full": True}, (normal, (4, 3)), (normal, (4, 3)), (probabilities, (4, 3))),
        ({"eps": 0.5}, (normal, (4, 3)), (normal, (4, 3)), (probabilities, (4,))),
        ({}, (normal, (4, 3)), (normal, (4, 3)), (probabilities, (1, 3))),
    ],
    "SoftMarginLoss": [({}, (normal, (4, 3)), (signs, (4, 3)))],
    "HingeEmbeddingLoss": [({"margin": 0.6}, (normal, (4, 3)), (signs, (4, 3)))],
    "CosineEmbeddingLoss": [
        ({"margin": 0.1}, (normal, (6, 3)), (normal, (6, 3)), (signs, (6,))),
        ({}, (normal, (3,)), (normal, (3,)), (signs, ())),
    ],
    "MarginRankingLoss": [({"margin": 0.3}, (normal, (6,)), (normal, (6,)), (signs, (6,)))],
    "TripletMarginLoss": [
        ({"margin": 0.7, "p": 3.0, "eps": 0.01}, *[(normal, (5, 3))] * 3),
        ({"swap": True}, *[(normal, (5, 3))] * 3),
        ({}, *[(normal, (3,))] * 3),
    ],
    "TripletMarginWithDistanceLoss": [({"swap": True}, *[(normal, (5, 3))] * 3)],
    "MultiMarginLoss": [
        ({"p": 2, "margin": 0.7, "weight": W3}, (normal, (5, 3)), (classes, (5,))),
        ({}, (normal, (5, 3)), (classes, (5,))),
        ({}, (normal, (3,)), (classes, ())),
    ],
    "MultiLabelMarginLoss": [
        ({}, (normal, (3, 4)), (labels, (3, 4))),
        ({}, (normal, (4,)), (lambda rng, shape: np.array([1, 3, -1, 0]), (4,))),
    ],
    "MultiLabelSoftMarginLoss": [({"weight": W3}, (normal, (4, 3)), (probabilities, (4, 3)))],
}
CASES = [
    pytest.param(name, case, reduction, id=f"{name}-{i}-{reduction}")
    for name, cases in LOSSES.items()
    for i, case in enumerate(cases)
    for reduction in ("mean", "sum", "none", *(["batchmean"] if name == "KLDivLoss" else []))
]


def leaves(module, arrays):
    return [module.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]


def close(a, b, rtol=1e-9, atol=1e-11):
    expected = b.detach().numpy()
    np.testing.assert_allclose(a.detach().numpy(), expected, rtol=rtol, atol=atol, strict=True)


def same_gradients(torch, ours, theirs, arrays):
    """Run both on the same arrays; compare values, and gradients of inputs and parameters."""
    a, b = leaves(T, arrays), leaves(torch, arrays)
    y, z = ours(*a), theirs(*b)
    close(y, z)
    g = numbers(*z.shape, seed=1)
    y.backward(T.tensor(g))
    z.backward(torch.tensor(g))
    rough = type(theirs).__name__ == "Hardsigmoid"  # PyTorch's slope is 1 / 6 in float32
    for x, w in zip(a, b, strict=True):
        if w.grad is not None:
            close(x.grad, w.grad, 1e-7 if rough else 1e-9)
    for (name, p), (other, q) in zip(
        ours.named_parameters(), theirs.named_parameters(), strict=True
    ):
        assert name == other
        close(p.grad, q.grad)
    for p, q in zip(ours.buffers(), theirs.buffers(), strict=True):
        close(p, q)  # running statistics
    return y, z


def built(torch, make, arrays):
    """Both layers, float64, ours with the values of theirs."""
    ours, theirs = make(T.nn).double(), make(torch.nn).double()
    if "Lazy" in type(ours).__name__:
        assert repr(ours) == repr(theirs)
        inputs = [x.astype("float64") for x in arrays]
        ours(*map(T.tensor, inputs)), theirs(*map(torch.tensor, inputs))  # now they know
    state = theirs.state_dict()
    ours.load_state_dict({k: T.tensor(v.numpy()) for k, v in state.items()})
    back = {k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()}
    assert str(theirs.load_state_dict(back)) == "<All keys matched successfully>"
    assert list(ours.state_dict()) == list(state)
    return ours, theirs


@pytest.mark.parametrize("name", LAYERS)
def test_layers(torch, name):
    make, *shapes = LAYERS[name]
    arrays = [numbers(*shape, seed=i) for i, shape in enumerate(shapes)]
    ours, theirs = built(torch, make, arrays)
    assert repr(ours) == repr(theirs)
    assert ours._version == theirs._version
    same_gradients(torch, ours, theirs, arrays)
    same_gradients_again(torch, ours, theirs, arrays)  # running statistics move on
    twin = pickle.loads(pickle.dumps(copy.deepcopy(ours)))
    assert twin.state_dict().keys() == ours.state_dict().keys()
    np.testing.assert_array_equal(
        twin.eval()(*map(T.tensor, arrays)).detach(), ours.eval()(*map(T.tensor, arrays)).detach()
    )


def same_gradients_again(torch, ours, theirs, arrays):
    for net in (ours, theirs):
        net.zero_grad()
    return same_gradients(torch, ours, theirs, arrays)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_in_float32(torch, name):
    make, *shapes = LAYERS[name]
    arrays = [numbers(*shape, seed=i) for i, shape in enumerate(shapes)]
    ours, theirs = (net.float() for net in built(torch, make, arrays))
    singles = [x.astype(np.float32) for x in arrays]
    close(ours(*map(T.tensor, singles)), theirs(*map(torch.tensor, singles)), 3e-5, 1e-6)


def loss_of(lib, name, settings, reduction):
    made = {
        k: lib.tensor(v, dtype=lib.float64) if isinstance(v, list) else v
        for k, v in settings.items()
    }
    return getattr(lib.nn, name)(**made, reduction=reduction)


@pytest.mark.filterwarnings("ignore:.*divides the total loss")
@pytest.mark.parametrize(("name", "case", "reduction"), CASES)
def test_losses(torch, name, case, reduction):
    settings, *inputs = case
    source = rng(3)
    arrays = [np.asarray(sample(source, shape)) for sample, shape in inputs]
    ours, theirs = (loss_of(lib, name, settings, reduction) for lib in (T, torch))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    same_gradients(torch, ours, theirs, arrays)
