"""Rows of complex numbers and Fourier transforms: from real tensors to real ones, complex between.

So the generic tests check their gradients as functions of the real and the imaginary part.
"""

import numpy as np
from op_rows.rows import Row, normal, of, off_zero, positive

SAMPLE = of((3, 4), (3, 4), values=off_zero)


def parts(z):
    """(..., 2) of complex z."""
    return np.stack([z.real, z.imag], -1)


def through(name, function, ref=None, sample=SAMPLE, **more):
    """A row of a function of z = x + iy: (module, z) -> tensor, complex or real."""

    def call(m, x, y):
        found = function(m, m.complex(x, y))
        return m.view_as_real(found.resolve_conj()) if m.is_complex(found) else found

    def expected(x, y):
        found = np.asarray((ref or (lambda z: function(np, z)))(x + 1j * y))
        return parts(found) if found.dtype.kind == "c" else found

    return Row(name, call, sample, expected, **more)


def of_two(name, function):
    """A row of a function of z and a w that is made of the same numbers."""
    return through(name, lambda m, z: function(z, z.real * 2 - 1j * z.imag + 0.5))


def with_dim(m, function, z, n, axis, norm):
    if m is np:
        return getattr(np.fft, function)(z, n, axis, norm)
    return getattr(m.fft, function)(z, n, axis, norm)


def transform(function, n, axis, norm=None):
    return through(f"fourier: {function}, {n}, {axis}, {norm}",
                   lambda m, z: with_dim(m, function, z, n, axis, norm))  # fmt: skip


def of_real(function, n, axis, norm=None):
    """A row of a transform of real numbers."""
    return Row(
        f"fourier: {function}, {n}, {axis}, {norm}",
        lambda m, x: m.view_as_real(with_dim(m, function, x, n, axis, norm).resolve_conj()),
        of((3, 4)), lambda x: parts(with_dim(np, function, x, n, axis, norm)),
    )  # fmt: skip


def np_sgn(z):
    return z / np.abs(z)


COMPLEX = [
    through("complex", lambda m, z: z * 1),
    through("complex: times its real part", lambda m, z: z.real * z),
    through("complex: product with a real", lambda m, z: (z * 2j + 1) * z.imag - z / 3),
    of_two("complex: mul", lambda z, w: z * w), of_two("complex: div", lambda z, w: z / w),
    of_two("complex: sub", lambda z, w: 1j - z - w),
    through("complex: matmul", lambda m, z: z[:, :3] @ z),
    through("complex: exp", lambda m, z: m.exp(z)), through("complex: log", lambda m, z: m.log(z)),
    through("complex: sqrt", lambda m, z: m.sqrt(z)),
    through("complex: tanh", lambda m, z: m.tanh(z)),
    through("complex: sin", lambda m, z: m.sin(z) * m.cos(z)),
    through("complex: pow", lambda m, z: z**3 + z**-0.5),
    through("complex: sum", lambda m, z: z.sum(0) + z.mean()),
    through("complex: index", lambda m, z: z[1:, [0, 2, 2]]),
    through("complex: inverse", lambda m, z: m.linalg.inv(z[:, :3])),
    Row("complex: of a product with a real matrix",
        lambda m, x, y: m.view_as_real(m.complex(x, y) @ m.complex(y.T, 0 * x.T)),
        SAMPLE, lambda x, y: parts((x + 1j * y) @ y.T)),
    Row("polar", lambda m, x, y: m.view_as_real(m.polar(x, y)), of((2, 3), (2, 3), values=positive),
        lambda x, y: parts(x * np.exp(1j * y))),
    through("real", lambda m, z: (z * z).real), through("real_part", lambda m, z: m.real(z)),
    through("imag", lambda m, z: (z * z).imag), through("imag_part", lambda m, z: m.imag(z)),
    through("conj", lambda m, z: m.conj(z) * z * z),
    through("conj_physical", lambda m, z: m.conj(z)),
    through("resolve_conj", lambda m, z: z * 1),
    through("abs: complex", lambda m, z: m.abs(z)), through("angle", lambda m, z: m.angle(z)),
    through("norm: complex", lambda m, z: m.linalg.norm(z)),
    through("sgn_complex", lambda m, z: m.sgn(z), np_sgn),
    through("sgn", lambda m, z: m.sgn(z.real), lambda z: np.sign(z.real)),
    through("adjoint", lambda m, z: m.adjoint(z) @ z, lambda z: z.conj().T @ z),
    Row("view_as_real", lambda m, x: m.view_as_real(m.view_as_complex(x.contiguous()) ** 2),
        of((3, 2)), lambda x: parts((x[:, 0] + 1j * x[:, 1]) ** 2)),
    Row("view_as_complex", lambda m, x: m.abs(m.view_as_complex(x.contiguous())), of((3, 2)),
        lambda x: np.abs(x[:, 0] + 1j * x[:, 1])),
    through("cast: to complex", lambda m, z: z.real.to(z.dtype) * z, lambda z: z.real * z),
    *(transform(*row) for row in [
        ("fft", None, -1), ("fft", 6, 0, "ortho"), ("fft", 2, 1, "forward"), ("ifft", None, 0),
        ("ifft", 5, 1, "ortho"), ("ifft", 3, 1, "forward"), ("irfft", None, -1),
        ("irfft", 5, 1, "ortho"), ("irfft", 7, 0, "forward"), ("irfft", 10, 1),
        ("hfft", None, -1, "ortho"),
    ]),
    *(of_real(*row) for row in [
        ("rfft", None, -1), ("rfft", 5, -1, "ortho"), ("rfft", 3, 0, "forward"), ("fft", None, 0),
        ("ihfft", None, -1),
    ]),
    Row("eig", lambda m, a: m.abs(m.linalg.eigvals(a)), of((4, 4), values=normal),
        lambda a: np.abs(np.linalg.eigvals(a)), rough=1e-10),
    Row("eig: vectors", lambda m, a: m.abs(m.linalg.eig(a).eigenvectors) ** 2,
        of((4, 4), values=normal), lambda a: np.abs(np.linalg.eig(a)[1]) ** 2, rough=1e-10),
]  # fmt: skip
