"""Distributions: held to their own densities by sums and integrals, and to PyTorch's numbers."""

import importlib
import math

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import distributions as D
from tinygrad_opt.distributions import constraints, kl_divergence, transforms, utils

REALS, ABOVE, UNIT, COUNTS = "reals", "above 0", "unit", "counts"

# name: (arguments, where its values lie)
ONE = {
    "Normal": ((0.4, 1.3), REALS),
    "LogNormal": ((0.1, 0.4), ABOVE),
    "Laplace": ((-0.3, 0.7), REALS),
    "Gumbel": ((0.3, 0.8), REALS),
    "HalfNormal": ((1.2,), ABOVE),
    "Exponential": ((1.5,), ABOVE),
    "Gamma": ((2.5, 1.7), ABOVE),
    "Chi2": ((3.2,), ABOVE),
    "Beta": ((1.6, 2.3), UNIT),
    "StudentT": ((7.0, 0.2, 0.6), REALS),
    "Bernoulli": ((0.3,), COUNTS),
    "Binomial": ((5, 0.3), COUNTS),
    "Geometric": ((0.4,), COUNTS),
    "NegativeBinomial": ((3.0, 0.35), COUNTS),
    "Poisson": ((2.3,), COUNTS),
}
HEAVY = {"Cauchy": ((0.4, 1.3), REALS), "HalfCauchy": ((1.2,), ABOVE)}
every_one = pytest.mark.parametrize("name", ONE)


def made(name, module=D, lib=tg):
    arguments = {**ONE, **HEAVY}[name][0]
    return getattr(module, name)(*(lib.tensor(a, dtype=lib.float64) for a in arguments))


def grid(name):
    """Points and weights for sums over the distribution's values."""
    where = {**ONE, **HEAVY}[name][1]
    if where == COUNTS:
        top = {"Bernoulli": 1, "Binomial": 5}.get(name, 120)
        return np.arange(top + 1.0), np.ones(top + 1)
    t = np.linspace(-1, 1, 20_001)[1:-1]
    if where == REALS:  # x = t / (1 - t^2), which reaches out
        return 30 * t**3 + t, (90 * t**2 + 1) * (t[1] - t[0])
    u = (t + 1) / 2
    if where == UNIT:
        return u * u * (3 - 2 * u), 6 * u * (1 - u) * (u[1] - u[0])
    return 60 * u**4, 240 * u**3 * (u[1] - u[0])


@every_one
def test_probabilities_sum_to_one_and_give_the_moments(name):
    d = made(name)
    x, weights = grid(name)
    inside = d.support.check(tg.tensor(x)).numpy()
    p = np.exp(d.log_prob(tg.tensor(x[inside])).numpy()) * weights[inside]
    x = x[inside]
    assert p.sum() == pytest.approx(1, rel=1e-5)
    assert (p * x).sum() == pytest.approx(d.mean.item(), rel=2e-4, abs=1e-5)
    spread = (p * (x - d.mean.item()) ** 2).sum()
    assert spread == pytest.approx(d.variance.item(), rel=2e-3)
    assert d.stddev.item() == pytest.approx(math.sqrt(d.variance.item()))
    if name not in ("NegativeBinomial", "Poisson"):
        log = np.log(np.maximum(p / weights[inside], 1e-300))
        assert -(p * log).sum() == pytest.approx(d.entropy().item(), rel=2e-4)
        assert d.perplexity().item() == pytest.approx(math.exp(d.entropy().item()))
    best = x[np.argmax(p / weights[inside])]
    assert d.mode.item() == pytest.approx(best, abs=0.02)


@pytest.mark.parametrize("name", [n for n in [*ONE, *HEAVY] if hasattr(D, n)])
def test_cdf_is_the_integral_of_the_density(name):
    d = made(name)
    try:
        d.cdf(tg.tensor(0.5, dtype=tg.float64))
    except NotImplementedError:
        return
    x = tg.tensor(np.linspace(0.1, 0.9, 9), requires_grad=True)
    y = d.cdf(x)
    y.sum().backward()
    np.testing.assert_allclose(x.grad, d.log_prob(x.detach()).exp(), rtol=1e-9)
    try:
        back = d.icdf(y.detach())
    except NotImplementedError:
        return
    np.testing.assert_allclose(back, x.detach(), rtol=1e-8)


@every_one
def test_samples_have_the_moments(name):
    tg.manual_seed(3)
    d = made(name)
    x = d.sample((40_000,)).numpy()
    error = d.stddev.item() / 200
    assert abs(x.mean() - d.mean.item()) < 4 * error
    assert x.var() == pytest.approx(d.variance.item(), rel=0.08)
    assert d.support.check(tg.tensor(x)).all()


@pytest.mark.parametrize("name", [n for n in ONE if getattr(D, n).has_rsample])
def test_rsample_has_the_gradient_of_the_mean(name):
    tg.manual_seed(5)
    arguments = [tg.tensor(float(a), dtype=tg.float64, requires_grad=True) for a in ONE[name][0]]
    d = getattr(D, name)(*arguments)
    x = d.rsample((60_000,))
    drawn = tg.autograd.grad((x * x).mean(), arguments)
    d = getattr(D, name)(*arguments)
    exact = tg.autograd.grad(d.variance + d.mean**2, arguments, allow_unused=True)
    for g, e in zip(drawn, exact, strict=True):
        expected = 0.0 if e is None else e.item()
        assert g.item() == pytest.approx(expected, rel=0.1, abs=0.06)
    assert not d.sample().requires_grad


def test_gamma_variates_keep_their_quantile():
    # cdf(x(a), a) = constant along the gradient: d cdf / da = 0
    for a in (0.05, 0.7, 4.0, 90.0, 3000.0):
        c = tg.tensor([a] * 50, dtype=tg.float64, requires_grad=True)
        d = D.Gamma(c, 1.0, validate_args=False)
        x = d.rsample()
        level = d.cdf(x)
        (drift,) = tg.autograd.grad(level.sum(), c)
        (alone,) = tg.autograd.grad(d.cdf(x.detach()).sum(), c)
        assert np.abs(drift).max() < 1e-9 * max(1, np.abs(alone).max())
    # Of gammas that are not numbers any more.
    tiny = D.Beta(tg.tensor([1e-3]), tg.tensor([1e-3])).sample((500,))
    assert ((tiny >= 0) & (tiny <= 1)).all()
    twice = tg.tensor(2.0, requires_grad=True)
    with pytest.raises(RuntimeError, match="gamma variates cannot be differentiated again"):
        tg.autograd.grad(D.Gamma(twice, 1.0).rsample(), twice, create_graph=True)
    large = tg.tensor(4e6, dtype=tg.float64, requires_grad=True)
    D.Gamma(large, 1.0).rsample().backward()
    assert large.grad.item() == pytest.approx(1, rel=1e-2)


# Vectors and matrices -----------------------------------------------------------------------------


def test_categorical():
    tg.manual_seed(0)
    d = D.Categorical(logits=tg.tensor([[0.0, 1.0, 2.0], [1.0, 1.0, 1.0]]))
    x = d.sample((30_000,))
    assert x.shape == (30_000, 2)
    assert x.dtype == np.int64
    shares = np.stack([(x.numpy() == k).mean(0) for k in range(3)], -1)
    np.testing.assert_allclose(shares, d.probs, atol=0.01)
    np.testing.assert_allclose(d.log_prob(d.enumerate_support()).T.exp(), d.probs, rtol=1e-6)
    assert d.enumerate_support(expand=False).shape == (3, 1)
    assert d.mode.tolist()[0] == 2
    assert np.isnan(d.mean).all()
    assert np.isnan(d.variance).all()
    np.testing.assert_allclose(d.perplexity()[1].item(), 3, rtol=1e-6)
    wide = d.expand((4, 2))
    assert wide.log_prob(tg.tensor([0, 1])).shape == (4, 2)
    assert wide.sample((0,)).shape == (0, 4, 2)
    logits = tg.zeros(3, requires_grad=True)
    D.Categorical(logits=logits).log_prob(tg.tensor(1)).backward()
    np.testing.assert_allclose(logits.grad, [-1 / 3, 2 / 3, -1 / 3], rtol=1e-6)


def test_one_hot_categorical():
    tg.manual_seed(0)
    d = D.OneHotCategorical(tg.tensor([[1.0, 3.0], [2.0, 2.0]]))
    x = d.sample((9,))
    assert x.shape == (9, 2, 2)
    assert (x.sum(-1) == 1).all()
    np.testing.assert_allclose(d.log_prob(tg.tensor([0.0, 1.0])).exp(), [0.75, 0.5], rtol=1e-6)
    assert d.enumerate_support().shape == (2, 2, 2)
    assert d.enumerate_support(expand=False).shape == (2, 1, 2)
    np.testing.assert_allclose(d.mean, d.probs)
    np.testing.assert_allclose(d.variance, d.probs * (1 - d.probs))
    assert d.mode[0].tolist() == [0, 1]
    assert d.expand((3, 2)).sample().shape == (3, 2, 2)
    logits = tg.zeros(3, requires_grad=True)
    drawn = D.OneHotCategoricalStraightThrough(logits=logits).rsample()
    assert sorted(drawn.tolist()) == [0, 0, 1]
    (drawn * tg.tensor([1.0, 2.0, 3.0])).sum().backward()
    np.testing.assert_allclose(logits.grad, [-1 / 3, 0, 1 / 3], atol=1e-6)


def test_multinomial():
    tg.manual_seed(0)
    d = D.Multinomial(6, tg.tensor([1.0, 2.0, 3.0], dtype=tg.float64))
    x = d.sample((4000,))
    assert (x.sum(-1) == 6).all()
    np.testing.assert_allclose(x.mean(0), d.mean, atol=0.1)
    np.testing.assert_allclose(x.numpy().var(0), d.variance, rtol=0.1)
    one = d.log_prob(tg.tensor([1.0, 2.0, 3.0])).exp().item()
    assert one == pytest.approx(60 * (1 / 6) * (1 / 3) ** 2 * 0.5**3)
    counts = [(a, b, 6 - a - b) for a in range(7) for b in range(7 - a)]
    log_prob = d.log_prob(tg.tensor(counts, dtype=tg.float64))
    assert log_prob.exp().sum().item() == pytest.approx(1)
    assert d.entropy().item() == pytest.approx(-(log_prob.exp() * log_prob).sum().item())
    assert d.expand((2,)).param_shape == (2, 3)
    np.testing.assert_allclose(d.logits.exp(), d.probs)


def test_dirichlet():
    tg.manual_seed(0)
    d = D.Dirichlet(tg.tensor([1.5, 2.5, 3.0], dtype=tg.float64))
    x = d.sample((20_000,))
    np.testing.assert_allclose(x.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(x.mean(0), d.mean, atol=0.01)
    np.testing.assert_allclose(x.numpy().var(0), d.variance, rtol=0.05)
    assert -d.log_prob(x).mean().item() == pytest.approx(d.entropy().item(), rel=0.02)
    np.testing.assert_allclose(d.mode, [0.125, 0.375, 0.5])
    assert D.Dirichlet(tg.tensor([0.5, 0.5])).mode.tolist() == [1, 0]


COV = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 0.7]])


@pytest.mark.parametrize("given", ["covariance_matrix", "precision_matrix", "scale_tril"])
def test_multivariate_normal(given):
    tg.manual_seed(0)
    matrix = {"covariance_matrix": COV, "precision_matrix": np.linalg.inv(COV),
              "scale_tril": np.linalg.cholesky(COV)}[given]  # fmt: skip
    d = D.MultivariateNormal(tg.tensor([1.0, 2.0, 3.0]).double(), **{given: tg.tensor(matrix)})
    np.testing.assert_allclose(d.covariance_matrix, COV, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(d.precision_matrix, np.linalg.inv(COV), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(d.scale_tril, np.linalg.cholesky(COV), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(d.variance, np.diag(COV))
    x = np.random.default_rng(0).standard_normal((4, 3))
    away = x - [1, 2, 3]
    expected = -0.5 * np.einsum("ni,ij,nj->n", away, np.linalg.inv(COV), away)
    expected -= 0.5 * math.log(np.linalg.det(2 * math.pi * COV))
    np.testing.assert_allclose(d.log_prob(tg.tensor(x)), expected, rtol=1e-11)
    assert d.entropy().item() == pytest.approx(
        0.5 * math.log(np.linalg.det(2 * math.pi * math.e * COV))
    )
    sample = d.sample((20_000,)).numpy()
    np.testing.assert_allclose(np.cov(sample.T), COV, atol=0.06)
    assert d.mode.tolist() == d.mean.tolist() == [1, 2, 3]
    wide = d.expand((5, 2))
    assert wide.rsample((4,)).shape == (4, 5, 2, 3)
    assert wide.covariance_matrix.shape == (5, 2, 3, 3)
    other = D.MultivariateNormal(tg.zeros(3).double(), tg.eye(3).double())
    by_hand = 0.5 * (np.trace(COV) + 14 - 3 - math.log(np.linalg.det(COV)))
    assert kl_divergence(d, other).item() == pytest.approx(by_hand)


def test_independent():
    base = D.Normal(tg.zeros(4, 3), tg.ones(4, 3))
    d = D.Independent(base, 1)
    assert (d.batch_shape, d.event_shape) == ((4,), (3,))
    x = d.rsample((2,))
    np.testing.assert_allclose(d.log_prob(x), base.log_prob(x).sum(-1))
    np.testing.assert_allclose(d.entropy(), base.entropy().sum(-1))
    assert d.mean.shape == d.mode.shape == d.variance.shape == (4, 3)
    assert d.has_rsample
    assert not d.has_enumerate_support
    assert d.support.event_dim == 1
    assert d.expand((5, 4)).sample().shape == (5, 4, 3)
    assert D.Independent(D.Bernoulli(tg.tensor(0.5)), 0).enumerate_support().shape == (2,)
    np.testing.assert_allclose(kl_divergence(d, d), 0)


def test_mixture():
    tg.manual_seed(0)
    parts = D.Normal(tg.tensor([-2.0, 1.0]).double(), tg.tensor([0.5, 1.0]).double())
    d = D.MixtureSameFamily(D.Categorical(tg.tensor([0.25, 0.75]).double()), parts)
    x = tg.tensor([0.3, -1.0]).double()
    expected = 0.25 * parts.log_prob(x[:, None]).exp()[:, 0]
    expected = expected + 0.75 * parts.log_prob(x[:, None]).exp()[:, 1]
    np.testing.assert_allclose(d.log_prob(x).exp(), expected)
    sample = d.sample((30_000,)).numpy()
    assert d.mean.item() == pytest.approx(0.25)
    assert sample.mean() == pytest.approx(0.25, abs=0.03)
    assert sample.var() == pytest.approx(d.variance.item(), rel=0.03)
    assert (sample < 0.3).mean() == pytest.approx(d.cdf(x)[0].item(), abs=0.01)
    assert d.mixture_distribution.probs.tolist() == [0.25, 0.75]
    assert d.component_distribution is parts
    assert d.expand((3,)).sample((2,)).shape == (2, 3)
    vectors = D.Independent(D.Normal(tg.zeros(2, 3, 4), 1.0), 1)
    d = D.MixtureSameFamily(D.Categorical(tg.ones(2, 3)), vectors)
    assert d.sample((5,)).shape == (5, 2, 4)
    assert d.log_prob(tg.zeros(5, 2, 4)).shape == (5, 2)
    assert d.variance.shape == (2, 4)
    assert "MixtureSameFamily" in repr(d)
    assert d.support.event_dim == 1


def test_relaxed():
    tg.manual_seed(0)
    logits = tg.tensor([0.0, 1.0, -1.0], requires_grad=True)
    d = D.RelaxedOneHotCategorical(0.3, logits=logits)
    x = d.rsample((4,))
    np.testing.assert_allclose(x.sum(-1).detach(), 1, rtol=1e-5)
    (x * tg.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert (logits.grad != 0).all()
    assert d.temperature == 0.3
    assert d.probs.shape == d.logits.shape == (3,)
    winners = d.sample((20_000,)).argmax(-1).numpy()
    np.testing.assert_allclose(np.bincount(winners) / 20_000, d.probs.detach(), atol=0.012)
    two = D.RelaxedBernoulli(tg.tensor(0.4), probs=tg.tensor([0.2, 0.7]))
    np.testing.assert_allclose((two.sample((20_000,)) > 0.5).float().mean(0), two.probs, atol=0.012)
    assert two.temperature.item() == pytest.approx(0.4)
    np.testing.assert_allclose(two.logits, np.log(two.probs / (1 - two.probs)), rtol=1e-5)
    u = np.linspace(0, 1, 4001)[1:-1]
    density = D.RelaxedBernoulli(0.8, logits=tg.tensor(0.4).double()).log_prob(tg.tensor(u)).exp()
    assert density.sum().item() / 4000 == pytest.approx(1, abs=3e-3)


# Transforms ---------------------------------------------------------------------------------------

TRANSFORMS = {
    "exp": (transforms.ExpTransform(), 0.3),
    "power": (transforms.PowerTransform(tg.tensor(2.0).double()), 0.7),
    "sigmoid": (transforms.SigmoidTransform(), 0.3),
    "softplus": (transforms.SoftplusTransform(), -0.3),
    "tanh": (transforms.TanhTransform(), 0.3),
    "affine": (transforms.AffineTransform(1.0, -2.0), 0.3),
    "affine of tensors": (transforms.AffineTransform(1.0, tg.tensor(3.0).double()), 0.3),
    "inverse": (transforms.ExpTransform().inv, 0.4),
    "compose": (
        transforms.ComposeTransform(
            [transforms.AffineTransform(0.5, 2.0), transforms.TanhTransform()]
        ),
        0.1,
    ),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_invert_and_know_their_slope(name):
    transform, at = TRANSFORMS[name]
    x = tg.tensor(at, dtype=tg.float64, requires_grad=True)
    y = transform(x)
    (slope,) = tg.autograd.grad(y, x)
    log = transform.log_abs_det_jacobian(x, y).item()
    assert log == pytest.approx(math.log(abs(slope.item())), rel=1e-9)
    assert transform.inv(y).item() == pytest.approx(at)
    assert transform.inv.inv(x).item() == pytest.approx(y.item())
    back = transform.inv.log_abs_det_jacobian(y, x).item()
    assert back == pytest.approx(-log)
    assert float(transform.sign) == float(transform.inv.sign) == math.copysign(1, slope.item())
    assert transform.bijective
    assert "Transform" in repr(transform)
    assert transform.codomain.check(y)
    assert transform.inv.domain.check(y)
    assert transform.with_cache()(x).item() == y.item()


def test_transforms_of_vectors():
    x = tg.tensor([0.3, -0.4, 1.0], dtype=tg.float64, requires_grad=True)
    stick = transforms.StickBreakingTransform()
    y = stick(x)
    assert y.sum().item() == pytest.approx(1)
    np.testing.assert_allclose(stick.inv(y).detach(), x.detach())
    jacobian = tg.func.jacrev(lambda x: stick(x)[:-1])(x.detach())
    expected = np.log(abs(np.linalg.det(jacobian.numpy())))
    assert stick.log_abs_det_jacobian(x, y).item() == pytest.approx(expected)
    assert stick.forward_shape((2, 3)) == (2, 4)
    assert stick.inverse_shape((2, 4)) == (2, 3)
    soft = transforms.SoftmaxTransform()
    assert soft(x).sum().item() == pytest.approx(1)
    np.testing.assert_allclose(soft(soft.inv(y)).detach(), y.detach())
    shaped = transforms.ReshapeTransform((3,), (3, 1))
    assert shaped(x).shape == (3, 1)
    assert shaped.inv(shaped(x)).shape == (3,)
    assert shaped.log_abs_det_jacobian(x, shaped(x)).item() == 0
    assert (shaped.domain.event_dim, shaped.codomain.event_dim) == (1, 2)
    matrix = tg.tensor(COV)
    lower = transforms.LowerCholeskyTransform()
    assert constraints.lower_cholesky.check(lower(matrix))
    np.testing.assert_allclose(lower(lower.inv(lower(matrix))), lower(matrix))
    absolute = transforms.AbsTransform()
    assert absolute(x)[1].item() == 0.4
    assert absolute.inv(x) is x
    whole = transforms.IndependentTransform(transforms.ExpTransform(), 1)
    assert whole.log_abs_det_jacobian(x, whole(x)).item() == pytest.approx(0.9)
    assert whole.inv(whole(x)).tolist() == pytest.approx(x.tolist())
    assert whole.sign == 1
    assert whole.domain.event_dim == whole.codomain.event_dim == 1
    assert transforms.identity_transform(x) is x
    assert (transforms.identity_transform.log_abs_det_jacobian(x, x) == 0).all()


def test_a_cache_gives_back_what_came_in():
    squash = transforms.TanhTransform(cache_size=1)
    x = tg.tensor(30.0)
    y = squash(x)
    assert y.item() == 1
    assert squash.inv(y) is x
    assert squash(x) is y
    d = D.TransformedDistribution(D.Normal(tg.zeros(3), 10.0), [squash])
    assert np.isfinite(d.log_prob(d.rsample((50,)))).all()


def test_transformed_distributions():
    base = D.Normal(tg.tensor(0.1).double(), tg.tensor(0.4).double())
    d = D.TransformedDistribution(base, [transforms.ExpTransform()])
    same = D.LogNormal(0.1, 0.4)
    x = tg.tensor([0.5, 2.0]).double()
    np.testing.assert_allclose(d.log_prob(x), same.log_prob(x), rtol=1e-6)
    falling = D.TransformedDistribution(base, transforms.AffineTransform(1.0, -2.0))
    assert falling.cdf(tg.tensor(0.8).double()).item() == pytest.approx(0.5)
    assert falling.icdf(falling.cdf(x)).tolist() == pytest.approx(x.tolist())
    assert falling.has_rsample
    assert falling.support.event_dim == 0
    wide = d.expand((3, 2))
    assert wide.rsample((4,)).shape == (4, 3, 2)
    simplex = D.TransformedDistribution(
        D.Normal(tg.zeros(2, 3), 1.0), transforms.StickBreakingTransform()
    )
    assert (simplex.batch_shape, simplex.event_shape) == ((2,), (4,))
    assert simplex.expand((5, 2)).sample().shape == (5, 2, 4)
    none = D.TransformedDistribution(base, [])
    assert none.support is constraints.real
    np.testing.assert_allclose(kl_divergence(d, d).item(), 0)
    np.testing.assert_allclose(same.entropy().item(), same.base_dist.entropy().item() + 0.1)


# Divergence ---------------------------------------------------------------------------------------

PAIRS = [
    ("Normal", (0.3, 1.2), "Normal", (0.1, 0.7)),
    ("Gamma", (2.0, 1.0), "Gamma", (1.5, 0.4)),
    ("Beta", (2.0, 1.5), "Beta", (1.5, 1.4)),
    ("Laplace", (0.2, 1.0), "Laplace", (0.5, 0.7)),
    ("Gumbel", (0.2, 1.0), "Gumbel", (0.5, 1.4)),
    ("Exponential", (2.0,), "Exponential", (0.7,)),
    ("HalfNormal", (0.6,), "HalfNormal", (0.9,)),
    ("LogNormal", (0.2, 0.4), "LogNormal", (0.3, 0.6)),
    ("Normal", (0.2, 1.0), "Laplace", (-0.7, 2.0)),
    ("Laplace", (0.2, 0.6), "Normal", (-0.7, 2.0)),
    ("Exponential", (1.2,), "Gamma", (0.7, 2.0)),
    ("Gamma", (2.2, 1.0), "Exponential", (0.7,)),
    ("Poisson", (2.2,), "Poisson", (1.7,)),
    ("Bernoulli", (0.2,), "Bernoulli", (0.7,)),
    ("Geometric", (0.3,), "Geometric", (0.4,)),
    ("Binomial", (5, 0.3), "Binomial", (5, 0.6)),
]


@pytest.mark.parametrize("row", PAIRS, ids=lambda row: f"{row[0]}-{row[2]}")
def test_divergence_is_the_mean_of_the_logarithm(row):
    p, q = (getattr(D, name)(*(tg.tensor(a, dtype=tg.float64) for a in arguments))
            for name, arguments in (row[:2], row[2:]))  # fmt: skip
    x, weights = grid(row[0])
    inside = p.support.check(tg.tensor(x)).numpy() & (x != 0 if weights[0] != 1 else x == x)
    x, weights = tg.tensor(x[inside]), weights[inside]
    log = p.log_prob(x).numpy()
    expected = (np.exp(log) * weights * (log - q.log_prob(x).numpy())).sum()
    assert kl_divergence(p, q).item() == pytest.approx(expected, rel=3e-4)


def test_divergence_of_categories_and_intervals():
    p, q = (D.Categorical(tg.tensor(w)) for w in ([0.2, 0.8], [0.5, 0.5]))
    expected = 0.2 * math.log(0.4) + 0.8 * math.log(1.6)
    assert kl_divergence(p, q).item() == pytest.approx(expected, rel=1e-6)
    hot = [D.OneHotCategorical(d.probs) for d in (p, q)]
    assert kl_divergence(*hot).item() == pytest.approx(expected, rel=1e-6)
    a, b = D.Uniform(0.2, 1.0), D.Uniform(-1.0, 2.0)
    assert kl_divergence(a, b).item() == pytest.approx(math.log(3 / 0.8), rel=1e-6)
    assert kl_divergence(b, a).item() == math.inf
    normal = D.Normal(0.5, 2.0)
    u = tg.tensor(np.linspace(0.2, 1, 2001)[:-1] + 0.0002)
    mean = (a.log_prob(u) - normal.log_prob(u)).mean().item()
    assert kl_divergence(a, normal).item() == pytest.approx(mean, rel=1e-5)
    sure = D.Bernoulli(tg.tensor([0.0, 1.0]))
    assert np.isfinite(kl_divergence(sure, D.Bernoulli(tg.tensor(0.4)))).all()
    assert kl_divergence(D.Bernoulli(tg.tensor(0.4)), sure).tolist() == [math.inf] * 2
    tg.manual_seed(0)
    p, q = D.Dirichlet(tg.tensor([1.5, 2.0])), D.Dirichlet(tg.tensor([2.5, 1.0]))
    x = p.sample((40_000,))
    mean = (p.log_prob(x) - q.log_prob(x)).mean().item()
    assert kl_divergence(p, q).item() == pytest.approx(mean, abs=0.02)


def test_divergences_can_be_added():
    class Mine(D.Normal):
        pass

    assert kl_divergence(Mine(0.0, 1.0), D.Normal(0.0, 1.0)).item() == 0

    @D.register_kl(Mine, D.Normal)
    def one(p, q):
        return tg.tensor(1.0)

    assert kl_divergence(Mine(0.0, 1.0), D.Normal(0.0, 1.0)).item() == 1
    assert kl_divergence(D.Normal(0.0, 1.0), Mine(0.0, 1.0)).item() == 0


# Shapes, checks, constraints ----------------------------------------------------------------------


@every_one
def test_expand_and_shapes(name):
    d = made(name)
    wide = d.expand((2, 3))
    assert wide.batch_shape == (2, 3)
    assert wide.sample((4,)).shape == (4, 2, 3)
    assert wide.log_prob(wide.sample()).shape == (2, 3)
    assert isinstance(wide, getattr(D, name))
    assert name in repr(d)


@pytest.mark.parametrize("name", ["Normal", "Beta", "Gamma", "Uniform"])
def test_one_distribution_of_parameters_serves_many_steps(name):
    low, high = (tg.tensor([x], requires_grad=True) for x in (1.0, 2.0))
    d = getattr(D, name)(low, high)
    for _ in range(2):
        d.rsample().backward()
        d.entropy().backward()


def test_numbers_and_tensors_broadcast():
    d = D.Normal(tg.zeros(3, 1, dtype=tg.float64), 1)
    assert d.loc.shape == d.scale.shape == (3, 1)
    assert d.scale.dtype == np.float64
    assert D.Normal(0, 1).rsample().shape == ()
    assert D.Uniform(tg.zeros(2), tg.ones(3, 1)).batch_shape == (3, 2)
    assert D.Bernoulli(logits=tg.zeros(2)).probs.tolist() == [0.5, 0.5]
    assert D.Bernoulli(0.5).mode.isnan().item()
    assert D.Bernoulli(tg.tensor([0.2, 0.9])).enumerate_support().shape == (2, 2)
    assert D.Binomial(2, tg.tensor([0.5, 0.5])).enumerate_support().shape == (3, 2)
    assert D.Chi2(tg.tensor(3.0)).df.item() == 3
    assert D.Uniform(0.0, 2.0).mean.item() == 1
    assert D.Uniform(0.0, 2.0).mode.isnan().item()
    assert D.Uniform(0.0, 2.0).entropy().item() == pytest.approx(math.log(2))
    assert D.Uniform(0.0, 2.0).variance.item() == pytest.approx(1 / 3)
    assert D.Uniform(0.0, 2.0).stddev.item() == pytest.approx(1 / 3**0.5)
    assert D.Uniform(0.0, 2.0, validate_args=False).log_prob(tg.tensor(3.0)).item() == -math.inf
    inside = D.Uniform(0.0, 2.0).sample((1000,))
    assert 0 <= inside.min() < 0.1
    assert 1.9 < inside.max() < 2
    with pytest.warns(UserWarning, match="sample_n"):
        assert D.Normal(0.0, 1.0).sample_n(3).shape == (3,)


WRONG = {
    "scale": (lambda m, d: d.Normal(0.0, -1.0), "Expected parameter scale"),
    "nan": (lambda m, d: d.Normal(math.nan, 1.0), "Expected parameter loc"),
    "uniform": (lambda m, d: d.Uniform(1.0, 0.0), "Uniform is not defined when low>= high"),
    "simplex": (lambda m, d: d.Categorical(m.tensor([-1.0, 2.0])), "constraint Simplex"),
    "both": (lambda m, d: d.Bernoulli(0.5, 0.5), "Either `probs` or `logits` must be specified"),
    "neither": (lambda m, d: d.Categorical(), "Either `probs` or `logits` must be specified"),
    "0-d": (lambda m, d: d.Categorical(m.tensor(1.0)), "`probs` parameter must be at least one-d"),
    "dirichlet": (lambda m, d: d.Dirichlet(m.tensor(1.0)), "`concentration` parameter must be at"),
    "geometric": (lambda m, d: d.Geometric(0.0), "Expected parameter probs"),
    "broadcast": (lambda m, d: d.Normal("0", 1.0), "Input arguments must all be instances of Numb"),
    "value": (lambda m, d: d.Exponential(1.0).log_prob(m.tensor(-1.0)), "within the support"),
    "no tensor": (lambda m, d: d.Normal(0.0, 1.0).log_prob(1.0), "value argument to log_prob must"),
    "shape": (lambda m, d: d.Normal(m.zeros(3), 1.0).log_prob(m.zeros(2)), "not broadcastable"),
    "event": (lambda m, d: d.Dirichlet(m.ones(3)).log_prob(m.ones(2) / 2), "right-most size of"),
    "category": (lambda m, d: d.Categorical(m.ones(2)).log_prob(m.tensor(2)), "within the support"),
    "covariance": (
        lambda m, d: d.MultivariateNormal(m.zeros(2), m.zeros(2, 2)),
        "PositiveDefinite",
    ),
    "loc": (lambda m, d: d.MultivariateNormal(m.tensor(0.0), m.eye(2)), "loc must be at least one"),
    "two": (
        lambda m, d: d.MultivariateNormal(m.zeros(2), m.eye(2), m.eye(2)),
        "Exactly one of cov",
    ),
    "vector": (
        lambda m, d: d.MultivariateNormal(m.zeros(2), m.ones(2)),
        "must be at least two-dim",
    ),
    "axes": (lambda m, d: d.Independent(d.Normal(0.0, 1.0), 1), "reinterpreted_batch_ndims <= len"),
    "not a transform": (
        lambda m, d: d.TransformedDistribution(d.Normal(0.0, 1.0), [1]),
        "transforms must be a Transform or a list of Transforms",
    ),
    "not a list": (
        lambda m, d: d.TransformedDistribution(d.Normal(0.0, 1.0), 1),
        "Transform or list",
    ),
    "too few axes": (
        lambda m, d: d.TransformedDistribution(d.Normal(0.0, 1.0), [d.StickBreakingTransform()]),
        "needs to have shape with size at least",
    ),
    "cache": (lambda m, d: d.ExpTransform(cache_size=2), "cache_size must be 0 or 1"),
    "sizes": (
        lambda m, d: d.ReshapeTransform((2,), (3,)),
        "in_shape, out_shape have different num",
    ),
    "shapes": (lambda m, d: d.ReshapeTransform((2,), (2, 1)).forward_shape((3,)), "Shape mismatch"),
    "mixture": (lambda m, d: d.MixtureSameFamily(1, 1), "Mixture distribution needs to be"),
    "component": (
        lambda m, d: d.MixtureSameFamily(d.Categorical(m.ones(2)), 1),
        "The Component dist",
    ),
    "count": (
        lambda m, d: d.MixtureSameFamily(d.Categorical(m.ones(2)), d.Normal(m.zeros(3), 1.0)),
        "does not equal `component_distribution.batch_shape",
    ),
    "batch": (
        lambda m, d: d.MixtureSameFamily(d.Categorical(m.ones(4, 2)), d.Normal(m.zeros(3, 2), 1.0)),
        "is not compatible with",
    ),
    "dependent": (lambda m, d: d.constraints.dependent.check(m.ones(1)), "dependent constraint"),
    "event axes": (
        lambda m, d: d.constraints.real_vector.check(m.tensor(1.0)),
        "Expected value.dim",
    ),
    "kl shapes": (
        lambda m, d: d.kl_divergence(
            d.MultivariateNormal(m.zeros(2), m.eye(2)), d.MultivariateNormal(m.zeros(3), m.eye(3))
        ),
        "different event shapes cannot",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name):
    call, text = WRONG[name]
    with pytest.raises(ValueError, match=text):
        call(tg, D)


@pytest.mark.peers
@pytest.mark.parametrize("name", [name for name in WRONG if name not in ("uniform", "not a list")])
def test_wrong_arguments_of_pytorch(torch, name):
    call, text = WRONG[name]
    with pytest.raises(ValueError, match=text):
        call(torch, torch.distributions)


MISSING = {
    "rsample": lambda: D.Poisson(1.0).rsample(),
    "mean": lambda: D.Distribution().mean,
    "mode": lambda: D.Multinomial(2, tg.ones(2)).mode,
    "variance": lambda: D.Distribution().variance,
    "log_prob": lambda: D.ExponentialFamily().log_prob(tg.ones(1)),
    "cdf": lambda: D.Poisson(1.0).cdf(tg.ones(1)),
    "icdf": lambda: D.Gamma(1.0, 1.0).icdf(tg.ones(1)),
    "entropy": lambda: D.NegativeBinomial(1.0, 0.5).entropy(),
    "finite support": lambda: D.Normal(0.0, 1.0).enumerate_support(),
    "KL": lambda: kl_divergence(D.Normal(0.0, 1.0), D.Poisson(1.0)),
    "total_count < p": lambda: kl_divergence(D.Binomial(3, 0.5), D.Binomial(2, 0.5)),
    "same reinterpreted": lambda: kl_divergence(
        D.Independent(D.Normal(tg.zeros(2, 2), 1.0), 1),
        D.Independent(D.Normal(tg.zeros(2, 2), 1.0), 2),
    ),
    "same transforms": lambda: kl_divergence(
        D.TransformedDistribution(D.Normal(0.0, 1.0), [transforms.ExpTransform()]),
        D.TransformedDistribution(D.Normal(0.0, 1.0), [transforms.TanhTransform()]),
    ),
    "supported by `entropy`": lambda: D.Binomial(tg.tensor([1.0, 2.0]), 0.5).entropy(),
    "supported by `enumerate": lambda: D.Binomial(tg.tensor([1.0, 2.0]), 0.5).enumerate_support(),
    "inhomogeneous": lambda: D.Multinomial(tg.tensor([1, 2]), tg.ones(2)),
    "cartesian product": lambda: D.Independent(D.Bernoulli(tg.ones(2) / 2), 1).enumerate_support(),
    "custom .expand": lambda: Own().expand((2,)),
    "does not say how": lambda: constraints.Constraint().check(tg.ones(1)),
    "no sign": lambda: transforms.SoftmaxTransform().sign,
    "define _call": lambda: transforms.Transform()(tg.ones(1)),
    "no inverse": lambda: transforms.Transform().inv(tg.ones(1)),
    "define log_abs": lambda: transforms.Transform().log_abs_det_jacobian(tg.ones(1), tg.ones(1)),
}


class Own(D.Normal):
    def __init__(self):
        super().__init__(0.0, 1.0)


@pytest.mark.parametrize("text", MISSING)
def test_what_is_not_offered_says_so(text):
    with pytest.raises(NotImplementedError, match=text.replace(".", r"\.")):
        MISSING[text]()


def test_checks_can_be_turned_off():
    assert D.Normal(0.0, -1.0, validate_args=False).scale.item() == -1
    D.Distribution.set_default_validate_args(False)
    try:
        D.Normal(0.0, -1.0)
    finally:
        D.Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError, match="validate_args must be True or False, got 2"):
        D.Distribution.set_default_validate_args(2)
    with pytest.raises(TypeError, match="Expected type_q to be a Distribution subclass"):
        D.register_kl(D.Normal, int)


T = tg.tensor
CHECKS = [
    (constraints.boolean, [0.0, 1.0, 0.5], [True, True, False]),
    (constraints.positive, [1.0, 0.0, math.nan], [True, False, False]),
    (constraints.nonnegative, [1.0, 0.0, -1.0], [True, True, False]),
    (constraints.nonnegative_integer, [0.0, 0.5, -1.0], [True, False, False]),
    (constraints.positive_integer, [0.0, 1.0], [False, True]),
    (constraints.less_than(1.0), [0.0, 1.0], [True, False]),
    (constraints.greater_than_eq(1.0), [0.0, 1.0], [False, True]),
    (constraints.half_open_interval(0.0, 1.0), [0.0, 1.0], [True, False]),
    (constraints.unit_interval, [0.0, 1.0, 1.1], [True, True, False]),
    (constraints.real, [0.0, math.nan], [True, False]),
    (constraints.simplex, [[0.5, 0.5], [0.5, 0.6]], [True, False]),
    (constraints.one_hot, [[0.0, 1.0], [1.0, 1.0]], [True, False]),
    (constraints.multinomial(2), [[1.0, 1.0], [1.0, 2.0]], [True, False]),
    (
        constraints.lower_triangular,
        [[[1.0, 0.0], [1.0, 1.0]], [[1.0, 1.0], [0.0, 1.0]]],
        [True, False],
    ),
    (constraints.lower_cholesky, [[[1.0, 0.0], [1.0, -1.0]]], [False]),
    (
        constraints.corr_cholesky,
        [[[1.0, 0.0], [0.6, 0.8]], [[1.0, 0.0], [1.0, 1.0]]],
        [True, False],
    ),
    (constraints.symmetric, [[[1.0, 2.0], [2.0, 1.0]], [[1.0, 2.0], [0.0, 1.0]]], [True, False]),
    (
        constraints.positive_definite,
        [[[1.0, 2.0], [2.0, 1.0]], [[2.0, 1.0], [1.0, 2.0]]],
        [False, True],
    ),
    (constraints.square, [[[1.0, 2.0, 3.0]]], [False]),
    (
        constraints.stack([constraints.positive, constraints.real], -1),
        [[1.0, -1.0], [-1.0, 1.0]],
        [[True, True], [False, True]],
    ),
    (
        constraints.cat([constraints.positive, constraints.real], -1, [1, 1]),
        [[-1.0, -1.0]],
        [[False, True]],
    ),
]


@pytest.mark.parametrize("row", CHECKS, ids=lambda row: repr(row[0]))
def test_constraints(row):
    constraint, values, expected = row
    assert constraint.check(T(values)).tolist() == expected


def test_constraints_tell_of_themselves():
    assert constraints.is_dependent(constraints.dependent)
    assert constraints.is_dependent(D.Uniform.support)
    assert not constraints.is_dependent(constraints.real)
    assert D.Binomial(3, 0.5).support.is_discrete
    assert repr(constraints.independent(constraints.real, 1)) == "IndependentConstraint(Real(), 1)"
    assert constraints.interval(0, 1).upper_bound == 1
    assert constraints.greater_than(2.0).check(T([2.0, 3.0])).tolist() == [False, True]
    assert constraints.integer_interval(1, 2).check(T([0.0, 2.0])).tolist() == [False, True]


def test_supports_of_ones_own():
    class Below(D.Normal):
        @constraints.dependent_property(event_dim=0)
        def support(self):
            return constraints.less_than(self.loc)

    assert Below(1.0, 1.0).support.check(T([0.0, 2.0])).tolist() == [True, False]
    assert constraints.is_dependent(Below.support)
    assert constraints.is_dependent(constraints.dependent_property(lambda self: None))


def test_logits_of_probabilities():
    assert utils.probs_to_logits(T([0.5]), is_binary=True).item() == 0


@pytest.mark.parametrize(
    "place",
    ["bernoulli.Bernoulli", "beta.Beta", "binomial.Binomial", "categorical.Categorical",
     "geometric.Geometric", "half_normal.HalfNormal", "half_cauchy.HalfCauchy", "kl.kl_divergence",
     "multinomial.Multinomial", "negative_binomial.NegativeBinomial", "normal.Normal",
     "poisson.Poisson", "relaxed_bernoulli.RelaxedBernoulli", "transforms.TanhTransform",
     "relaxed_categorical.RelaxedOneHotCategorical", "distribution.Distribution"],
)  # fmt: skip
def test_pytorchs_places(place):
    module, _, name = place.partition(".")
    found = getattr(importlib.import_module(f"tinygrad_opt.distributions.{module}"), name)
    assert found is getattr(D, name)


# PyTorch ------------------------------------------------------------------------------------------

ANSWERS = ("log_prob", "cdf", "icdf", "entropy", "mean", "mode", "variance", "stddev")


def answer(lib, d, what, value):
    """A value of `what` with the level or value that it needs; None where there is none."""
    try:
        found = getattr(d, what)
        if what == "icdf":
            return found(lib.tensor([0.2, 0.7], dtype=lib.float64))
        return (
            found(value) if what in ("log_prob", "cdf") else found() if callable(found) else found
        )
    except NotImplementedError:
        return None


@pytest.mark.peers
@pytest.mark.parametrize("name", [*ONE, *HEAVY, "Uniform"])
def test_answers_equal_pytorchs(torch, name):
    arguments = (-0.5, 2.0) if name == "Uniform" else {**ONE, **HEAVY}[name][0]
    theirs = [torch.tensor(float(a), dtype=torch.float64, requires_grad=True) for a in arguments]
    ours = [tg.tensor(float(a), dtype=tg.float64, requires_grad=True) for a in arguments]
    p, q = getattr(torch.distributions, name)(*theirs), getattr(D, name)(*ours)
    if name != "Beta":  # PyTorch's tells nothing
        assert repr(p).replace("torch.", "") == repr(q).replace("torch.", "")
    torch.manual_seed(0)
    value = p.sample((5,))
    for what in ANSWERS:
        expected = answer(torch, p, what, value)
        found = answer(tg, q, what, tg.tensor(value.numpy()))
        if expected is None:
            continue
        np.testing.assert_allclose(
            found.detach(), expected.detach().numpy(), rtol=1e-9, err_msg=what
        )
        smooth = expected.requires_grad and expected.isfinite().all() and what != "cdf"
        if smooth:
            g = torch.autograd.grad(expected.sum(), theirs, allow_unused=True, retain_graph=True)
            h = tg.autograd.grad(found.sum(), ours, allow_unused=True, retain_graph=True)
            for a, b in zip(g, h, strict=True):
                a, b = (0.0 if x is None else x.item() for x in (a, b))
                assert b == pytest.approx(a, rel=1e-7, abs=1e-9), what


@pytest.mark.peers
@pytest.mark.parametrize("row", PAIRS, ids=lambda row: f"{row[0]}-{row[2]}")
def test_divergences_equal_pytorchs(torch, row):
    def both(lib, module):
        return [getattr(module, name)(*(lib.tensor(a, dtype=lib.float64) for a in arguments))
                for name, arguments in (row[:2], row[2:])]  # fmt: skip

    expected = torch.distributions.kl_divergence(*both(torch, torch.distributions)).item()
    assert kl_divergence(*both(tg, D)).item() == pytest.approx(expected, rel=1e-9)
