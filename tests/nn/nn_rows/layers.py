"""Rows of the layers without images: activations, dropout in evaluation, linear, normalising."""

import references as r

SQUARE, BATCH, IMAGES = (5, 3), (4, 3, 6), (4, 3, 5, 2)
CUBES = (2, 3, 2, 3, 2)

ACTIVATIONS = {
    "LeakyReLU": (
        lambda nn: nn.LeakyReLU(0.2, inplace=False), lambda x: r.leaky_relu(x, 0.2), SQUARE),
    "PReLU": (lambda nn: nn.PReLU(), r.prelu, SQUARE),
    "PReLU of channels": (lambda nn: nn.PReLU(3, init=0.1), r.prelu, IMAGES),
    "RReLU": (lambda nn: nn.RReLU(0.2, 0.4).eval(), lambda x: r.rrelu(x, 0.2, 0.4), SQUARE),
    "Hardtanh": (lambda nn: nn.Hardtanh(-0.5, 0.7), lambda x: r.hardtanh(x, -0.5, 0.7), SQUARE),
    "Hardshrink": (lambda nn: nn.Hardshrink(0.3), lambda x: r.hardshrink(x, 0.3), SQUARE),
    "Softshrink": (lambda nn: nn.Softshrink(0.3), lambda x: r.softshrink(x, 0.3), SQUARE),
    "Threshold": (lambda nn: nn.Threshold(0.1, 2.0), lambda x: r.threshold(x, 0.1, 2.0), SQUARE),
    "ELU": (lambda nn: nn.ELU(1.5), lambda x: r.elu(x, 1.5), SQUARE),
    "CELU": (lambda nn: nn.CELU(1.5), lambda x: r.celu(x, 1.5), SQUARE),
    "GELU": (lambda nn: nn.GELU("tanh"), lambda x: r.gelu(x, "tanh"), SQUARE),
    "GLU of rows": (lambda nn: nn.GLU(0), lambda x: r.glu(x, 0), (4, 3)),
    "Softplus": (lambda nn: nn.Softplus(2.0, 1.0), lambda x: r.softplus(x, 2.0, 1.0), SQUARE),
    "Softmax": (lambda nn: nn.Softmax(0), lambda x: r.softmax(x, 0), SQUARE),
    "Softmax of rows": (lambda nn: nn.Softmax(dim=1), lambda x: r.softmax(x, 1), SQUARE),
    "Softmin": (lambda nn: nn.Softmin(1), lambda x: r.softmin(x, 1), SQUARE),
    "LogSoftmax": (lambda nn: nn.LogSoftmax(1), lambda x: r.log_softmax(x, 1), SQUARE),
    "LogSoftmax, last": (lambda nn: nn.LogSoftmax(dim=-1), lambda x: r.log_softmax(x, 1), SQUARE),
    "Softmax2d": (lambda nn: nn.Softmax2d(), lambda x: r.softmax(x, 1), IMAGES),
    "Softmax2d of one": (lambda nn: nn.Softmax2d(), lambda x: r.softmax(x, 0), IMAGES[1:]),
}  # fmt: skip


def same(x):
    return x


# In evaluation, that is; in training: test_random_formulas.py.
DROPOUT = {
    "Dropout": (lambda nn: nn.Dropout(0.3).eval(), same, SQUARE),
    "Dropout1d": (lambda nn: nn.Dropout1d(0.3).eval(), same, BATCH),
    "Dropout2d": (lambda nn: nn.Dropout2d(0.3).eval(), same, IMAGES),
    "Dropout3d": (lambda nn: nn.Dropout3d().eval(), same, (2, 3, 2, 2, 2)),
    "AlphaDropout": (lambda nn: nn.AlphaDropout(0.2).eval(), same, SQUARE),
    "FeatureAlphaDropout": (
        lambda nn: nn.FeatureAlphaDropout(inplace=True).eval(), same, IMAGES),
}  # fmt: skip


def layers_of(state):
    """The state of each layer of a Sequential: {"0.weight": w} -> {"0": {"weight": w}}."""
    parts = {}
    for name, value in state.items():
        layer, _, short = name.rpartition(".")
        parts.setdefault(layer, {})[short] = value
    return parts


def perceptron(x, **state):
    part = layers_of(state)
    hidden = batch_trained()(r.linear(x, **part["0"]), **part["1"])
    return r.linear(r.mish(hidden), **part["3"])


def nested(x, **state):
    part = layers_of(state)
    return r.linear(r.tanh(r.linear(x, **part["0"])), **part["2.0"])


def relu_of_linear(x, **state):
    return r.relu(r.linear(x, **layers_of(state)["0"]))


LINEAR = {
    "Linear": (lambda nn: nn.Linear(3, 4), r.linear, SQUARE),
    "Linear without bias": (lambda nn: nn.Linear(3, 4, bias=False), r.linear, (2, 5, 3)),
    "Linear of a vector": (lambda nn: nn.Linear(3, 4), r.linear, (3,)),
    "LazyLinear": (lambda nn: nn.LazyLinear(4), r.linear, SQUARE),
    "LazyLinear without bias": (lambda nn: nn.LazyLinear(4, bias=False), r.linear, (2, 5, 3)),
    "Bilinear": (lambda nn: nn.Bilinear(3, 2, 4), r.bilinear, SQUARE, (5, 2)),
    "Bilinear without bias": (
        lambda nn: nn.Bilinear(3, 2, 4, bias=False), r.bilinear, (2, 5, 3), (2, 5, 2)),
    "Identity": (lambda nn: nn.Identity(3, unused=True), same, SQUARE),
    "Flatten": (lambda nn: nn.Flatten(0, 1), lambda x: x.reshape(12, 6), BATCH),
    "Flatten all but the first": (lambda nn: nn.Flatten(), lambda x: x.reshape(4, 18), BATCH),
    "Unflatten": (lambda nn: nn.Unflatten(1, (3, -1)), lambda x: x.reshape(2, 3, 2), (2, 6)),
    "CosineSimilarity": (
        lambda nn: nn.CosineSimilarity(0, 0.1),
        lambda a, b: r.cosine_similarity(a, b, 0, 0.1), SQUARE, SQUARE),
    "CosineSimilarity of all": (
        lambda nn: nn.CosineSimilarity(-1),
        lambda a, b: r.cosine_similarity(a, b, -1), (4, 1, 3), (2, 3)),
    "PairwiseDistance": (lambda nn: nn.PairwiseDistance(), r.pairwise_distance, SQUARE, SQUARE),
    "PairwiseDistance, p": (
        lambda nn: nn.PairwiseDistance(3, 0.1, True),
        lambda a, b: r.pairwise_distance(a, b, 3, 0.1, True), SQUARE, (3,)),
    "Sequential": (
        lambda nn: nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Mish(), nn.Linear(8, 2)),
        perceptron, SQUARE),
    "Sequential, nested": (
        lambda nn: nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Sequential(nn.Linear(8, 2))),
        nested, SQUARE),
    "ReLU in place": (
        lambda nn: nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True)), relu_of_linear, SQUARE),
}  # fmt: skip


def chosen(layer):
    """The layer in evaluation mode, with running statistics that are not the start's."""
    layer.running_mean.data += 0.5
    layer.running_var.data *= 2
    return layer.eval()


def batch_trained(**settings):
    def formula(x, num_batches_tracked=None, **state):
        return r.batch_norm(x, training=True, **state, **settings)

    return formula


def batch_evaluated(x, num_batches_tracked=None, **state):
    return r.batch_norm(x, **state)


def instances(**settings):
    def formula(x, num_batches_tracked=None, **state):
        return r.instance_norm(x, **state, **settings)

    return formula


NORMALIZATION = {
    "BatchNorm1d": (lambda nn: nn.BatchNorm1d(3), batch_trained(), SQUARE),
    "BatchNorm1d of sequences": (
        lambda nn: nn.BatchNorm1d(3, eps=0.1, momentum=0.3), batch_trained(eps=0.1), BATCH),
    "BatchNorm1d cumulative": (
        lambda nn: nn.BatchNorm1d(3, momentum=None), batch_trained(), BATCH),
    "BatchNorm1d without statistics": (
        lambda nn: nn.BatchNorm1d(3, track_running_stats=False).eval(), batch_trained(), BATCH),
    "BatchNorm1d evaluated": (lambda nn: chosen(nn.BatchNorm1d(3)), batch_evaluated, SQUARE),
    "BatchNorm2d": (lambda nn: nn.BatchNorm2d(3), batch_trained(), IMAGES),
    "BatchNorm2d plain": (lambda nn: nn.BatchNorm2d(3, affine=False), batch_trained(), IMAGES),
    "BatchNorm2d without bias": (
        lambda nn: nn.BatchNorm2d(3, bias=False), batch_trained(), IMAGES),
    "BatchNorm2d evaluated": (
        lambda nn: chosen(nn.BatchNorm2d(3, eps=0.1)),
        lambda x, **state: batch_evaluated(x, eps=0.1, **state), IMAGES),
    "BatchNorm3d": (lambda nn: nn.BatchNorm3d(3), batch_trained(), CUBES),
    "LazyBatchNorm1d": (lambda nn: nn.LazyBatchNorm1d(0.1), batch_trained(eps=0.1), SQUARE),
    "LazyBatchNorm2d": (lambda nn: nn.LazyBatchNorm2d(affine=False), batch_trained(), IMAGES),
    "LazyBatchNorm3d": (lambda nn: nn.LazyBatchNorm3d(bias=False), batch_trained(), CUBES),
    "InstanceNorm1d": (lambda nn: nn.InstanceNorm1d(3), instances(), BATCH),
    "InstanceNorm1d of one": (
        lambda nn: nn.InstanceNorm1d(3, affine=True),
        lambda x, **state: r.instance_norm(x[None], **state)[0], BATCH[1:]),
    "InstanceNorm1d tracking": (
        lambda nn: nn.InstanceNorm1d(3, track_running_stats=True), instances(), BATCH),
    "InstanceNorm1d evaluated": (
        lambda nn: chosen(nn.InstanceNorm1d(3, affine=True, track_running_stats=True)),
        instances(use_input_stats=False), BATCH),
    "InstanceNorm2d": (
        lambda nn: nn.InstanceNorm2d(3, 0.1, affine=True), instances(eps=0.1), IMAGES),
    "InstanceNorm3d": (lambda nn: nn.InstanceNorm3d(3), instances(), CUBES),
    "LazyInstanceNorm1d": (lambda nn: nn.LazyInstanceNorm1d(affine=True), instances(), BATCH),
    "LazyInstanceNorm2d": (
        lambda nn: nn.LazyInstanceNorm2d(track_running_stats=False), instances(), IMAGES),
    "LazyInstanceNorm3d": (lambda nn: nn.LazyInstanceNorm3d(), instances(), CUBES),
    "LayerNorm": (
        lambda nn: nn.LayerNorm(3), lambda x, **s: r.layer_norm(x, (3,), **s), SQUARE),
    "LayerNorm of two axes": (
        lambda nn: nn.LayerNorm((3, 6), eps=0.1, bias=False),
        lambda x, **s: r.layer_norm(x, (3, 6), eps=0.1, **s), BATCH),
    "LayerNorm plain": (
        lambda nn: nn.LayerNorm(3, elementwise_affine=False),
        lambda x: r.layer_norm(x, (3,)), SQUARE),
    "RMSNorm": (lambda nn: nn.RMSNorm(3), lambda x, weight: r.rms_norm(x, (3,), weight), SQUARE),
    "RMSNorm of two axes": (
        lambda nn: nn.RMSNorm((3, 6), 0.1, elementwise_affine=False),
        lambda x: r.rms_norm(x, (3, 6), eps=0.1), BATCH),
    "GroupNorm": (
        lambda nn: nn.GroupNorm(2, 4), lambda x, **s: r.group_norm(x, 2, **s), (3, 4, 5)),
    "GroupNorm of vectors": (
        lambda nn: nn.GroupNorm(2, 6, eps=0.1, bias=False),
        lambda x, **s: r.group_norm(x, 2, eps=0.1, **s), (3, 6)),
    "GroupNorm plain": (
        lambda nn: nn.GroupNorm(3, 3, affine=False), lambda x: r.group_norm(x, 3), IMAGES),
    "LocalResponseNorm": (
        lambda nn: nn.LocalResponseNorm(2, 0.5, 0.6, 1.2),
        lambda x: r.local_response_norm(x, 2, 0.5, 0.6, 1.2), (2, 4, 3)),
    "LocalResponseNorm, odd": (
        lambda nn: nn.LocalResponseNorm(3), lambda x: r.local_response_norm(x, 3), IMAGES),
    "LocalResponseNorm, wide": (
        lambda nn: nn.LocalResponseNorm(9, 0.5),
        lambda x: r.local_response_norm(x, 9, 0.5), IMAGES),
}  # fmt: skip
