"""SummaryWriter takes this package's tensors."""

import struct
import sys

import pytest

import tinygrad_opt as tg


def test_without_the_writer_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"SummaryWriter needs tensorboardX.*\[tensorboard\]"):
        tg.utils.tensorboard.SummaryWriter(tmp_path)


def test_everything_is_written(tmp_path):
    pytest.importorskip("tensorboardX")
    from tinygrad_opt.utils.tensorboard import SummaryWriter

    x = tg.randn(20, requires_grad=True)
    with SummaryWriter(log_dir=tmp_path / "run") as writer:
        assert writer.get_logdir() == writer.log_dir == str(tmp_path / "run")
        writer.add_scalar("loss", x.sum(), global_step=1)
        writer.add_scalars("both", {"a": tg.tensor(1.0), "b": 2.0}, 1)
        writer.add_histogram("weights", x, 1)
        writer.add_image("image", tg.rand(3, 4, 5), 1)
        writer.add_images("images", tg.rand(2, 3, 4, 5), 1)
        writer.add_text("text", "words", 1)
        writer.add_pr_curve("curve", (x > 0).int(), tg.rand(20), 1)
        writer.add_embedding(tg.randn(4, 3), metadata=list("abcd"))
        writer.add_hparams({"lr": tg.tensor(0.1)}, {"loss": tg.tensor(0.5)}, run_name="first")
        writer.add_graph(MODEL, tg.ones(1, 4))
        writer.flush()
        with pytest.raises(NotImplementedError, match="use add_histogram or add_image"):
            writer.add_tensor("x", x)
        with pytest.raises(ValueError, match="add_graph: give the model's input"):
            writer.add_graph(MODEL)
    events = events_in(tmp_path / "run")
    values = {v.tag: v for event in events for v in event.summary.value}
    assert values["loss"].simple_value == pytest.approx(x.sum().item())
    assert values["weights"].histo.num == 20
    assert values["weights"].histo.sum == pytest.approx(x.sum().item(), abs=1e-5)
    assert (values["image"].image.height, values["image"].image.width) == (4, 5)
    assert (values["images"].image.height, values["images"].image.width) == (4, 10)
    assert values["text/text_summary"].tensor.string_val == [b"words"]
    assert [d.size for d in values["curve"].tensor.tensor_shape.dim] == [6, 127]
    assert len((tmp_path / "run" / "00000" / "default" / "tensors.tsv").read_text().split()) == 12
    metrics = [v for event in events_in(tmp_path / "run" / "first") for v in event.summary.value]
    assert [v.simple_value for v in metrics if v.tag == "loss"] == [0.5]
    nodes = graph_in(events)
    assert list(nodes["Net/out/linear_2"].input) == ["Net/relu_1", "Net/out/weight", "Net/out/bias"]
    assert nodes["Net/first/linear_0"].attr["_output_shapes"].list.shape[0].dim[1].size == 3
    assert MODEL.training


class Net(tg.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.out = tg.nn.Linear(4, 3), tg.nn.Linear(3, 2)

    def forward(self, x):
        return self.out(tg.relu(self.first(x)))


MODEL = Net()


def events_in(folder):
    """The events of the files in a folder; a record is its length, a checksum, it, a checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in folder.glob("events*"):
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + size]))
            data = data[16 + size :]
    return found


def graph_in(events):
    from tensorboardX.proto.graph_pb2 import GraphDef

    (graph,) = (GraphDef.FromString(event.graph_def) for event in events if event.graph_def)
    return {node.name: node for node in graph.node}


def test_tensorboards_own_reader_takes_it(tmp_path):
    pytest.importorskip("tensorboardX")
    reader = "tensorboard.backend.event_processing.event_accumulator"
    reader = pytest.importorskip(reader, reason="reads events: pip install tensorboard")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    from tinygrad_opt.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("loss", tg.ones(1), 3, new_style=False)
        writer.add_histogram("weights", MODEL.first.weight, 3)
        writer.add_image("image", tg.rand(1, 4, 5), 3)
        writer.add_figure("figure", pyplot.figure(), 3)
        writer.add_graph(MODEL, (tg.ones(1, 4),))
    read = reader.EventAccumulator(str(tmp_path))
    read.Reload()
    assert [(e.step, e.value) for e in read.Scalars("loss")] == [(3, 1.0)]
    assert read.Histograms("weights")[0].histogram_value.num == 12
    assert sorted(read.Tags()["images"]) == ["figure", "image"]
    assert read.Graph().node[0].name == "input/0"


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="has no attribute 'tensorbord'"):
        _ = tg.utils.tensorbord
