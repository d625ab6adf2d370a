"""Tensors from data, filled, as ranges, and at random."""

import numpy as np
import pytest

import tinygrad_opt as tg

DATA = {
    "floats": ([1.0, 2.5], "float32"),
    "ints": ([1, 2], "int64"),
    "bools": ([True, False], "bool"),
    "ints and floats": ([1, 2.5], "float32"),
    "bools and ints": ([True, 2], "int64"),
    "nested": ([[1, 2], [3, 4]], "int64"),
    "tuples": (((1.0,), (2.0,)), "float32"),
    "number": (2.5, "float32"),
    "integer": (3, "int64"),
    "boolean": (True, "bool"),
    "empty": ([], "float32"),
    "empty rows": ([[], []], "float32"),
    "float64 array": (np.ones(2), "float64"),
    "int32 array": (np.ones(2, "int32"), "int32"),
    "NumPy number": (np.float64(2.5), "float64"),
    "list of NumPy numbers": ([np.float64(1), np.float64(2)], "float64"),
    "list of float32 numbers": ([np.float32(1), np.float32(2)], "float32"),
}
data = pytest.mark.parametrize(("data", "dtype"), DATA.values(), ids=DATA)


@data
def test_tensor_infers_the_type(data, dtype):
    x = tg.tensor(data)
    assert x.dtype == dtype
    np.testing.assert_array_equal(x.array, np.array(data))
    assert not x.requires_grad


@pytest.mark.peers
@data
def test_tensor_infers_as_pytorch(torch, data, dtype):
    x = torch.tensor(data)
    assert str(x.dtype) == f"torch.{dtype}"
    assert x.tolist() == tg.tensor(data).tolist()
    assert tuple(x.shape) == tg.tensor(data).shape


def test_tensor_copies():
    array = np.ones(2)
    x = tg.tensor(array)
    y = tg.tensor(x)
    array[0] = x.array[1] = 5
    assert (x.tolist(), y.tolist()) == ([1, 5], [1, 1])


def test_tensor_of_tensors():
    parts = [tg.tensor(1.5), tg.tensor([2.5]).sum(), 3]
    assert tg.tensor(parts).tolist() == [1.5, 2.5, 3]


def test_tensor_with_arguments():
    x = tg.tensor([1, 2], dtype=tg.float64, device="cpu", requires_grad=True)
    assert (x.dtype, x.device.type, x.requires_grad, x.is_leaf) == (tg.float64, "cpu", True, True)


def test_as_tensor_and_from_numpy_share_memory():
    array = np.zeros(2)
    for x in (tg.as_tensor(array), tg.from_numpy(array)):
        assert x.array is array
    t = tg.ones(2)
    assert tg.as_tensor(t) is t
    assert tg.as_tensor(t, dtype=tg.float64).dtype == tg.float64
    assert tg.as_tensor([1, 2]).dtype == tg.int64
    assert tg.as_tensor(array, dtype=tg.float32, device="cpu").dtype == tg.float32


@pytest.mark.parametrize(
    ("make", "value"),
    [(tg.zeros, 0), (tg.ones, 1), (tg.rand, None), (tg.randn, None), (tg.empty, None)],
)
def test_filled(make, value):
    for x in (make(2, 3), make((2, 3)), make([2, 3]), make(tg.Size((2, 3)))):
        assert (x.shape, x.dtype) == ((2, 3), tg.float32)
        assert value is None or (x.array == value).all()
    x = make(2, dtype=tg.float64, requires_grad=True)
    assert (x.dtype, x.requires_grad) == (tg.float64, True)
    assert make(()).shape == make(0).sum().shape == ()


@pytest.mark.parametrize("name", ["zeros", "ones", "empty", "rand", "randn"])
def test_like(name):
    model = tg.zeros(2, 3, dtype=tg.float64)
    like = getattr(tg, name + "_like")
    x = like(model)
    assert (x.shape, x.dtype, like.__name__) == ((2, 3), tg.float64, name + "_like")
    assert like(model, dtype=tg.float32, requires_grad=True).dtype == tg.float32


def test_full():
    assert tg.full((2,), 3).dtype == tg.int64
    assert tg.full((2,), 3.0).dtype == tg.float32
    assert tg.full((2,), True).dtype == tg.bool
    assert tg.full((), 1.5).item() == 1.5
    assert tg.full([1, 2], 1.5, dtype=tg.float64).tolist() == [[1.5, 1.5]]
    assert tg.full_like(tg.ones(2, dtype=tg.float64), 3).tolist() == [3, 3]
    assert tg.full_like(tg.ones(2), tg.tensor(3)).dtype == tg.float32


def test_eye():
    assert tg.eye(2).tolist() == [[1, 0], [0, 1]]
    assert tg.eye(1, 2, dtype=tg.int64).tolist() == [[1, 0]]


RANGES = [(5,), (2, 5), (5, 0, -2), (0, 1, 0.25), (2.5,), (1, 4, 1.5), (3, 3)]


@pytest.mark.parametrize("arguments", RANGES)
def test_arange(arguments):
    x = tg.arange(*arguments)
    whole = all(isinstance(a, int) for a in arguments)
    assert x.dtype == ("int64" if whole else "float32")
    assert x.tolist() == np.arange(*arguments).tolist()
    assert tg.arange(*arguments, dtype=tg.float64).dtype == "float64"


def test_linspace():
    assert tg.linspace(0, 1, 5).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert tg.linspace(0, 1, 1, dtype=tg.float64).tolist() == [0]


@pytest.mark.peers
@pytest.mark.parametrize("arguments", RANGES)
def test_ranges_as_pytorch(torch, arguments):
    ours, theirs = tg.arange(*arguments), torch.arange(*arguments)
    assert ours.tolist() == theirs.tolist()
    assert str(ours.dtype) == str(theirs.dtype)
    np.testing.assert_allclose(tg.linspace(-1, 2, 7).array, torch.linspace(-1, 2, 7), rtol=1e-6)


# Types --------------------------------------------------------------------------------------------


def test_dtypes_are_numpy_dtypes_by_pytorchs_names():
    assert tg.float is tg.float32
    assert (tg.double, tg.half, tg.long, tg.int) == (tg.float64, tg.float16, tg.int64, tg.int32)
    assert tg.float32 == np.dtype("float32")


def test_default_dtype():
    assert tg.get_default_dtype() == tg.float32
    tg.set_default_dtype(tg.float64)
    for x in (tg.tensor([1.5]), tg.zeros(1), tg.randn(1), tg.full((1,), 1.5), tg.arange(1.5)):
        assert x.dtype == tg.float64


# Random numbers -----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_numbers():
    def draw():
        return [
            tg.rand(3).tolist(), tg.randn(3).tolist(), tg.randint(0, 100, (3,)).tolist(),
            tg.randperm(5).tolist(), tg.bernoulli(tg.full((5,), 0.5)).tolist(),
            tg.zeros(2).normal_().tolist(), tg.zeros(2).uniform_().tolist(),
        ]  # fmt: skip

    tg.manual_seed(3)
    first = draw()
    assert draw() != first
    tg.manual_seed(3)
    assert draw() == first
    tg.manual_seed(4)
    assert draw() != first
    assert tg.initial_seed() == 4
    assert tg.manual_seed(-1) is tg.default_generator


def test_generators_are_independent():
    a, b = tg.Generator().manual_seed(1), tg.Generator().manual_seed(1)
    before = tg.get_rng_state()
    assert tg.rand(3, generator=a).tolist() == tg.rand(3, generator=b).tolist()
    assert tg.randn(3, generator=a).tolist() == tg.randn(3, generator=b).tolist()
    assert tg.randint(9, (3,), generator=a).tolist() == tg.randint(9, (3,), generator=b).tolist()
    assert tg.equal(tg.get_rng_state(), before)
    assert a.seed() == a.initial_seed() != 1


def test_state_can_be_kept_and_restored():
    tg.rand(3)
    state = tg.get_rng_state()
    first = tg.randn(5).tolist()
    tg.set_rng_state(state)
    assert tg.randn(5).tolist() == first
    tg.seed()
    assert tg.randn(5).tolist() != first


def test_numpys_global_state_is_not_touched():
    before = np.random.get_state()[1].tolist()
    tg.manual_seed(1)
    tg.randn(10)
    assert np.random.get_state()[1].tolist() == before


def test_distributions():
    n = 20_000
    u, z = tg.rand(n, dtype=tg.float64).array, tg.randn(n, dtype=tg.float64).array
    assert (u.min() >= 0) & (u.max() < 1)
    assert abs(u.mean() - 0.5) < 0.02
    assert abs(z.mean()) < 0.04
    assert abs(z.std() - 1) < 0.03
    k = tg.randint(2, 5, (n,)).array
    assert set(k.tolist()) == {2, 3, 4}
    assert tg.randint(3, (n,)).dtype == tg.int64
    assert sorted(tg.randperm(100).tolist()) == list(range(100))
    assert abs(tg.bernoulli(tg.full((n,), 0.3)).mean().item() - 0.3) < 0.02
    x = tg.zeros(n).normal_(2, 3).array
    assert abs(x.mean() - 2) < 0.1
    assert abs(x.std() - 3) < 0.1
    x = tg.zeros(n).uniform_(-2, 6).array
    assert (x.min() >= -2) & (x.max() < 6)
    assert abs(x.mean() - 2) < 0.1


def test_floats_are_rounded_once_to_the_type_asked_for():
    assert tg.tensor([-1.2, 0.3], dtype=tg.float64).tolist() == [-1.2, 0.3]
    assert tg.tensor(0.1, dtype=tg.float64).item() == 0.1
