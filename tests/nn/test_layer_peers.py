"""The tables of layers, losses and functions in PyTorch: values, gradients, names and text.

The weights go through `state_dict` in both directions.
"""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from nn_rows import CONSTANTS, FUNCTIONS, LAYERS, LOSSES
from nn_rows.samplers import inputs_of, numbers, settings_in

import tinygrad_opt as T
from tinygrad_opt.porting.pytorch_names import NAMES

pytestmark = pytest.mark.peers
THEIRS, THEIR_FUNCTIONS = (NAMES[place].split() for place in ("nn", "nn.functional"))
every_layer = pytest.mark.parametrize(
    "name", [name for name, (make, *_) in LAYERS.items() if type(make(T.nn)).__name__ in THEIRS]
)

CASES = [
    pytest.param(name, case, reduction, id=f"{name}-{i}-{reduction}")
    for name, cases in LOSSES.items()
    if name in THEIRS
    for i, case in enumerate(cases)
    for reduction in ("mean", "sum", "none", *(["batchmean"] if name == "KLDivLoss" else []))
]


def leaves(module, arrays, constants=()):
    return [
        module.tensor(x, requires_grad=x.dtype.kind == "f" and i not in constants)
        for i, x in enumerate(arrays)
    ]


def close(a, b, rtol=1e-9, atol=1e-11):
    expected = b.detach().numpy()
    np.testing.assert_allclose(a.detach().numpy(), expected, rtol=rtol, atol=atol, strict=True)


def same_gradients(torch, ours, theirs, arrays, rough=False, constants=()):
    """Run both on the same arrays; compare values, and gradients of inputs and parameters."""
    rough = rough or type(theirs).__name__ == "Hardsigmoid"  # PyTorch's slope: 1 / 6 in float32
    a, b = (leaves(lib, arrays, constants) for lib in (T, torch))
    y, z = ours(*a), theirs(*b)
    close(y, z)
    g = numbers(*z.shape, seed=1)
    y.backward(T.tensor(g))
    z.backward(torch.tensor(g))
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


@every_layer
def test_layers(torch, name):
    make, _, *shapes = LAYERS[name]
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


@every_layer
def test_layers_in_float32(torch, name):
    make, _, *shapes = LAYERS[name]
    arrays = [numbers(*shape, seed=i) for i, shape in enumerate(shapes)]
    ours, theirs = (net.float() for net in built(torch, make, arrays))
    singles = [x.astype(np.float32) for x in arrays]
    close(ours(*map(T.tensor, singles)), theirs(*map(torch.tensor, singles)), 3e-5, 1e-6)


def loss_of(lib, name, settings, reduction):
    made = settings_in(lambda values: lib.tensor(values, dtype=lib.float64), settings)
    return getattr(lib.nn, name)(**made, reduction=reduction)


@pytest.mark.filterwarnings("ignore:.*divides the total loss")
@pytest.mark.parametrize(("name", "case", "reduction"), CASES)
def test_losses(torch, name, case, reduction):
    settings, arrays = inputs_of(case)
    ours, theirs = (loss_of(lib, name, settings, reduction) for lib in (T, torch))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    same_gradients(torch, ours, theirs, arrays)


def as_module(lib, name, settings):
    """The function as a module without parameters."""

    class Function(lib.nn.Module):
        def forward(self, *inputs):
            return getattr(lib.nn.functional, name)(*inputs, **settings)

    return Function()


@pytest.mark.filterwarnings("ignore:`nn.functional.upsample", "ignore:Using padding='same'")
@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, id=f"{name}-{i}")
        for name, cases in FUNCTIONS.items()
        if name in THEIR_FUNCTIONS
        for i, case in enumerate(cases)
    ],
)
def test_functions(torch, name, case):
    settings, arrays = inputs_of(case)
    ours, theirs = (as_module(lib, name, settings) for lib in (T, torch))
    # PyTorch's gradient of short vectors is not that of its value, in which they count as eps.
    of_short = name == "cosine_similarity" and "eps" in settings
    if name == "one_hot" or of_short:
        close(ours(*map(T.tensor, arrays)), theirs(*map(torch.tensor, arrays)))
    else:
        constants = CONSTANTS.get(name, ())
        same_gradients(torch, ours, theirs, arrays, name == "hardsigmoid", constants)
