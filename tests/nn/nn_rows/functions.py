"""Rows of the functions of `nn.functional` that are neither random nor losses."""

import numpy as np

from .samplers import given, normal, probabilities

SQUARE, LINE, IMAGE, CUBE = (5, 3), (2, 3, 6), (2, 3, 5, 4), (1, 2, 3, 4, 3)
x = (normal, SQUARE)
line, image, cube = (normal, LINE), (normal, IMAGE), (normal, CUBE)
INDEX = (given([[1, 4, 1], [0, 1, 2]]), (2, 3))
# The first cell of each window of two, and the last.
PLACES = np.array([[[0, 3, 4]] * 2])
OF_IMAGE = np.array([[[[0, 3], [9, 14]]] * 2])
OF_CUBE = np.array([[[[[0, 6]], [[13, 10]]]] * 2])[:, :, :1]


def vectors(*shapes):
    return [(normal, shape) for shape in shapes]


FUNCTIONS = {
    "relu": [({}, x)],
    "relu6": [({}, x)],
    "leaky_relu": [({}, x), ({"negative_slope": 0.2}, x)],
    "prelu": [({}, x, (normal, (3,))), ({}, x, (normal, (1,)))],
    "rrelu": [({}, x), ({"lower": 0.2, "upper": 0.4}, x)],
    "hardtanh": [({}, x), ({"min_val": -0.5, "max_val": 0.7}, x)],
    "hardsigmoid": [({}, x)],
    "hardswish": [({}, x)],
    "hardshrink": [({}, x), ({"lambd": 0.3}, x)],
    "softshrink": [({}, x), ({"lambd": 0.3}, x)],
    "threshold": [({"threshold": 0.1, "value": 2.0}, x)],
    "elu": [({}, x), ({"alpha": 1.5}, x)],
    "celu": [({}, x), ({"alpha": 1.5}, x)],
    "selu": [({}, x)],
    "silu": [({}, x)],
    "mish": [({}, x)],
    "gelu": [({}, x), ({"approximate": "tanh"}, x)],
    "glu": [({}, (normal, (5, 4))), ({"dim": 0}, (normal, (4, 3)))],
    "sigmoid": [({}, x)],
    "logsigmoid": [({}, x)],
    "tanh": [({}, x)],
    "tanhshrink": [({}, x)],
    "softsign": [({}, x)],
    "softplus": [({}, x), ({"beta": 2.0, "threshold": 1.0}, x)],
    "softmax": [({"dim": 0}, x), ({"dim": -1}, image)],
    "softmin": [({"dim": 1}, x)],
    "log_softmax": [({"dim": 0}, x), ({"dim": 1}, image)],
    # Linear maps and distances
    "linear": [({}, *vectors(SQUARE, (4, 3), (4,))), ({}, *vectors((3,), (4, 3)))],
    "bilinear": [({}, *vectors((5, 3), (5, 2), (4, 3, 2), (4,))),
                 ({}, *vectors((2, 5, 3), (2, 5, 2), (4, 3, 2)))],
    "cosine_similarity": [({}, *vectors(SQUARE, SQUARE)),
                          ({"dim": 0, "eps": 3.0}, *vectors(SQUARE, SQUARE))],
    "pairwise_distance": [({}, *vectors(SQUARE, SQUARE)),
                          ({"p": 3.0, "eps": 0.1, "keepdim": True}, *vectors(SQUARE, SQUARE))],
    "normalize": [({}, x), ({"p": 3.0, "dim": 0, "eps": 2.0}, x)],
    "one_hot": [({"num_classes": 5}, INDEX)],
    "embedding": [({}, INDEX, (normal, (5, 2)))],
    "embedding_bag": [({"mode": mode}, INDEX, (normal, (5, 2))) for mode in ("sum", "mean", "max")],
    "scaled_dot_product_attention": [
        ({}, *vectors((2, 3, 4), (2, 5, 4), (2, 5, 6))),
        ({"scale": 0.3, "is_causal": True}, *vectors((2, 4, 4), (2, 4, 4), (2, 4, 6))),
    ],
    # Normalisation
    "batch_norm": [
        ({"eps": 0.1}, line, (normal, (3,)), (probabilities, (3,)), *vectors((3,), (3,))),
        ({"training": True}, line, (normal, (3,)), (probabilities, (3,)), *vectors((3,), (3,))),
    ],
    "instance_norm": [
        ({}, line),
        ({"use_input_stats": False, "eps": 0.1}, line, (normal, (3,)), (probabilities, (3,))),
    ],
    "group_norm": [({"num_groups": 3}, line), ({"num_groups": 1, "eps": 0.1}, image)],
    "layer_norm": [({"normalized_shape": (6,)}, line),
                   ({"normalized_shape": (3, 6), "eps": 0.1}, line)],
    "rms_norm": [({"normalized_shape": (6,)}, line),
                 ({"normalized_shape": (3, 6), "eps": 0.1}, line)],
    "local_response_norm": [({"size": 2}, line),
                            ({"size": 3, "alpha": 0.5, "beta": 0.6, "k": 1.2}, image)],
    # Convolution
    "conv1d": [({}, *vectors(LINE, (4, 3, 3), (4,))),
               ({"stride": 2, "padding": 1, "dilation": 2}, *vectors(LINE, (4, 3, 3)))],
    "conv2d": [({}, *vectors(IMAGE, (4, 3, 3, 2), (4,))),
               ({"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 3},
                *vectors(IMAGE, (6, 1, 3, 2))),
               ({"padding": "same"}, *vectors(IMAGE, (2, 3, 2, 3)))],
    "conv3d": [({"padding": 1}, *vectors(CUBE, (3, 2, 2, 3, 2), (3,)))],
    "conv_transpose1d": [({}, *vectors(LINE, (3, 2, 3), (2,))),
                         ({"stride": 2, "padding": 1, "output_padding": 1},
                          *vectors(LINE, (3, 2, 3)))],
    "conv_transpose2d": [({"stride": (2, 1), "groups": 3, "dilation": (1, 2)},
                          *vectors(IMAGE, (3, 2, 3, 2), (6,)))],
    "conv_transpose3d": [({"stride": 2}, *vectors(CUBE, (2, 2, 2, 2, 2)))],
    "unfold": [({"kernel_size": 2}, image),
               ({"kernel_size": (2, 3), "dilation": (2, 1), "padding": 1, "stride": 2}, image)],
    "fold": [({"output_size": (4, 5), "kernel_size": (2, 3), "stride": (2, 1)},
              (normal, (2, 12, 6)))],
    # Pooling
    "max_pool1d": [({"kernel_size": 3, "stride": 2, "padding": 1}, line)],
    "max_pool2d": [({"kernel_size": 2}, image),
                   ({"kernel_size": (2, 3), "stride": 2, "dilation": (2, 1), "ceil_mode": True},
                    image)],
    "max_pool3d": [({"kernel_size": 2, "stride": 1}, cube)],
    "avg_pool1d": [({"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
                    line)],
    "avg_pool2d": [({"kernel_size": 2}, image),
                   ({"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}, image),
                   ({"kernel_size": 2, "divisor_override": 3}, image)],
    "avg_pool3d": [({"kernel_size": 2, "padding": 1}, cube)],
    "lp_pool1d": [({"norm_type": 3.0, "kernel_size": 2}, (probabilities, LINE))],
    "lp_pool2d": [({"norm_type": 2.0, "kernel_size": (2, 3), "stride": 1}, image)],
    "lp_pool3d": [({"norm_type": 2.0, "kernel_size": 2, "ceil_mode": True}, cube)],
    "adaptive_avg_pool1d": [({"output_size": 4}, line)],
    "adaptive_avg_pool2d": [({"output_size": (3, None)}, image), ({"output_size": 1}, image)],
    "adaptive_avg_pool3d": [({"output_size": 2}, cube)],
    "adaptive_max_pool1d": [({"output_size": 4}, line)],
    "adaptive_max_pool2d": [({"output_size": (3, None)}, image)],
    "adaptive_max_pool3d": [({"output_size": 2}, cube)],
    "max_unpool1d": [({"kernel_size": 2}, (normal, PLACES.shape), (given(PLACES), PLACES.shape))],
    "max_unpool2d": [({"kernel_size": 2}, (normal, OF_IMAGE.shape),
                      (given(OF_IMAGE), OF_IMAGE.shape))],
    "max_unpool3d": [({"kernel_size": 2}, (normal, OF_CUBE.shape),
                      (given(OF_CUBE), OF_CUBE.shape))],
    # Other sizes
    "interpolate": [
        ({"scale_factor": 2}, line), ({"size": (2, 3)}, image),
        ({"size": (7, 3), "mode": "nearest-exact"}, image),
        ({"size": 4, "mode": "linear"}, line),
        ({"scale_factor": 1.7, "mode": "bilinear"}, image),
        ({"size": (7, 3), "mode": "bilinear", "align_corners": True}, image),
        ({"size": (7, 6), "mode": "bicubic"}, image),
        ({"size": 2, "mode": "trilinear"}, cube),
        ({"size": (3, 2), "mode": "area"}, image),
    ],
    "upsample": [({"scale_factor": 2}, image), ({"size": 6, "mode": "bilinear"}, image)],
    "upsample_nearest": [({"size": 3}, image)],
    "upsample_bilinear": [({"size": 7}, image)],
    "pixel_shuffle": [({"upscale_factor": 2}, (normal, (2, 8, 2, 3)))],
    "pixel_unshuffle": [({"downscale_factor": 2}, (normal, (3, 2, 4, 6)))],
    "channel_shuffle": [({"groups": 2}, (normal, (1, 6, 2)))],
    "pad": [({"pad": (1, 2)}, x), ({"pad": (0, 1, 2, -1), "value": 0.5}, x),
            *[({"pad": (2, 1), "mode": mode}, line)
              for mode in ("reflect", "replicate", "circular")],
            *[({"pad": (2, 1, 0, -1), "mode": mode}, image)
              for mode in ("reflect", "replicate", "circular")]],
}  # fmt: skip

# Inputs that receive no gradient, by their place: running statistics.
CONSTANTS = {"batch_norm": (1, 2), "instance_norm": (1, 2)}
