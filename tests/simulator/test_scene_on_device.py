"""Names that set the scene, where there is a GPU."""

import io

from on_device import CUDA

import tinygrad_opt as tg


def test_new_tensors_lie_on_the_default_device():
    tg.set_default_device("cuda")
    try:
        made = [tg.zeros(2), tg.tensor([1.0]), tg.arange(3), tg.rand(2), tg.eye(2)]
        assert all(x.device == CUDA for x in made)
        assert tg.zeros(2, device="cpu").device.type == "cpu"
        assert tg.nn.Linear(2, 3).weight.device == CUDA
    finally:
        tg.set_default_device(None)
    assert tg.zeros(2).device.type == "cpu"
    with tg.device("cuda"):
        assert tg.ones(2).device == CUDA
    assert tg.ones(2).device.type == "cpu"


def test_files_say_where_tensors_were():
    x = tg.ones(2, device="cuda")
    for format in ("pytorch", "safetensors"):
        file, places = io.BytesIO(), []
        tg.save({"x": x}, file, format=format)

        def noted(storage, place, places=places):
            places.append(place)

        tg.load(io.BytesIO(file.getvalue()), map_location=noted)
        assert places == (["cuda:0"] if format == "pytorch" else ["cpu"])
        for where in ("cuda", {"cuda:0": "cuda:0", "cpu": "cuda"},
                      lambda storage, place: storage.cuda(0)):  # fmt: skip
            held = tg.load(io.BytesIO(file.getvalue()), map_location=where)
            assert held["x"].device == CUDA
        held = tg.load(io.BytesIO(file.getvalue()), map_location={"cuda:0": "cpu"})
        assert held["x"].device.type == "cpu"


def test_the_scaler_works_on_the_device():
    w = tg.ones(2, device="cuda").requires_grad_()
    optimizer = tg.optim.SGD([w], 0.25)
    scaler = tg.amp.GradScaler("cuda", init_scale=4.0)
    assert scaler.is_enabled()
    scaler.scale((w * w).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert w.cpu().tolist() == [0.5, 0.5]
    assert tg.accelerator.current_accelerator() == tg.device("cuda")
    assert tg.get_device(w) == 0
