"""SummaryWriter takes this package's tensors."""

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
        writer.add_hparams({"lr": 0.1}, {"loss": tg.tensor(0.5)})
        writer.flush()
        with pytest.raises(NotImplementedError, match=r"use tinygrad_opt\.draw_graph"):
            writer.add_graph(None)
    written = list((tmp_path / "run").rglob("events*"))
    assert sum(path.stat().st_size for path in written) > 1000
    content = b"".join(path.read_bytes() for path in written)
    for word in (b"loss", b"weights", b"image", b"words", b"curve"):
        assert word in content


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="has no attribute 'tensorbord'"):
        _ = tg.utils.tensorbord
