"""Anomaly detection: names the operation and the forward line, and costs nothing while off."""

import warnings

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import autograd
from tinygrad_opt.autograd import Function, anomaly
from tinygrad_opt.core import record

ENABLED = "Anomaly Detection has been enabled"


@pytest.fixture
def on():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with autograd.detect_anomaly():
            yield


def leaf(*values):
    return tg.tensor(values, requires_grad=True)


def test_the_operation_and_the_forward_line_are_named(on):
    x = leaf(0.0, 1.0)
    y = x.sqrt() * 0  # the culprit
    with np.errstate(all="ignore"), pytest.raises(RuntimeError) as caught:
        y.sum().backward()
    message = str(caught.value)
    assert "Function 'SqrtBackward0' returned nan values in its 0th output." in message
    assert "# the culprit" in message
    assert "test_anomaly.py" in message
    assert "/tinygrad_opt/" not in message.replace("\\", "/").replace("/tinygrad_opt/tests/", "")
    assert x.grad is None


def test_which_input_is_named(on):
    x, w = leaf(1.0), leaf(0.0)
    y = x * 0 / w
    with np.errstate(all="ignore"), pytest.raises(RuntimeError, match=r"'DivBackward0' .* 1th"):
        y.backward(tg.tensor([1.0]))


def test_forward_values_are_checked():
    x = leaf(-1.0)
    with (
        np.errstate(all="ignore"),
        warnings.catch_warnings(record=True) as caught,
        autograd.set_detect_anomaly(True),
    ):
        warnings.simplefilter("always")
        y = x.log() + 1  # the first nan
        y * 2
    (second,) = (str(w.message) for w in caught)
    assert second.startswith("log returned nan in its forward pass, from inputs without nan")
    assert "# the first nan" in second


def test_without_check_nan():
    x = leaf(0.0)
    with autograd.set_detect_anomaly(True, check_nan=False), np.errstate(all="ignore"):
        (x.sqrt() * 0).backward()
        (x - 1).log().backward()


def test_other_errors_of_backward_come_with_the_line(on):
    class Broken(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            raise KeyError("broken")

    y = Broken.apply(leaf(1.0))  # made here
    with (
        pytest.warns(UserWarning, match=r"Error detected in BrokenBackward[\s\S]*# made here"),
        pytest.raises(KeyError, match="broken"),
    ):
        y.backward()


def test_nan_from_a_function(on):
    class Nan(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y, x + y

        @staticmethod
        def backward(ctx, g, _):
            return g, g * float("nan")

    with pytest.raises(RuntimeError, match="'NanBackward' returned nan values in its 1th output"):
        Nan.apply(leaf(1.0), leaf(2.0))[0].backward()


def test_operations_recorded_before_have_no_line():
    x = leaf(0.0)
    y = x.sqrt() * 0
    with (
        np.errstate(all="ignore"),
        autograd.set_detect_anomaly(True),
        pytest.raises(RuntimeError, match="No forward pass information available"),
    ):
        y.backward()


def test_higher_derivatives(on):
    x = leaf(2.0)
    (g,) = autograd.grad(x * x * x, x, create_graph=True)
    assert autograd.grad(g, x)[0].item() == 12
    z = leaf(0.0)
    with np.errstate(all="ignore"), pytest.raises(RuntimeError, match="returned nan values"):
        autograd.grad((z.sqrt() * 0).sum(), z, create_graph=True)


def test_switching():
    assert not autograd.is_anomaly_enabled()
    with autograd.set_detect_anomaly(True):
        assert autograd.is_anomaly_enabled()
        with autograd.set_detect_anomaly(False):
            assert not autograd.is_anomaly_enabled()
        assert autograd.is_anomaly_enabled()
        assert record.record is anomaly.record_traced
    assert record.record is record.record_plainly
    autograd.set_detect_anomaly(True)
    assert autograd.is_anomaly_enabled()
    autograd.set_detect_anomaly(False)
    with pytest.warns(UserWarning, match=ENABLED):
        autograd.detect_anomaly()
    assert not autograd.is_anomaly_enabled()
    with pytest.raises(ValueError, match="x"), autograd.set_detect_anomaly(True):
        raise ValueError("x")
    assert record.record is record.record_plainly


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["sqrt", "log"])
def test_as_pytorch(torch, name):
    def message(m):
        x = m.tensor([0.0], requires_grad=True)
        with np.errstate(all="ignore"), m.autograd.set_detect_anomaly(True):
            y = getattr(x, name)() * 0
            with pytest.raises(RuntimeError) as caught:
                y.backward(m.tensor([1.0]))
        return str(caught.value).split(".")[0]

    if name == "sqrt":
        assert message(tg) == message(torch)
    else:
        assert "returned nan values in its 0th output" in message(tg)
        assert "returned nan values in its 0th output" in message(torch)
