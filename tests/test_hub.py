"""Weights from the network: fetched once, held against their hash, whole or not there."""

import hashlib
from urllib.error import URLError

import pytest

import tinygrad_opt as tg
from tinygrad_opt import hub, nn
from tinygrad_opt.utils import model_zoo


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "_chosen", None)
    hub.set_dir(tmp_path / "hub")
    return tmp_path / "hub" / "checkpoints"


def published(folder, prefix=None):
    """The URL of saved weights, with the beginning of their hash in the name."""
    state = nn.Linear(2, 3).state_dict()
    tg.save(state, folder / "plain.pt")
    found = hashlib.sha256((folder / "plain.pt").read_bytes()).hexdigest()[:8]
    file = (folder / "plain.pt").rename(folder / f"net-{prefix or found}.pt")
    return state, file


def test_weights_are_fetched_once(kept, tmp_path, capsys):
    state, file = published(tmp_path)
    found = hub.load_state_dict_from_url(file.as_uri(), check_hash=True)
    assert capsys.readouterr().out == f'Downloading: "{file.as_uri()}" to {kept / file.name}\n'
    file.unlink()
    again = model_zoo.load_url(file.as_uri(), map_location="cpu")
    assert capsys.readouterr().out == ""
    for name, value in state.items():
        assert found[name].tolist() == again[name].tolist() == value.tolist()
    assert [path.name for path in kept.iterdir()] == [file.name]


def test_another_file_leaves_nothing_behind(kept, tmp_path):
    _, file = published(tmp_path, "0123abcd")
    with pytest.raises(RuntimeError, match=r"SHA-256 is .*should begin with 0123abcd"):
        hub.load_state_dict_from_url(file.as_uri(), check_hash=True)
    with pytest.raises(URLError):
        hub.load_state_dict_from_url((tmp_path / "nothing.pt").as_uri())
    assert list(kept.iterdir()) == []
    hub.load_state_dict_from_url(file.as_uri(), tmp_path, file_name="mine.pt")  # not asked for
    assert (tmp_path / "mine.pt").exists()


def test_the_folder_is_pytorchs(monkeypatch):
    monkeypatch.setattr(hub, "_chosen", None)
    monkeypatch.setenv("TORCH_HOME", "/models")
    assert hub.get_dir() == "/models/hub"
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert hub.get_dir() == "/cache/torch/hub"


def test_repositories_are_not_fetched():
    with pytest.raises(AttributeError, match="make the model from its class, and fetch weights"):
        hub.load("pytorch/vision", "resnet18")
