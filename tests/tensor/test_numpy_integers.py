"""An integer of NumPy's, or an array of one, stands wherever a Python int does."""

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.nn import functional as F
from tinygrad_opt.optim import lr_scheduler
from tinygrad_opt.utils.data import DataLoader, TensorDataset


def x():
    return tg.arange(24.0).reshape(2, 3, 4)


def image():
    return tg.arange(64.0).reshape(1, 1, 8, 8)


def rates(scheduler):
    found = []
    for _ in range(3):
        scheduler.optimizer.step()
        scheduler.step()
        found.append(scheduler.get_last_lr()[0])
    return tg.tensor(found)


def sgd():
    optimizer = optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    optimizer.param_groups[0]["initial_lr"] = 1.0
    return optimizer


def drawn(draw):
    tg.manual_seed(0)
    return draw().detach()


# What takes one number, or several; i makes an integer of a Python int.
CALLS = {
    "max": lambda i: x().max(i(1)).values,
    "median": lambda i: x().median(i(1)).values,
    "quantile": lambda i: x().quantile(0.5, i(1)),
    "all": lambda i: x().all(i(1)),
    "norm": lambda i: x().norm(dim=i(1)),
    "take_along_dim": lambda i: tg.take_along_dim(x(), tg.zeros(1, 1, 1).long(), i(1)),
    "matrix_norm": lambda i: tg.linalg.matrix_norm(x(), dim=(i(1), i(2))),
    "fft": lambda i: tg.fft.rfft(x(), i(3), i(1)).real,
    "fft2": lambda i: tg.fft.fftn(x(), s=i(2), dim=i(1)).real,
    "roll": lambda i: x().roll(i(1), i(1)),
    "squeeze": lambda i: tg.ones(1, 3).squeeze(i(0)),
    "movedim": lambda i: tg.movedim(x(), i(1), i(0)),
    "unflatten": lambda i: x().unflatten(i(2), (i(2), i(2))),
    "view": lambda i: x().view(i(6), i(4)),
    "sum_to_size": lambda i: tg.ones(2, 3).sum_to_size(i(1), 3),
    "split": lambda i: x().split(i(2), i(1))[0],
    "chunk": lambda i: x().chunk(i(2), i(1))[0],
    "tensor_split": lambda i: x().tensor_split(i(2), i(1))[0],
    "hsplit": lambda i: tg.hsplit(x(), i(3))[0],
    "unfold": lambda i: x().unfold(i(1), i(2), i(1)),
    "tensordot": lambda i: tg.tensordot(x()[0], x()[0].T, i(1)),
    "randperm": lambda i: tg.randperm(i(3)).sort().values,
    "conv2d": lambda i: F.conv2d(image(), tg.ones(1, 1, 3, 3), None, i(2), i(1), i(1), i(1)),
    "conv_transpose2d": lambda i: F.conv_transpose2d(image(), tg.ones(1, 1, 3, 3), None, i(2)),
    "max_pool2d": lambda i: F.max_pool2d(image(), i(2), i(1), i(1)),
    "avg_pool2d": lambda i: F.avg_pool2d(image(), i(2), i(1)),
    "lp_pool2d": lambda i: F.lp_pool2d(image(), i(2), i(2)),
    "unfold, images": lambda i: F.unfold(image(), i(2)),
    "fold": lambda i: F.fold(tg.ones(1, 4, 49), i(8), i(2)),
    "LayerNorm": lambda i: nn.LayerNorm(i(8))(image()),
    "ReflectionPad2d": lambda i: nn.ReflectionPad2d(i(1))(image()),
    "AvgPool2d": lambda i: nn.AvgPool2d(i(2))(image()),
    "MaxPool2d": lambda i: nn.MaxPool2d(i(2))(image()),
    "vmap": lambda i: tg.func.vmap(lambda a: a.sum(), in_dims=i(1))(x()),
    "jacrev": lambda i: tg.func.jacrev(lambda a, b: a * b, argnums=i(1))(tg.ones(2), tg.ones(2)),
    "last_epoch": lambda i: rates(lr_scheduler.ExponentialLR(sgd(), 0.5, last_epoch=i(2))),
    "random_": lambda i: drawn(lambda: tg.zeros(9).random_(i(2), i(7))),
    "diag_embed": lambda i: tg.diag_embed(tg.ones(3), i(2)),
    "diag": lambda i: tg.diag(tg.ones(3), i(1)),
    "vander": lambda i: tg.vander(tg.arange(3), i(3)),
    "tril_indices": lambda i: tg.tril_indices(i(3), i(3), -1),
    "arange": lambda i: tg.arange(0, i(250), i(20)),
    "unfold, wide": lambda i: tg.arange(40.0).unfold(0, i(9), i(200 // 10)),
    "unfold, many": lambda i: F.unfold(tg.ones(1, 1, 20, 20), i(20)),
    "pixel_unshuffle": lambda i: F.pixel_unshuffle(tg.ones(1, 20, 20), i(20)),
    "local_response_norm": lambda i: F.local_response_norm(x(), i(3)),
    "max_pool2d, wide": lambda i: F.max_pool2d(image(), i(3), i(2), i(1), i(2), True),
    "padding_idx": lambda i: tg.tensor(nn.Embedding(i(3), i(2), padding_idx=i(0)).padding_idx),
    "padding_idx of bags": lambda i: F.embedding_bag(
        tg.tensor([[0, 1]]), tg.ones(3, 2), padding_idx=i(1)
    ),
    "LSTM": lambda i: drawn(lambda: nn.LSTM(i(70), i(3), i(1), proj_size=i(2)).weight_ih_l0),
    "Unflatten": lambda i: nn.Unflatten(1, (i(3), i(2)))(tg.ones(2, 6)),
    "batch_size": lambda i: next(iter(DataLoader(TensorDataset(x()), i(2))))[0],
    "T_0": lambda i: rates(lr_scheduler.CosineAnnealingWarmRestarts(sgd(), i(2), i(2))),
    "total_steps": lambda i: rates(
        lr_scheduler.OneCycleLR(
            sgd(), 1.0, epochs=i(20), steps_per_epoch=i(20), cycle_momentum=False
        )
    ),
    "num_workers": lambda i: next(iter(DataLoader(TensorDataset(x()), num_workers=i(0))))[0],
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", [np.int64, np.uint8])
def test_an_integer_of_numpys_is_one(name, kind):
    call = CALLS[name]
    np.testing.assert_array_equal(call(kind).array, call(int).array)


@pytest.mark.parametrize("name", ["max", "squeeze", "view", "randperm", "last_epoch"])
def test_an_array_of_one_integer_is_one_too(name):
    call = CALLS[name]
    np.testing.assert_array_equal(call(np.array).array, call(int).array)


def test_numbers_of_threads():
    before, threshold = tg.get_num_threads(), tg.kernels.threads.threshold
    try:
        tg.set_num_threads(np.int64(1))
        tg.kernels.threads.set_parallel_threshold(np.int64(7))
        assert tg.get_num_threads() == 1
        assert type(tg.kernels.threads.threshold) is int
        assert tg.kernels.threads.threshold == 7
    finally:
        tg.kernels.threads.set_parallel_threshold(threshold)
        tg.set_num_threads(before)


SETTINGS = {
    "clamp": lambda z, a: z.clamp(max=a),
    "elu": F.elu,
    "leaky_relu": F.leaky_relu,
    "norm": lambda z, a: z.norm(a),
    "huber_loss": lambda z, a: F.huber_loss(z, z + 1, delta=a),
    "gaussian_nll_loss": lambda z, a: F.gaussian_nll_loss(z, z, z.detach().abs() + 1, eps=a),
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("kind", [np.float64, np.int64])
def test_a_setting_of_numpys_leaves_the_type(name, kind):
    z = tg.tensor([[-0.5, 3.0]], requires_grad=True)
    made, expected = SETTINGS[name](z, kind(3)), SETTINGS[name](z, 3.0)
    assert made.dtype is expected.dtype is tg.float32
    np.testing.assert_allclose(made.detach().array, expected.detach().array, rtol=1e-6)
    made.sum().backward()
    assert z.grad.dtype is tg.float32
