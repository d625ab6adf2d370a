"""Images read at any places: against loops over the places, against slopes, against PyTorch."""

import itertools
import math

import numpy as np
import pytest
from refusals import both_refuse

import tinygrad_opt as tg
from tinygrad_opt import ops
from tinygrad_opt.kernels.fused import sampling
from tinygrad_opt.nn import functional as F

SETTINGS = [
    row for row in itertools.product(
        ["bilinear", "nearest", "bicubic"], ["zeros", "border", "reflection"], [True, False], [2, 3]
    )
    if row[0] != "bicubic" or row[3] == 2
]  # fmt: skip
every_setting = pytest.mark.parametrize(
    ("mode", "padding", "corners", "axes"), SETTINGS, ids=lambda part: str(part)
)


def sampled(axes, mode):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 3, *(5, 4, 3)[:axes]))
    grid = rng.uniform(-2.4, 2.4, (2, *(3, 4, 2)[:axes], axes))
    grid.reshape(-1)[:4] = [-1, 1, 0, 1]  # the edges themselves
    return x, grid + 0.0137 * (mode == "nearest")


def folded(p, n, padding, corners):
    """A place on an axis of n cells, by the rule for what lies outside."""
    if padding == "reflection":
        low, high = (0, n - 1) if corners else (-0.5, n - 0.5)
        while low < high and not low <= p <= high:
            p = 2 * low - p if p < low else 2 * high - p
        p = 0 if low == high else p
    return p if padding == "zeros" else min(max(p, 0), n - 1)


def weights(p, mode):
    """{cell: weight} of one axis."""
    cell = math.floor(p)
    t = p - cell
    if mode == "nearest":
        return {round(p): 1.0}
    if mode == "bilinear":
        return {cell: 1 - t, cell + 1: t}

    def cubic(d):
        d, a = abs(d), -0.75
        if d <= 1:
            return (a + 2) * d**3 - (a + 3) * d**2 + 1
        return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a

    return {cell + k: cubic(t - k) for k in (-1, 0, 1, 2)}


def reference(x, grid, mode, padding, corners):
    image, y = x.shape[2:], np.zeros((*x.shape[:2], *grid.shape[1:-1]))
    for place in np.ndindex(*grid.shape[:-1]):
        taps = []
        for i, n in enumerate(image):
            g = grid[place][len(image) - 1 - i]
            p = (g + 1) / 2 * (n - 1) if corners else ((g + 1) * n - 1) / 2
            if mode == "bicubic":  # each cell is looked up by itself
                taps.append(
                    [(folded(c, n, padding, corners), w) for c, w in weights(p, mode).items()]
                )
            else:
                taps.append(list(weights(folded(p, n, padding, corners), mode).items()))
        for corner in itertools.product(*taps):
            cells = [int(c) for c, _ in corner]
            if all(0 <= c < n for c, n in zip(cells, image, strict=True)):
                weight = math.prod(w for _, w in corner)
                y[(place[0], slice(None), *place[1:])] += (
                    weight * x[(place[0], slice(None), *cells)]
                )
    return y


@every_setting
def test_grid_sample(mode, padding, corners, axes):
    x, grid = sampled(axes, mode)
    y = F.grid_sample(tg.tensor(x), tg.tensor(grid), mode, padding, corners)
    np.testing.assert_allclose(y, reference(x, grid, mode, padding, corners), atol=1e-12)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_slopes(mode, padding):
    rng = np.random.default_rng(0)
    x = tg.tensor(rng.standard_normal((1, 2, 4, 3)), requires_grad=True)
    grid = tg.tensor(rng.uniform(-1.7, 1.7, (1, 2, 3, 2)), requires_grad=True)

    def call(x, grid):
        return F.grid_sample(x, grid, mode, padding, False)

    assert tg.autograd.gradcheck(call, [x, grid])
    assert tg.autograd.gradgradcheck(call, [x, grid])


@pytest.mark.parametrize(("dtype", "digits"), [("float32", 2e-6), ("float64", 1e-13)])
@pytest.mark.parametrize("shape", [(3, 2, 5, 7), (1, 1, 1, 1), (2, 4, 1, 9)], ids=str)
def test_kernels_are_their_formula(monkeypatch, shape, dtype, digits):
    rng = np.random.default_rng(0)
    image = rng.standard_normal(shape).astype(dtype)
    places = [rng.uniform(-2, n + 1, (shape[0], 6, 4)).astype(dtype) for n in shape[:1:-1]]
    edges = [np.nan, np.inf, -np.inf, -1, 0, shape[3] - 1, shape[3], 1e30]
    places[0].reshape(-1)[: len(edges)] = edges
    places[1].reshape(-1)[2 : 2 + len(edges)] = edges
    g, found = rng.standard_normal((*shape[:2], 6, 4)).astype(dtype), []
    for fits in (sampling.fits, lambda *_: False):
        monkeypatch.setattr(sampling, "fits", fits)
        given = [tg.tensor(a, requires_grad=True) for a in (image, *places)]
        y = ops.sampled(*given)
        y.backward(tg.tensor(g))
        found.append([y.detach().numpy(), *(x.grad.numpy() for x in given)])
    for fused, formula in zip(*found, strict=True):
        assert fused.dtype == dtype
        np.testing.assert_allclose(fused, formula, rtol=digits, atol=4 * digits)


def test_kernels_refuse_sizes_that_differ():
    image, x, to = np.zeros((2, 3, 6)), np.zeros((2, 4)), np.zeros((2, 3, 4))
    for wrong in [
        (image, 2, 2, x, x, to),
        (image, 0, 6, x, x, to),
        (image, 2, 3, x[:1], x, to),
        (image, 2, 3, x, x[:, :3].copy(), to),
        (image, 2, 3, x, x, to[:, :2].copy()),
    ]:
        with pytest.raises(ValueError, match="sizes differ"):
            sampling._kernels["read_image", "d"](*wrong)
        with pytest.raises(ValueError, match="sizes differ"):
            sampling._kernels["read_image_back", "d"](wrong[-1], *wrong[:-1], image, x, x)
    with pytest.raises(ValueError, match="sizes differ"):
        sampling._kernels["read_image_back", "d"](to, image, 2, 3, x, x, image, x[:, :3].copy(), x)


def test_float16_and_places_that_are_no_numbers():
    x = tg.ones(1, 1, 3, 3).half()
    assert F.grid_sample(x, tg.zeros(1, 2, 2, 2).half(), align_corners=True).dtype == np.float16
    grid = tg.full((1, 1, 1, 2), math.nan)
    assert F.grid_sample(tg.ones(1, 1, 3, 3), grid, "nearest", "border", True).item() == 1


@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 1, 3, 4, 5)], ids=str)
@pytest.mark.parametrize("corners", [True, False])
def test_affine_grid(size, corners):
    axes = len(size) - 2
    theta = np.random.default_rng(0).standard_normal((2, axes, axes + 1))
    lines = [
        np.linspace(-1, 1, n) if corners else (2 * np.arange(n) + 1) / n - 1
        for n in reversed(size[2:])
    ]
    places = np.stack(np.meshgrid(*lines, indexing="ij"), -1).transpose(*range(axes)[::-1], axes)
    expected = np.einsum("...j,bij->b...i", places, theta[:, :, :axes])
    expected = expected + theta[:, :, axes].reshape(2, *[1] * axes, axes)
    t = tg.tensor(theta, requires_grad=True)
    found = F.affine_grid(t, size, align_corners=corners)
    np.testing.assert_allclose(found.detach(), expected, atol=1e-12)
    assert tg.autograd.gradcheck(lambda t: F.affine_grid(t, size, corners), [t])


def test_the_identity_gives_the_image():
    x = tg.arange(12.0).reshape(1, 1, 3, 4)
    theta = tg.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    for corners in (True, False):
        grid = F.affine_grid(theta, x.shape, align_corners=corners)
        np.testing.assert_allclose(F.grid_sample(x, grid, align_corners=corners), x, atol=1e-5)


def test_the_default_corners_are_told():
    with pytest.warns(UserWarning, match="align_corners=False since 1.3.0"):
        F.affine_grid(tg.zeros(1, 2, 3), (1, 1, 2, 2))
    with pytest.warns(UserWarning, match="documentation of grid_sample"):
        F.grid_sample(tg.zeros(1, 1, 2, 2), tg.zeros(1, 2, 2, 2))


def grid(m, *shapes, **more):
    return m.nn.functional.grid_sample(*map(m.zeros, shapes), align_corners=True, **more)


def affine(m, shape, size):
    return m.nn.functional.affine_grid(m.zeros(shape), size, align_corners=True)


def integers(m):
    return m.nn.functional.affine_grid(m.zeros(1, 2, 3).int(), (1, 1, 2, 2), True)


G, X = (1, 2, 2, 2), (1, 1, 2, 2)
test_refusals, test_pytorch_refuses = both_refuse(
    {
        "mode": (ValueError, "expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: 'x'",
                 lambda m: grid(m, X, G, mode="x")),
        "padding": (ValueError, "expected padding_mode to be 'zeros', 'border', or 'reflection'",
                    lambda m: grid(m, X, G, padding_mode="x")),
        "axes": (RuntimeError, "input and grid with same number of dimensions",
                 lambda m: grid(m, X, (1, 2, 2, 2, 2))),
        "batch": (RuntimeError, "expected grid and input to have same batch size",
                  lambda m: grid(m, (2, 1, 2, 2), G)),
        "last": (RuntimeError, "expected grid to have size 2 in last dimension",
                 lambda m: grid(m, X, (1, 2, 2, 3))),
        "empty": (RuntimeError, "expected input to have non-empty spatial dimensions",
                  lambda m: grid(m, (1, 1, 0, 2), G)),
        "cubic": (RuntimeError, "bicubic interpolation only supports 4D input",
                  lambda m: grid(m, (1, 1, 2, 2, 2), (1, 2, 2, 2, 3), mode="bicubic")),
        "integers": (ValueError, "Expected theta to have floating point type",
                     lambda m: integers(m)),
        "size": (NotImplementedError, "affine_grid only supports 4D and 5D sizes",
                 lambda m: affine(m, (1, 2, 3), (1, 1, 2))),
        "theta": (ValueError, "Expected a batch of 2D affine matrices of shape Nx2x3",
                  lambda m: affine(m, (1, 3, 3), (1, 1, 2, 2))),
        "nothing": (ValueError, "Expected non-zero, positive output size",
                    lambda m: affine(m, (1, 2, 3), (1, 1, 0, 2))),
    }
)  # fmt: skip


@pytest.mark.peers
@every_setting
def test_grid_sample_equals_pytorchs(torch, mode, padding, corners, axes):
    arrays = sampled(axes, mode)
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    ours = [tg.tensor(a, requires_grad=True) for a in arrays]
    y = torch.nn.functional.grid_sample(*theirs, mode, padding, corners)
    y2 = F.grid_sample(*ours, mode, padding, corners)
    np.testing.assert_allclose(y2.detach(), y.detach().numpy(), atol=1e-12)
    weight = np.random.default_rng(1).standard_normal(y.shape)
    expected = torch.autograd.grad(y, theirs, torch.tensor(weight))
    found = tg.autograd.grad(y2, ours, tg.tensor(weight), materialize_grads=True)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b.numpy(), atol=1e-11)
