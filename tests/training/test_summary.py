"""The summary of a model: its numbers, the memory that it tells, and that it changes nothing."""

import gc
import tracemalloc
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from settled import settled

import tinygrad_opt as tg
from tinygrad_opt import nn
from tinygrad_opt.autograd import Function
from tinygrad_opt.training import LayerRow, Summary, summary


class Tied(nn.Module):
    """An embedding whose weights are those of the output layer as well; a layer called twice."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.middle = nn.Linear(4, 4)
        self.out = nn.Linear(4, 10)
        self.out.weight = self.embed.weight
        self.unused = nn.Linear(2, 2)

    def forward(self, tokens):
        return self.out(self.middle(self.middle(self.embed(tokens))))


def by_name(found):
    return {row.name: row for row in found.rows}


def test_shapes_and_parameters():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5))
    model[0].requires_grad_(False)
    found = summary(model, (2, 1, 8, 8))
    rows = by_name(found)
    assert type(found) is Summary
    assert {type(row) for row in found.rows} == {LayerRow}
    assert [row.kind for row in found.rows] == [
        "Sequential", "Conv2d", "BatchNorm2d", "Flatten", "Linear",
    ]  # fmt: skip
    assert rows["0"].output_shapes == [(2, 4, 6, 6)]
    assert rows[""].output_shapes == [(2, 5)]
    assert (rows["0"].parameters, rows["0"].trainable) == (40, 0)
    assert (found.total_parameters, found.trainable_parameters) == (40 + 8 + 725, 8 + 725)
    assert found.frozen_parameters == 40
    assert found.parameter_bytes == 4 * 773
    assert found.buffer_bytes == 2 * 4 * 4 + 8  # two of 4 floats, an int64


def test_shared_parameters_count_once():
    found = summary(Tied(), tg.tensor([[1, 2, 3]]))
    rows = by_name(found)
    assert (rows["embed"].parameters, rows["embed"].shared) == (40, 0)
    assert (rows["out"].parameters, rows["out"].shared) == (10, 40)
    assert found.total_parameters == 40 + 20 + 10 + 6
    assert found.total_parameters == sum(p.numel() for p in Tied().parameters())
    assert (rows["middle"].calls, rows["unused"].calls) == (2, 0)
    text = str(found)
    assert "middle: Linear x 2" in text
    assert "10 (+40 shared)" in text
    assert "not called" in text


def test_several_outputs_and_keyword_arguments():
    found = summary(nn.LSTM(2, 3, batch_first=True), (4, 5, 2))
    assert found.rows[0].output_shapes == [(4, 5, 3), (1, 4, 3), (1, 4, 3)]
    found = summary(nn.Linear(2, 3), input=tg.ones(7, 2))
    assert found.rows[0].output_shapes == [(7, 3)]


def test_without_inputs_the_model_is_not_called():
    found = summary(nn.Sequential(nn.Linear(2, 3), nn.LazyLinear(4)))
    assert found.total_parameters == 9
    assert found.activation_bytes is None
    assert str(found).splitlines()[0].split() == ["layer", "parameters"]


def test_classes_are_no_models():
    with pytest.raises(TypeError, match=r"must be an nn\.Module, but is the class ReLU: call"):
        summary(nn.ReLU)


def test_types_of_the_input():
    model = nn.Linear(2, 3).double()
    assert summary(model, (4, 2), dtype=tg.float64).activation_bytes == 4 * 3 * 8


def test_memory_is_zero_where_nothing_is_trained():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU()).requires_grad_(False)
    assert summary(model, (4, 2)).activation_bytes == 0
    model[0].bias.requires_grad_(True)
    with tg.no_grad():
        assert summary(model, (4, 2)).activation_bytes > 0


def test_memory_by_hand():
    found = summary(nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Flatten()), (3, 5))
    rows = by_name(found)
    assert rows["0"].saved_bytes == rows["1"].saved_bytes == 3 * 7 * 4
    assert rows["2"].saved_bytes == 0  # a view
    assert found.activation_bytes == 2 * 3 * 7 * 4
    assert summary(nn.Dropout(), (3, 5)).activation_bytes == 0  # the input needs no gradient


def test_what_a_function_saves_counts():
    class Doubled(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(tg.ones(1000))
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    class Layer(nn.Module):
        def forward(self, x):
            return Doubled.apply(x)

    x = tg.ones(10, requires_grad=True)
    assert summary(Layer(), x).activation_bytes == 4000 + 40


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64)), (512, 64)),
        (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.GELU()), (8, 3, 32, 32)),
        (lambda: nn.LSTM(32, 64), (20, 32, 32)),
        (lambda: nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), (16, 32, 32)),
    ],
    ids=["mlp", "cnn", "lstm", "transformer"],
)
def test_memory_is_what_the_process_holds(make, shape):
    model, x = make(), tg.randn(*shape)
    model(x)  # what is made once is made now
    settled()
    gc.collect()
    tracemalloc.start()
    try:
        output = model(x)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
        del output
    finally:
        tracemalloc.stop()
    told = summary(model, x).activation_bytes
    assert held == pytest.approx(told, rel=0.05)  # the graph's own objects come on top


def test_the_sum_of_the_rows():
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    found = summary(model, (2, 3, 8))
    assert sum(row.saved_bytes for row in found.rows) == found.activation_bytes


def test_the_model_is_left_alone():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.LazyLinear(2))
    model[1].eval()
    heard = []
    model[0].register_forward_hook(lambda *args: heard.append(1))
    tensors = [*model[0].parameters(), *model.buffers()]
    before = [x.detach().numpy().copy() for x in tensors]
    modes = [module.training for module in model.modules()]
    hooks = [repr(vars(module.__dict__.get("_hooks") or object)) for module in model[1:3]]
    state = tg.get_rng_state()
    for shape, error in [((5, 3), None), ((5, 4), RuntimeError)]:
        if error is None:
            assert summary(model, shape).total_parameters == 16 + 8 + 10
        else:
            with pytest.raises(error):
                summary(model, shape)
        for x, values in zip(tensors, before, strict=True):
            np.testing.assert_array_equal(x.detach().numpy(), values)
            assert x.grad is None
        assert modes == [module.training for module in model.modules()]
        assert tg.equal(state, tg.get_rng_state())
        assert isinstance(model[3], nn.LazyLinear)
        assert hooks == [repr(vars(m.__dict__.get("_hooks") or object)) for m in model[1:3]]


def test_the_table():
    model = nn.Sequential(nn.Linear(300, 1000), nn.Sequential(nn.ReLU()))
    found = summary(model, (1000, 300))
    assert repr(found) == str(found)
    lines = str(found).splitlines()
    assert lines[2].split() == ["Sequential", "(1000,", "1000)", "0", "0", "B"]
    assert lines[3].split() == ["0:", "Linear", "(1000,", "1000)", "301,000", "0", "B"]
    assert lines[5].startswith("    0: ReLU")
    assert lines[-2] == "301,000 parameters (1.1 MiB): 301,000 trainable, 0 frozen"
    assert lines[-1] == "kept for backward: 3.8 MiB"
    assert tg.summary is summary


def test_a_layer_called_twice_shows_its_first_output():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.Tanh()

        def forward(self, x):
            return self.act(self.act(x)[:2])

    row = summary(Twice(), (5, 3)).rows[1]
    assert (row.calls, row.output_shapes) == (2, [(5, 3)])


def test_a_notebook_shows_a_table():
    found = summary(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), (4, 2))
    root = ET.fromstring(f"<div>{found._repr_html_()}</div>")
    texts = [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]
    assert texts[0] == ["layer", "output", "parameters", "saved"]
    assert texts[2][:3] == ["  0: Linear", "(4, 3)", "9"]
    assert "9 trainable, 0 frozen" in "".join(root.itertext())
    without = ET.fromstring(f"<div>{summary(nn.Linear(2, 3))._repr_html_()}</div>")
    assert [cell.text for cell in next(without.iter("tr"))] == ["layer", "parameters"]
