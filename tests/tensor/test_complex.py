"""Complex tensors: types, printing, gradients by PyTorch's convention, Fourier transforms."""

import cmath
import math

import numpy as np
import pytest
from refusals import both_refuse

import tinygrad_opt as tg
from tinygrad_opt import fft, linalg

Z = [1 + 2j, 1.5 - 3j]


def z(**more):
    return tg.tensor(Z, **more)


# Types --------------------------------------------------------------------------------------------


def test_types():
    assert z().dtype == np.complex64
    assert tg.tensor([1j], dtype=tg.complex128).dtype == np.complex128
    assert tg.cfloat == tg.complex64
    assert tg.cdouble == tg.complex128
    assert tg.tensor(np.array([1j])).dtype == np.complex128
    assert tg.zeros(2, dtype=tg.complex64).tolist() == [0, 0]
    assert z().is_complex()
    assert tg.is_complex(z())
    assert not z().is_floating_point()
    assert not tg.is_complex(tg.ones(1))
    assert z().isreal().tolist() == [False, False]
    assert not tg.is_conj(z().conj())
    assert z()[0].item() == 1 + 2j
    assert complex(z()[1]) == 1.5 - 3j
    assert z().tolist() == Z
    assert tg.equal(z().resolve_conj(), z())


PROMOTED = [
    (lambda: z() * tg.ones(2), "complex64"), (lambda: z() * tg.ones(2).double(), "complex128"),
    (lambda: z() + tg.tensor([1, 2]), "complex64"), (lambda: tg.ones(2) * 1j, "complex64"),
    (lambda: tg.ones(2).double() + 1j, "complex128"), (lambda: z() * 2.5, "complex64"),
    (lambda: tg.ones(2).double() * tg.tensor(1j), "complex128"),
    (lambda: z() * tg.tensor(1.0).double(), "complex64"), (lambda: z().abs(), "float32"),
    (lambda: z().to(tg.complex128).abs(), "float64"), (lambda: tg.tensor([1, 2]) * 1j, "complex64"),
    (lambda: z().to(tg.complex128).real, "float64"), (lambda: z() ** 2, "complex64"),
    (lambda: tg.add(z(), 1j), "complex64"), (lambda: z().angle(), "float32"),
    (lambda: fft.fft(tg.ones(2).double()), "complex128"),
    (lambda: fft.rfft(tg.ones(2)), "complex64"),
    (lambda: fft.fft(tg.tensor([1, 2])), "complex64"), (lambda: fft.irfft(z()), "float32"),
    (lambda: linalg.eigvals(tg.eye(2)), "complex64"),
    (lambda: tg.where(tg.tensor([True, False]), z(), 0.0), "complex64"),
]  # fmt: skip


@pytest.mark.parametrize("i", range(len(PROMOTED)))
def test_result_types(i):
    call, expected = PROMOTED[i]
    assert call().dtype == expected


def test_result_type_of_types():
    assert tg.promote_types(tg.complex64, tg.float64) == np.complex128
    assert tg.promote_types(tg.complex64, tg.int64) == np.complex64
    assert tg.result_type(z(), tg.ones(1).double()) == np.complex128
    assert not tg.can_cast(tg.complex64, tg.float32)
    assert tg.can_cast(tg.float32, tg.complex64)


def test_printing():
    assert repr(z()) == "tensor([1.0000+2.j, 1.5000-3.j])"
    assert repr(tg.tensor(1j)) == "tensor(0.+1.j)"
    assert "dtype=torch.complex128" in repr(z(dtype=tg.complex128)).replace("=comp", "=torch.comp")


def test_random_numbers():
    tg.manual_seed(0)
    x = tg.randn(20_000, dtype=tg.complex64)
    assert (x.abs() ** 2).mean().item() == pytest.approx(1, rel=0.03)
    assert x.real.var().item() == pytest.approx(0.5, rel=0.05)
    u = tg.rand(1000, dtype=tg.complex128)
    assert 0 <= u.imag.min().item() < 0.01 < 0.99 < u.real.max().item() < 1


# Parts --------------------------------------------------------------------------------------------


def test_parts():
    assert z().real.tolist() == [1, 1.5]
    assert z().imag.tolist() == [2, -3]
    assert tg.ones(1).real.tolist() == [1]
    assert z().conj().tolist() == [1 - 2j, 1.5 + 3j]
    x = tg.ones(2)
    assert x.conj() is x or x.conj().tolist() == [1, 1]
    assert tg.complex(tg.tensor([1.0, math.inf]), tg.tensor(2.0)).tolist() == [
        1 + 2j,
        math.inf + 2j,
    ]
    np.testing.assert_allclose(tg.polar(tg.tensor(2.0), tg.tensor(0.5)), cmath.rect(2, 0.5))
    np.testing.assert_allclose(z().angle(), np.angle(Z), rtol=1e-6)
    assert tg.angle(tg.tensor([-1.0, 2.0, math.nan])).tolist()[:2] == pytest.approx([math.pi, 0])
    assert tg.angle(tg.tensor([-1, 2])).tolist() == pytest.approx([math.pi, 0])
    assert tg.sgn(tg.tensor([3 + 4j, 0j])).tolist() == pytest.approx([0.6 + 0.8j, 0])
    a = tg.tensor([[1 + 1j, 2j]])
    assert a.mH.tolist() == a.adjoint().tolist() == [[1 - 1j], [-2j]]
    assert a.H.tolist() == a.mH.tolist()


def test_views_share_memory():
    x = tg.zeros(2, dtype=tg.complex64)
    tg.view_as_real(x)[0, 1] = 5
    assert x.tolist() == [5j, 0]
    y = tg.zeros(2, 2)
    tg.view_as_complex(y)[1] = 1 + 2j
    assert y.tolist() == [[0, 0], [1, 2]]
    assert tg.view_as_complex(tg.tensor([[1.0, 3.0], [2.0, 4.0]]).T).tolist() == [1 + 2j, 3 + 4j]


def test_in_place():
    x = z()
    x += 1j
    x *= 2
    assert x.tolist() == [2 + 6j, 3 - 4j]
    x[0] = 1j
    x.mul_(tg.tensor([1j, 1]))
    assert x.tolist() == [-1, 3 - 4j]
    assert x.masked_fill(tg.tensor([True, False]), 0).tolist() == [0, 3 - 4j]
    leaf = z(requires_grad=True)
    y = leaf * 1
    y.mul_(2j)
    y.abs().sum().backward()
    expected = 2 * np.array(Z) / np.abs(Z)
    np.testing.assert_allclose(leaf.grad, expected, rtol=1e-6)


# Gradients ----------------------------------------------------------------------------------------


def test_convention():
    """dL/dx + i dL/dy: of |z|^2 it is 2z, of Re(c z) it is conj(c)."""
    x = z(requires_grad=True)
    (x * x.conj()).real.sum().backward()
    np.testing.assert_allclose(x.grad, 2 * np.array(Z))
    (g,) = tg.autograd.grad(((2 + 1j) * x).real.sum(), x)
    assert g.tolist() == [2 - 1j] * 2
    real = tg.ones(2, requires_grad=True)
    (g,) = tg.autograd.grad((real * z()).imag.sum(), real)
    assert g.dtype == np.float32
    assert g.tolist() == [2, -3]
    (g,) = tg.autograd.grad(x * 1, x, tg.tensor([1j, 2]))
    assert g.tolist() == [1j, 2]


def test_descent_in_the_complex_plane():
    x = tg.tensor([3 + 4j], requires_grad=True)
    for _ in range(60):
        (g,) = tg.autograd.grad(((x - (1 - 1j)).abs() ** 2).sum(), x)
        x = (x - 0.1 * g).detach().requires_grad_()
    np.testing.assert_allclose(x.detach(), 1 - 1j, atol=1e-4)


def test_parameters_hooks_and_nan():
    x = tg.nn.Parameter(z())
    seen = []
    x.register_hook(lambda g: seen.append(g) or g * 2)
    x.abs().sum().backward()
    np.testing.assert_allclose(x.grad, 2 * seen[0])
    y = z(requires_grad=True)
    with tg.autograd.set_detect_anomaly(True):
        (y * y).real.sum().backward()
    assert y.grad.is_complex()


def test_rotary_embedding():
    angles = tg.outer(tg.arange(4).float(), tg.tensor([1.0, 0.1]))
    turn = tg.polar(tg.ones_like(angles), angles)
    x = tg.randn(2, 4, 4, requires_grad=True)
    pairs = tg.view_as_complex(x.reshape(2, 4, 2, 2))
    turned = tg.view_as_real(pairs * turn).flatten(2)
    cos, sin = np.cos(angles), np.sin(angles)
    a, b = x.detach().numpy()[..., ::2], x.detach().numpy()[..., 1::2]
    expected = np.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(2, 4, 4)
    np.testing.assert_allclose(turned.detach(), expected, rtol=1e-5, atol=1e-6)
    (turned**2).sum().backward()
    np.testing.assert_allclose(x.grad, 2 * x.detach(), rtol=1e-4, atol=1e-5)  # lengths are kept


# Fourier transforms -------------------------------------------------------------------------------

X = np.random.default_rng(0).standard_normal((3, 4, 5))
W = X + 1j * X[::-1]
SEVERAL = ["fft2", "ifft2", "fftn", "ifftn", "rfft2", "rfftn", "irfft2", "irfftn"]


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize("name", SEVERAL)
def test_several_axes(name, norm):
    x = X if name.startswith("r") else W
    for more in [{}, {"s": (5, 3)}]:
        axes = {"axes": (-2, -1)} if more else {}
        dim = {"dim": (-2, -1)} if more else {}
        found = getattr(fft, name)(tg.tensor(x), norm=norm, **more, **dim)
        expected = getattr(np.fft, name)(x, norm=norm, **more, **axes)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_inverses():
    x, w = tg.tensor(X), tg.tensor(W)
    for there, back, value in [
        (fft.fft, fft.ifft, w), (fft.fft2, fft.ifft2, w), (fft.fftn, fft.ifftn, w),
        (fft.rfft2, lambda y: fft.irfft2(y, s=(4, 5)), x),
        (fft.rfftn, lambda y: fft.irfftn(y, s=(3, 4, 5)), x),
        (fft.rfft, lambda y: fft.irfft(y, 5), x), (fft.ihfft, lambda y: fft.hfft(y, 5), x),
        (fft.fftshift, fft.ifftshift, x),
    ]:  # fmt: skip
        np.testing.assert_allclose(back(there(value)), value, atol=1e-12)


def test_frequencies():
    np.testing.assert_allclose(fft.fftfreq(5, 0.5), np.fft.fftfreq(5, 0.5), rtol=1e-6)
    np.testing.assert_allclose(fft.rfftfreq(6), np.fft.rfftfreq(6), rtol=1e-6)
    assert fft.fftfreq(4, dtype=tg.float64, device="cpu").dtype == np.float64
    assert fft.rfftfreq(4, device="cpu").dtype == np.float32
    np.testing.assert_array_equal(fft.fftshift(tg.tensor(X), dim=1), np.fft.fftshift(X, 1))
    np.testing.assert_array_equal(fft.ifftshift(tg.tensor(X)), np.fft.ifftshift(X))


def test_convolution_by_transform():
    a, b = (tg.randn(8, dtype=tg.float64, requires_grad=True) for _ in range(2))
    y = fft.irfft(fft.rfft(a, 15) * fft.rfft(b, 15), 15)
    expected = np.convolve(a.detach(), b.detach())
    np.testing.assert_allclose(y.detach(), expected, atol=1e-12)
    (g,) = tg.autograd.grad(y.sum(), a)
    np.testing.assert_allclose(g, np.full(8, b.sum().item()), atol=1e-12)


# Eigenvalues --------------------------------------------------------------------------------------


def test_eigenvalues():
    a = np.random.default_rng(0).standard_normal((2, 4, 4))
    values, vectors = linalg.eig(tg.tensor(a))
    np.testing.assert_allclose(a @ vectors.numpy(), vectors.numpy() * values.numpy()[:, None])
    turn = tg.tensor([[0.0, -1.0], [1.0, 0.0]])
    assert sorted(linalg.eigvals(turn).imag.tolist()) == pytest.approx([-1, 1])
    with pytest.raises(linalg.LinAlgError, match="should not contain infs or NaNs"):
        linalg.eig(tg.full((2, 2), math.nan))
    assert "eigenvalues=" in repr(linalg.eig(turn))


# Refusals -----------------------------------------------------------------------------------------

test_refusals, test_pytorch_refuses = both_refuse(
    {
        "imag": (RuntimeError, "imag is not implemented for tensors with non-complex dtypes",
                 lambda m: m.ones(1).imag),
        "view_as_real": (RuntimeError, "view_as_real is only supported for complex tensors",
                         lambda m: m.view_as_real(m.ones(1))),
        "view_as_complex": (RuntimeError, "Tensor must have a last dimension of size 2",
                            lambda m: m.view_as_complex(m.ones(3))),
        "view_as_complex of ints": (RuntimeError, "view_as_complex is only supported for half, fl",
                                    lambda m: m.view_as_complex(m.ones(2).int())),
        "complex of ints": (RuntimeError, "Expected both inputs to be Half, Float or Double",
                            lambda m: m.complex(m.ones(2).int(), m.ones(2).int())),
        "complex of two": (RuntimeError, "Expected object of scalar type Float but got scalar type "
                           "Double", lambda m: m.complex(m.ones(2), m.ones(2).double())),
        "rfft": (RuntimeError, "rfft expects a real input tensor, but got ComplexFloat",
                 lambda m: m.fft.rfft(m.ones(2) * 1j)),
        "norm": (RuntimeError, 'Invalid normalization mode: "x"',
                 lambda m: m.fft.fft(m.ones(2), norm="x")),
        "n": (RuntimeError, r"Invalid number of data points \(0\) specified",
              lambda m: m.fft.fft(m.ones(2), 0)),
        "dims": (RuntimeError, "FFT dims must be unique",
                 lambda m: m.fft.fftn(m.ones(2, 2), dim=(0, 0))),
        "lengths": (RuntimeError, "dim and shape arguments must have the same length",
                    lambda m: m.fft.fftn(m.ones(2, 2), s=(2,), dim=(0, 1))),
        "backward": (RuntimeError, "grad can be implicitly created only for real scalar outputs",
                     lambda m: (m.ones(1, requires_grad=True) * 1j).backward()),
    }
)  # fmt: skip


def test_refusals_of_our_own():
    with pytest.raises(RuntimeError, match="but tensor has no dimensions"):
        fft.fft(tg.tensor(1.0))
    with pytest.raises(TypeError, match=r"parameters must be float32 or float64, got .*complex64"):
        tg.optim.Adam([z(requires_grad=True)])
    with pytest.raises(NotImplementedError, match="uniform_: not implemented for 'ComplexFloat'"):
        z().uniform_()


# Spread, and products of vectors: what is conjugated ----------------------------------------------

SPREAD = {
    "var": (lambda m, z: z.var(), lambda z: z.var(ddof=1)),
    "var: axis": (lambda m, z: z.var(0, correction=0), lambda z: z.var(0)),
    "std": (lambda m, z: z.std(1, keepdim=True), lambda z: z.std(1, ddof=1, keepdims=True)),
    "std: equal": (lambda m, z: (z * 0).std(), lambda z: 0.0),
    "var_mean": (lambda m, z: m.var_mean(z, 1)[0], lambda z: z.var(1, ddof=1)),
    "std_mean": (lambda m, z: m.std_mean(z)[1], lambda z: z.mean()),
    "cov": (lambda m, z: m.cov(z), np.cov),
    "corrcoef": (lambda m, z: m.corrcoef(z), np.corrcoef),
    "vdot": (lambda m, z: m.vdot(z[0], z[1]), lambda z: np.vdot(z[0], z[1])),
    "addcdiv": (lambda m, z: m.addcdiv(z, z, z + 3), lambda z: z + z / (z + 3)),
}
ROWS = np.array([[1 + 2j, 3 - 1j, 0.5j], [2, 1 - 1j, -1 + 0.5j]])


def spread(m, function):
    x = m.tensor(ROWS, requires_grad=True)
    y = function(m, x)
    (y.real.sum() + 2 * m.view_as_real(y + 0j).sum()).backward()
    return y.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize("name", SPREAD)
def test_spread(name):
    function, reference = SPREAD[name]
    y, _ = spread(tg, function)
    np.testing.assert_allclose(y, reference(ROWS), rtol=1e-12)
    assert np.isrealobj(y) == np.isrealobj(reference(ROWS))


@pytest.mark.peers
@pytest.mark.parametrize("name", SPREAD)
def test_spread_is_pytorchs(torch, name):
    function, _ = SPREAD[name]
    for ours, theirs in zip(spread(tg, function), spread(torch, function), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


# PyTorch ------------------------------------------------------------------------------------------


@pytest.mark.peers
@pytest.mark.parametrize("values", [Z, [1j], [1e-5 + 1j, 2], [1 + 1j, 2 + 2j]], ids=str)
def test_prints_as_pytorch(torch, values):
    assert repr(tg.tensor(values)) == repr(torch.tensor(values))


@pytest.mark.peers
def test_eig_equals_pytorch(torch):
    a = np.random.default_rng(0).standard_normal((2, 4, 4))
    weight = np.random.default_rng(1).standard_normal((2, 4, 4))
    found = []
    for m in (tg, torch):
        x = m.tensor(a, requires_grad=True)
        values, vectors = m.linalg.eig(x)
        loss = (values.real * 2 - values.imag).sum() + (vectors.abs() ** 2 * m.tensor(weight)).sum()
        (g,) = m.autograd.grad(loss, x)
        found.append([values.detach().numpy(), g.numpy()])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11)
