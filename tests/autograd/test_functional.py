"""autograd.functional and func: against formulas, and against PyTorch."""

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import func, nn
from tinygrad_opt.autograd import functional

X = [[0.3, -1.2, 0.5], [0.7, 0.1, 2.0]]
W = [2.0, 3.0, 4.0]

# Calls that give tensors or structures of them; each is run here and in PyTorch.

F = {
    "jacobian": lambda m, f: f.jacobian(lambda x: (x * x).sum(1), m.tensor(X)),
    "jacobian of two by two": lambda m, f: f.jacobian(
        lambda x, y: (x * y, x.sum()), (m.tensor(X), m.tensor(W))
    ),
    "jacobian of an unused input": lambda m, f: f.jacobian(
        lambda x, y: x * 2, (m.tensor(W), m.tensor(X))
    ),
    "jacobian, create_graph": lambda m, f: f.jacobian(
        lambda x: x.exp(), m.tensor(W, requires_grad=True), create_graph=True
    ),
    "hessian": lambda m, f: f.hessian(lambda x: (x**3).sum(), m.tensor(X)),
    "hessian of two": lambda m, f: f.hessian(
        lambda x, y: (x * x * y).sum(), (m.tensor(X), m.tensor(W))
    ),
    "vjp": lambda m, f: f.vjp(lambda x: (x * x).sum(1), m.tensor(X), m.tensor([1.0, 2.0])),
    "vjp of a scalar": lambda m, f: f.vjp(lambda x: (x**3).sum(), m.tensor(X)),
    "jvp": lambda m, f: f.jvp(lambda x: (x * x).sum(1), m.tensor(X), m.tensor(X) + 1),
    "jvp of two by two": lambda m, f: f.jvp(
        lambda x, y: (x * x * y, y.exp()), (m.tensor(X), m.tensor(W)),
        (m.tensor(X) + 1, m.tensor(W)),
    ),
    "vhp": lambda m, f: f.vhp(lambda x: (x**3).sum(), m.tensor(X), m.tensor(X)),
    "hvp": lambda m, f: f.hvp(
        lambda x, y: (x**3 * y).sum(), (m.tensor(X), m.tensor(W)), (m.tensor(X), m.tensor(W))
    ),
}  # fmt: skip

G = {
    "grad": lambda m, f: f.grad(lambda x: (x**3).sum())(m.tensor(X)),
    "grad, nested": lambda m, f: f.grad(f.grad(f.grad(lambda x: x**4)))(m.tensor(2.0)),
    "grad of a dict": lambda m, f: f.grad(lambda p, x: (p["w"] * x + p["b"]).sum())(
        {"w": m.tensor(X), "b": m.tensor(1.0)}, m.tensor(X)
    ),
    "grad_and_value, aux": lambda m, f: f.grad_and_value(
        lambda x: ((x**3).sum(), x * 2), has_aux=True
    )(m.tensor(X)),
    "grad by two": lambda m, f: f.grad(lambda x, y: (x * y).sum(), argnums=(0, 1))(
        m.tensor(X), m.tensor(X)
    ),
    "grad, aux": lambda m, f: f.grad(lambda x: ((x * x).sum(), x), has_aux=True)(m.tensor(X)),
    "vjp": lambda m, f: pulled(m, f),
    "jvp": lambda m, f: f.jvp(lambda x: x.sin(), (m.tensor(X),), (m.tensor(X),)),
    "jacrev": lambda m, f: f.jacrev(lambda x: (x * x).sum(1))(m.tensor(X)),
    "jacfwd": lambda m, f: f.jacfwd(lambda x, y: x * y, argnums=(0, 1))(m.tensor(X), m.tensor(W)),
    "hessian": lambda m, f: f.hessian(lambda x: (x**3).sum())(m.tensor(X)),
    "jacrev of jacrev": lambda m, f: f.jacrev(f.jacrev(lambda x: (x**3).sum()))(m.tensor(W)),
    "jacrev of grad": lambda m, f: f.jacrev(f.grad(lambda x: (x**3).prod()))(m.tensor(W)),
    "vmap": lambda m, f: f.vmap(lambda x, y: (x * y).sum(), in_dims=(0, None))(
        m.tensor(X), m.tensor(W)
    ),
    "vmap, axes": lambda m, f: f.vmap(lambda x, y: x * y, in_dims=(1, 0), out_dims=1)(
        m.tensor(X), m.tensor(W)
    ),
    "vmap, several results": lambda m, f: f.vmap(
        lambda x: (x.sum(), x * 2), in_dims=-1, out_dims=(0, 1)
    )(m.tensor(X)),
    "gradients of each example": lambda m, f: f.vmap(
        f.grad(lambda p, x: (p["a"] * x * x).sum()), in_dims=(None, 0)
    )({"a": m.tensor(W)}, m.tensor(X)),
    "vmap over a dict": lambda m, f: f.vmap(
        lambda d: d["a"] * d["b"], in_dims=({"a": 0, "b": None},)
    )({"a": m.tensor(X), "b": m.tensor(W)}),
}  # fmt: skip


def pulled(m, f):
    output, pull = f.vjp(lambda x, y: (x * y, x.sum()), m.tensor(X), m.tensor(X))
    return output, pull((m.tensor(X), m.tensor(1.0)))


def flat(tree):
    if isinstance(tree, dict):
        return [x for key in sorted(tree) for x in flat(tree[key])]
    return [x for part in tree for x in flat(part)] if isinstance(tree, (tuple, list)) else [tree]


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own
@pytest.mark.parametrize("name", [*F, *(f"func.{name}" for name in G)])
def test_as_pytorch(torch, name):
    def run(m):
        if name in F:
            return flat(F[name](m, m.autograd.functional))
        return flat(G[name.removeprefix("func.")](m, func if m is tg else torch.func))

    ours, theirs = run(tg), run(torch)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert tuple(a.shape) == tuple(b.shape)
        assert a.requires_grad == b.requires_grad
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)


# Against formulas ---------------------------------------------------------------------------------

A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def linear(x):
    return tg.tensor(A) @ x


def doubles(*values):
    return tg.tensor(values, dtype=tg.float64)


def test_linear_and_quadratic_functions():
    x, v = doubles(1.0, -1.0, 2.0), doubles(0.5, 1.0, -2.0)
    u = doubles(3.0, -1.0)
    q = A.T @ A
    np.testing.assert_allclose(functional.jacobian(linear, x).numpy(), A)
    np.testing.assert_allclose(functional.vjp(linear, x, u)[1].numpy(), u.numpy() @ A)
    np.testing.assert_allclose(functional.jvp(linear, x, v)[1].numpy(), A @ v.numpy())

    def quadratic(x):
        return (linear(x) ** 2).sum() / 2

    np.testing.assert_allclose(functional.hessian(quadratic, x).numpy(), q)
    for product in (functional.hvp, functional.vhp):
        value, found = product(quadratic, x, v)
        assert value.item() == pytest.approx(quadratic(x).item())
        np.testing.assert_allclose(found.numpy(), q @ v.numpy())
    np.testing.assert_allclose(func.grad(quadratic)(x).numpy(), q @ x.numpy())
    np.testing.assert_allclose(func.hessian(quadratic)(x).numpy(), q)
    np.testing.assert_allclose(func.jacfwd(linear)(x).numpy(), A)
    np.testing.assert_allclose(func.jvp(linear, (x,), (v,))[1].numpy(), A @ v.numpy())
    np.testing.assert_allclose(func.vjp(linear, x)[1](u)[0].numpy(), u.numpy() @ A)


def test_create_graph_connects_the_result():
    x = doubles(2.0, 3.0).requires_grad_()
    for function in (
        lambda: functional.jacobian(lambda x: x**3, x, create_graph=True).sum(),
        lambda: functional.vjp(lambda x: (x**3).sum(), x, create_graph=True)[1].sum(),
        lambda: functional.jvp(lambda x: x**3, x, tg.ones(2, dtype=tg.float64), True)[1].sum(),
        lambda: func.grad(lambda x: (x**3).sum())(x).sum(),
    ):
        x.grad = None
        function().backward()
        assert x.grad.tolist() == [12, 18]
    assert not functional.jacobian(lambda x: x**3, x).requires_grad
    assert x.is_leaf


def test_what_a_function_closes_over_keeps_its_gradient():
    w = doubles(2.0, 3.0).requires_grad_()
    g = func.grad(lambda x: (w * x * x).sum())(doubles(5.0, 7.0))
    g.sum().backward()
    assert w.grad.tolist() == [10, 14]


def test_under_no_grad():
    with tg.no_grad():
        assert func.grad(lambda x: x**2)(tg.tensor(3.0)).item() == 6
        assert functional.jacobian(lambda x: x * 2, tg.ones(1)).tolist() == [[2]]


def test_strict():
    x, y = doubles(1.0), doubles(2.0)
    with pytest.raises(
        RuntimeError, match=r"independent of input 1. This is not allowed in strict"
    ):
        functional.jacobian(lambda x, y: x * 2, (x, y), strict=True)
    with pytest.raises(RuntimeError, match="Output 0 of the user-provided function does not requi"):
        functional.vjp(lambda x: doubles(1.0), x, strict=True)


MISTAKES = [
    (TypeError, "The inputs given to jacobian must be either a Tensor or a tuple",
     lambda: functional.jacobian(lambda x: x, [1.0])),
    (TypeError, "The outputs of the user-provided function given to vjp must be either",
     lambda: functional.vjp(lambda x: 3, tg.ones(1))),
    (RuntimeError, "The vector v can only be None if the user-provided function returns",
     lambda: functional.vjp(lambda x: x, tg.ones(2))),
    (RuntimeError, r"v has invalid size: entry 0 should be \[2\] but got \[3\]",
     lambda: functional.vjp(lambda x: x, tg.ones(2), tg.ones(3))),
    (RuntimeError, "v is a tuple of invalid length: should be 1 but got 2",
     lambda: functional.vjp(lambda x: x, tg.ones(2), (tg.ones(2), tg.ones(2)))),
    (RuntimeError, "The function given to hvp should return a single Tensor",
     lambda: functional.hvp(lambda x: (x, x), tg.ones(1))),
    (RuntimeError, "given to hessian should contain a single element",
     lambda: functional.hessian(lambda x: x, tg.ones(2))),
    (ValueError, "Expected strategy to be either", lambda: functional.jacobian(
        lambda x: x, tg.ones(2), strategy="sideways")),
    (RuntimeError, r"Expected f\(\*args\) to return a scalar tensor, got tensor with 1 dims",
     lambda: func.grad(lambda x: x)(tg.ones(2))),
    (RuntimeError, "Got argnum=1, but only 1 positional inputs",
     lambda: func.grad(lambda x: x, argnums=1)(tg.ones(2))),
    (RuntimeError, r"output of function f should be a tuple: \(output, aux\)",
     lambda: func.grad(lambda x: x.sum(), has_aux=True)(tg.ones(2))),
    (RuntimeError, "Expected a Tensor to differentiate by, got float",
     lambda: func.grad(lambda x: x)(1.0)),
    (RuntimeError, "Expected primals and tangents to be tuples",
     lambda: func.jvp(lambda x: x, tg.ones(1), tg.ones(1))),
    (RuntimeError, "must have the same structure and shapes",
     lambda: func.jvp(lambda x: x, (tg.ones(1),), (tg.ones(2),))),
    (RuntimeError, "Expected pytree structure of cotangents",
     lambda: func.vjp(lambda x: x, tg.ones(1))[1]((tg.ones(1), tg.ones(1)))),
    (ValueError, "Expected all tensors to have the same size in the mapped dimension",
     lambda: func.vmap(lambda x, y: x + y)(tg.ones(2), tg.ones(3))),
    (ValueError, "in_dims is not compatible", lambda: func.vmap(lambda x: x, (0, 0))(tg.ones(2))),
    (ValueError, "at least one input", lambda: func.vmap(lambda x: x, None)(tg.ones(2))),
    (ValueError, "got no inputs", lambda: func.vmap(lambda: 1)()),
    (ValueError, "Got in_dim=0 for an input of type int", lambda: func.vmap(lambda x: x)(3)),
    (ValueError, "must only return Tensors, got type", lambda: func.vmap(lambda x: 1)(tg.ones(2))),
    (ValueError, "out_dims is not compatible",
     lambda: func.vmap(lambda x: x, out_dims=(0, 1))(tg.ones(2))),
    (ValueError, "axis of length 0", lambda: func.vmap(lambda x: x)(tg.ones((0, 2)))),
    (RuntimeError, "Only allowed values for randomness",
     lambda: func.vmap(lambda x: x, randomness="some")),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "message", "use"), MISTAKES, ids=[m[:40] for _, m, _ in MISTAKES])
def test_mistakes(kind, message, use):
    with pytest.raises(kind, match=message):
        use()


# Modules ------------------------------------------------------------------------------------------


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.tied = self.fc
        self.register_buffer("calls", tg.zeros(()))

    def forward(self, x, scale=1.0):
        self.calls = self.calls + 1
        return self.tied(x) * scale


def test_functional_call():
    net, x = Counting(), tg.tensor(X)
    own = {key: p.detach().clone() for key, p in net.named_parameters()}
    ones = {"fc.weight": tg.ones(2, 3), "fc.bias": tg.zeros(2)}
    y = func.functional_call(net, ones, x, {"scale": 2.0})
    np.testing.assert_allclose(y.numpy(), (2 * x.sum(1, keepdim=True)).expand(2, 2).numpy())
    for key, p in net.named_parameters():
        assert p.tolist() == own[key].tolist()
    given = {**ones, "calls": tg.tensor(10.0)}
    func.functional_call(net, given, (x,), strict=False)
    assert net.calls.item() == 1  # only the first call counted on the module's own buffer
    assert func.functional_call(net, (ones, {"calls": tg.zeros(())}), (x,)).shape == (2, 2)
    untied = func.functional_call(net, {"fc.weight": tg.zeros(2, 3), "fc.bias": tg.zeros(2)}, (x,),
                                  tie_weights=False)  # fmt: skip
    assert untied.abs().sum().item() == 0 or net.tied is net.fc
    with pytest.raises(RuntimeError, match=r"unexpected key\(s\): fc.wieght"):
        func.functional_call(net, {"fc.wieght": tg.ones(2, 3)}, x)
    with pytest.raises(RuntimeError, match="missing key"):
        func.functional_call(net, ones, x, strict=True)
    with pytest.raises(ValueError, match="appears in multiple dictionaries"):
        func.functional_call(net, (ones, ones), x)


def test_an_error_in_forward_puts_the_parameters_back():
    net = Counting()
    weight = net.fc.weight
    with pytest.raises(RuntimeError, match="linear"):
        func.functional_call(net, {"fc.weight": tg.ones(2, 3)}, tg.ones(2, 7))
    assert net.fc.weight is weight


def test_gradients_of_each_example_of_a_network():
    net, x = nn.Linear(3, 1), tg.tensor(X)
    params = {key: p.detach() for key, p in net.named_parameters()}

    def loss(params, x):
        return (func.functional_call(net, params, (x,)) ** 2).sum()

    each = func.vmap(func.grad(loss), in_dims=(None, 0))(params, x)
    for i in range(2):
        net.zero_grad()
        (net(x[i]) ** 2).sum().backward()
        for key, p in net.named_parameters():
            np.testing.assert_allclose(each[key][i].numpy(), p.grad.numpy(), rtol=1e-5)


def test_ensembles():
    nets = [nn.Linear(3, 2) for _ in range(4)]
    params, buffers = func.stack_module_state(nets)
    assert params["weight"].shape == (4, 2, 3)
    assert params["weight"].requires_grad
    assert params["weight"].is_leaf
    assert buffers == {}
    x = tg.tensor(X)
    together = func.vmap(lambda p, x: func.functional_call(nets[0], p, (x,)), in_dims=(0, None))
    for i, y in enumerate(together(params, x)):
        np.testing.assert_allclose(y.detach().numpy(), nets[i](x).detach().numpy(), rtol=1e-6)
    with pytest.raises(RuntimeError, match="Expected at least one model"):
        func.stack_module_state([])
    with pytest.raises(RuntimeError, match="of the same class"):
        func.stack_module_state([nets[0], nn.ReLU()])
