"""The first five minutes: what newcomers write and get wrong works, or says what to do.

A row is a snippet and either None (it works) or the exception and a pattern for its text. Snippets
see the names of the usual imports, and `model`, `optimizer`, `x` (3, 2), `y` (3,) classes.
"""

import textwrap

import numpy as np
import pytest

import tinygrad_opt
from tinygrad_opt import nn, optim
from tinygrad_opt.utils import data

SHAPES = [
    ("nn.Linear(4, 2)(torch.ones(3, 5))", RuntimeError, r"shape \(3, 5\).* expects 4 features"),
    ("nn.Conv2d(3, 4, 3)(torch.ones(8, 1, 9, 9))", RuntimeError, "3 channels, but got 1 channels"),
    ("nn.Conv2d(1, 4, 3)(torch.ones(28, 784))", RuntimeError, r"input to conv2d.* \[28, 784\]"),
    ("nn.Conv2d(1, 1, 5)(torch.ones(1, 1, 3, 3))", RuntimeError, "greater than actual input size"),
    ("nn.BatchNorm1d(4)(torch.ones(1, 4))", ValueError, "more than 1 value per channel"),
    ("nn.LSTM(4, 3)(torch.ones(2, 1, 5))", RuntimeError, "Expected 4, got 5"),
    ("torch.ones(2) + torch.ones(3)", RuntimeError, r"\(2\) must match .* \(3\)"),
    ("torch.ones(2, 3) @ torch.ones(2, 3)", RuntimeError, r"cannot be multiplied \(2x3 and 2x3\)"),
    ("torch.ones(2, 3).view(4)", RuntimeError, r"'\[4\]' is invalid for input of size 6"),
    ("torch.ones(2, 3).t().view(6)", RuntimeError, "Use .reshape"),
    ("torch.cat([x, x.t()])", RuntimeError, "Sizes of tensors must match"),
    ("torch.cat(x, x)", TypeError, r"tuple of Tensors, not Tensor; write cat\(\[a, b\]\)"),
    ("torch.stack([torch.ones(2), torch.ones(3)])", RuntimeError, "to be equal size"),
    ("torch.ones(2).sum(1)", IndexError, "Dimension out of range"),
    ("torch.ones(2)[2]", IndexError, "index 2 is out of bounds"),
    ("torch.tensor([[1, 2], [3]])", ValueError, "expected sequences? of "),
]

TYPES = [
    (
        "class Net(nn.Module):\n    def __init__(self): self.n = 3\nlist(Net().parameters())",
        AttributeError,
        r"begin Net\.__init__ with super\(\)\.__init__\(\)",
    ),
    ("model(torch.tensor([[1, 2]]))", RuntimeError, r"got Long and Float.*\.float\(\)"),
    ("model(x.double())", RuntimeError, r"got Double and Float.*\.float\(\)"),
    ("nn.Conv2d(1, 1, 1)(torch.ones(1, 1, 2, 2).long())", RuntimeError, r"\(long\).*\(float\)"),
    ("nn.Embedding(3, 2)(torch.tensor([1.0]))", RuntimeError, r"got Float instead.*\.long\(\)"),
    ("nn.Embedding(3, 2)(torch.tensor([3]))", IndexError, "index out of range in self"),
    ("x @ torch.ones(2, 2).double()", RuntimeError, r"float != double.*\.float\(\)"),
    ("x + torch.ones(3, 2).double()", None, None),
    ("torch.tensor([1, 2]).mean()", RuntimeError, r"Got: Long; convert with \.float\(\)"),
    ("torch.tensor([1], requires_grad=True)", RuntimeError, "Only Tensors of floating point"),
    ("model.to(torch.int64)", TypeError, "only accepts floating point"),
    ("x.to('gpu')", RuntimeError, "'cpu', 'cuda' or 'cuda:N', got 'gpu'"),
]

NOT_TENSORS = [
    ("model(np.ones((3, 2)))", TypeError, r"Linear: .* numpy\.ndarray; .*from_numpy"),
    ("model(torch.from_numpy(np.ones((3, 2))).float())", None, None),
    ("nn.GRU(2, 3)(np.ones((1, 2), 'f'))", TypeError, r"GRU: .* numpy\.ndarray; .*from_numpy"),
    ("nn.Embedding(3, 2)(np.array([1]))", TypeError, "must be Tensor, not numpy.ndarray"),
    ("nn.BatchNorm1d(2)(np.ones((3, 2)))", TypeError, "BatchNorm1d: argument 1 must be Tensor"),
    ("model([1.0, 2.0])", TypeError, r"Linear: .* Tensor, not list; .*tensor\("),
    ("model(1.0)", TypeError, r"Tensor, not float; make one of it with tensor\("),
    ("model(None)", TypeError, "not NoneType; does the forward before it return"),
    ("model(nn.LSTM(1, 2)(torch.ones(3, 1)))", TypeError, r"not tuple; unpack it.*\(output, state"),
    ("F.cross_entropy(model(x), np.array([0, 1, 1]))", TypeError, "'target' .* must be Tensor"),
    ("F.cross_entropy(model(x), [0, 1, 1])", TypeError, "'target' .* must be Tensor, not list"),
    ("F.nll_loss(model(x), [0, 1, 1])", TypeError, r"nll_loss\(\): argument 'target'"),
    ("F.mse_loss(model(x), np.ones((3, 2)))", TypeError, "not numpy.ndarray; convert it with from"),
    ("F.mse_loss(None, x)", TypeError, "'input' .* must be Tensor, not NoneType"),
    ("nn.BCELoss()([0.5], torch.ones(1))", TypeError, "BCELoss: .* must be Tensor, not list"),
    ("F.huber_loss(x, 1.0)", TypeError, r"huber_loss\(\): argument 'target'"),
    ("optim.SGD([np.ones(2)], lr=0.1)", TypeError, "one of the params is ndarray"),
    ("data.TensorDataset(np.ones(2))", TypeError, "got ndarray; convert it with as_tensor"),
    ("torch.from_numpy([1.0])", TypeError, r"expected np\.ndarray \(got list\)"),
]

TARGETS = [
    ("F.cross_entropy(model(x), y.float())", RuntimeError, "to be Long or Byte, but got Float"),
    ("F.cross_entropy(model(x), torch.tensor([0, 2, 0]))", IndexError, "Target 2 is out of bounds"),
    ("F.cross_entropy(model(x), F.one_hot(y, 2))", RuntimeError, r"\.argmax\(1\), or \.float\(\)"),
    ("F.cross_entropy(model(x), F.one_hot(y, 2).float())", None, None),
    ("F.cross_entropy(model(x), y.unsqueeze(1))", RuntimeError, r"length 1 with \.squeeze\(\)"),
    ("F.cross_entropy(model(x), y[:2])", ValueError, r"batch_size \(3\) to match .* \(2\)"),
    ("F.nll_loss(x[0], y)", RuntimeError, "an input of one axis is the scores of a single case"),
    (
        "F.cross_entropy(torch.ones(2, 3, 4), torch.zeros(2, 5).long())",
        RuntimeError,
        "comes second",
    ),
    ("F.mse_loss(torch.ones(3, 1), torch.ones(3))", UserWarning, "lead to incorrect results"),
    (
        "nn.BCELoss()(2 * torch.ones(2), torch.ones(2))",
        RuntimeError,
        "between 0 and 1, but .*logits",
    ),
    ("nn.BCELoss()(torch.ones(3, 1), torch.ones(3))", ValueError, "must be the same as input size"),
]

GRADIENTS = [
    ("l = model(x).sum(); l.backward(); l.backward()", RuntimeError, "second time.*retain_graph"),
    ("model(x).backward()", RuntimeError, r"scalar outputs, .*shape \(3, 2\); reduce it first"),
    ("x.sum().backward()", RuntimeError, "does not require grad"),
    ("model.weight += 1", RuntimeError, "leaf Variable that requires grad.*in-place"),
    ("model.weight[0, 0] = 1.0", RuntimeError, "leaf Variable that requires grad.*in-place"),
    ("e = model(x).exp(); e += 1; e.sum().backward()", RuntimeError, "modified by an inplace"),
    ("model(x).numpy()", RuntimeError, r"Use tensor\.detach\(\)\.numpy\(\)"),
    ("model(x).item()", RuntimeError, "6 elements cannot be converted to Scalar"),
    ("bool(x > 0)", RuntimeError, "more than one value is ambiguous"),
    ("h = model(x); h.sum().backward(); h.grad", UserWarning, r"\.retain_grad\(\)"),
    ("total = 0.0; total += x.sum().item", TypeError, "'float' and '.*method'"),
    (
        """
        h = torch.zeros(1, 3)
        cell = nn.RNNCell(2, 3)
        for _ in range(2):
            h = cell(torch.ones(1, 2), h)  # without .detach()
            h.sum().backward()
        """,
        RuntimeError,
        "second time",
    ),
]

OPTIMIZERS = [
    ("optim.SGD(model, lr=0.1)", TypeError, r"got Linear; pass model\.parameters\(\)"),
    ("optim.SGD(model.parameters, lr=0.1)", TypeError, r"got method; pass model\.parameters\(\)"),
    ("optim.SGD(model.weight, lr=0.1)", TypeError, r"got a Tensor; pass \[tensor\]"),
    ("optim.SGD(model.state_dict(), lr=0.1)", TypeError, "one of the params is str"),
    ("p = model.parameters(); list(p); optim.SGD(p)", ValueError, "an iterator that was read"),
    ("optim.Adam(nn.ReLU().parameters())", ValueError, r"empty parameter list.*nn\.ModuleList"),
    ("optim.SGD([model.weight * 2], lr=0.1)", ValueError, "can't optimize a non-leaf Tensor"),
    ("optim.Adam(model.parameters(), lr=-1.0)", ValueError, "Invalid learning rate: -1.0"),
    ("optim.Adam(model.parameters(), momentum=0.9)", TypeError, "argument 'momentum'"),
    ("optimizer.step()", None, None),
    ("for _ in range(2): model(x).sum().backward(); optimizer.step()", None, None),
    (
        "s = StepLR(optimizer, 1); s.step(); optimizer.step()",
        UserWarning,
        "Call `optimizer.step",
    ),
    ("StepLR(model, 1)", TypeError, "Linear is not an Optimizer"),
    ("optim.LBFGS(model.parameters()).step()", TypeError, "'closure'"),
]

MODULES = [
    (
        """
        class Net(nn.Module):
            def __init__(self):
                self.layer = nn.Linear(2, 1)
        Net()
        """,
        AttributeError,
        r"before Module.__init__\(\) call: begin Net.__init__ with super\(\).__init__\(\)",
    ),
    (
        """
        class Net(nn.Module):
            def foward(self, x):
                return x
        Net()(x)
        """,
        NotImplementedError,
        r'Module \[Net\] is missing the required "forward" function',
    ),
    (
        """
        class Net(nn.Module):
            def forward(self, x):
                return x.shpae
        Net()(x)
        """,
        AttributeError,
        "'Tensor' object has no attribute 'shpae'",
    ),
    (
        """
        class Net(nn.Module):
            def forward(self, words):
                return words.lower()
        Net()(["a"])
        """,
        AttributeError,
        "'list' object has no attribute 'lower'",
    ),
    ("nn.Sequential([nn.ReLU()])", TypeError, "list is not a Module subclass"),
    ("model.wieght", AttributeError, "'Linear' object has no attribute 'wieght'"),
    ("model.weight = x", TypeError, "cannot assign 'Tensor' as parameter 'weight'"),
    ("model.train('yes')", ValueError, "training mode is expected to be boolean"),
    (
        "model.load_state_dict(nn.Linear(3, 2).state_dict())",
        RuntimeError,
        "size mismatch for weight",
    ),
    ("model.load_state_dict(nn.Sequential(model).state_dict())", RuntimeError, "Missing key"),
    ("model.load_state_dict('model.pth')", TypeError, "to be dict-like, got str"),
    ("torch.load('/no/such/file')", FileNotFoundError, "/no/such/file"),
    ("nn.Dropout(1.5)", ValueError, "between 0 and 1, but got 1.5"),
]

DATA = [
    ("list(data.DataLoader([x, x[:1]], 2))", RuntimeError, r"got \[3, 2\] .* and \[1, 2\]"),
    ("list(data.DataLoader([(x, None)]))", TypeError, "found .*NoneType.* collate_fn"),
    ("data.DataLoader([1], batch_size=0)", ValueError, "positive integer value"),
    ("data.TensorDataset(x, x[:1])", AssertionError, r"Size mismatch.* \[3, 1\]"),
    ("data.random_split([1, 2, 3], [1, 1])", ValueError, "Sum of input lengths"),
]

OF_OLD = [  # what old tutorials write, and what those for NumPy's users do
    ("assert x.new(2, 3).zero_().shape == (2, 3)", None, None),
    ("assert y.new([1, 2]).dtype == torch.int64", None, None),
    ("assert y.type(torch.FloatTensor).dtype == torch.float32", None, None),
    ("assert x.sum(axis=0).shape == (2,)", None, None),
    ("assert x.mean(axis=1, keepdims=True).shape == (3, 1)", None, None),
    ("assert torch.cat((x, x), axis=1).shape == (3, 4)", None, None),
    ("x.sum(axis=0, dim=0)", TypeError, "both axis and dim"),
    ("torch.relu(x, axis=0)", TypeError, "unexpected keyword argument 'axis'"),
    (
        """
        import io
        file = io.BytesIO()
        torch.save(model.state_dict(), file)
        file.seek(0)
        model.load_state_dict(torch.load(file, weights_only=True))
        """,
        None,
        None,
    ),
]

ROWS = [
    *SHAPES, *TYPES, *NOT_TENSORS, *TARGETS, *GRADIENTS, *OPTIMIZERS, *MODULES, *DATA, *OF_OLD,
]  # fmt: skip


@pytest.mark.parametrize(("code", "error", "pattern"), ROWS, ids=[row[0].strip() for row in ROWS])
def test_it_works_or_says_what_to_do(code, error, pattern):
    model = nn.Linear(2, 2)
    names = dict(
        torch=tinygrad_opt, nn=nn, F=nn.functional, optim=optim, data=data, np=np, model=model,
        StepLR=optim.lr_scheduler.StepLR, optimizer=optim.SGD(model.parameters(), lr=0.1),
        x=tinygrad_opt.ones(3, 2), y=tinygrad_opt.tensor([0, 1, 1]),
    )  # fmt: skip
    code = textwrap.dedent(code)
    if error is None:
        exec(code, names)
    elif issubclass(error, Warning):
        with pytest.warns(error, match=pattern):
            exec(code, names)
    else:
        with pytest.raises(error, match=pattern):
            exec(code, names)


def test_no_two_rows_are_the_same():
    assert len({row[0] for row in ROWS}) == len(ROWS)
