"""What optimizers refuse, with PyTorch's words, and PyTorch's choices of implementation."""

from __future__ import annotations

import pytest

import tinygrad_opt
from tinygrad_opt import optim


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.SGD(p, lr=-1), r"SGD: Invalid learning rate: -1"),
        (lambda p: optim.SGD(p, lr=float("nan")), r"SGD: Invalid learning rate: nan"),
        (lambda p: optim.SGD(p, momentum=-0.5), r"Invalid momentum value: -0.5"),
        (lambda p: optim.SGD(p, weight_decay=-1), r"Invalid weight_decay value: -1"),
        (lambda p: optim.SGD(p, nesterov=True), r"Nesterov momentum requires a momentum and zero"),
        (
            lambda p: optim.SGD(p, momentum=0.9, dampening=0.1, nesterov=True),
            r"Nesterov .* dampening=0.1",
        ),
        (lambda p: optim.Adam(p, lr=-0.1), r"Adam: Invalid learning rate: -0.1"),
        (lambda p: optim.Adam(p, betas=(1.0, 0.9)), r"Invalid beta parameter at index 0: 1.0"),
        (lambda p: optim.Adam(p, betas=(0.9, 1.5)), r"betas\[1\] must be in \[0, 1\), got 1.5"),
        (lambda p: optim.AdamW(p, eps=-1), r"AdamW: Invalid epsilon value: -1"),
        (lambda p: optim.AdamW(p, weight_decay=-1), r"AdamW: Invalid weight_decay value"),
        (lambda p: optim.RMSprop(p, alpha=-1), r"Invalid alpha value: -1"),
        (lambda p: optim.RMSprop(p, momentum=-1), r"Invalid momentum value: -1"),
        (lambda p: optim.RMSprop(p, eps=-1), r"Invalid epsilon value: -1"),
        (lambda p: optim.RMSprop(p, weight_decay=-1), r"Invalid weight_decay value: -1"),
        (lambda p: optim.Adamax(p, lr=-1), r"Adamax: Invalid learning rate: -1"),
        (lambda p: optim.Adamax(p, betas=(0.9, 1)), r"Invalid beta parameter at index 1: 1"),
        (lambda p: optim.Adamax(p, eps=-1), r"Invalid epsilon value: -1"),
        (lambda p: optim.Adamax(p, weight_decay=-1), r"Invalid weight_decay value: -1"),
        (lambda p: optim.NAdam(p, momentum_decay=-1), r"NAdam: Invalid momentum_decay value: -1"),
        (lambda p: optim.NAdam(p, betas=(-1, 0.9)), r"Invalid beta parameter at index 0: -1"),
        (lambda p: optim.NAdam(p, eps=-1), r"Invalid epsilon value: -1"),
        (lambda p: optim.NAdam(p, weight_decay=-1), r"Invalid weight_decay value: -1"),
        (lambda p: optim.RAdam(p, betas=(0.9, 1.0)), r"RAdam: Invalid beta parameter at index 1"),
        (lambda p: optim.RAdam(p, eps=-1), r"Invalid epsilon value: -1"),
        (lambda p: optim.RAdam(p, weight_decay=-1), r"Invalid weight_decay value: -1"),
        (lambda p: optim.Adagrad(p, lr_decay=-1), r"Adagrad: Invalid lr_decay value: -1"),
        (
            lambda p: optim.Adagrad(p, initial_accumulator_value=-1),
            r"Invalid initial_accumulator_value value: -1",
        ),
        (lambda p: optim.Adagrad(p, eps=-1), r"Invalid epsilon value: -1"),
        (lambda p: optim.Adagrad(p, weight_decay=-1), r"Invalid weight_decay value: -1"),
        (lambda p: optim.Adadelta(p, rho=1.1), r"Adadelta: Invalid rho value: 1.1"),
        (lambda p: optim.Adadelta(p, eps=-1), r"Invalid epsilon value: -1"),
        (lambda p: optim.Adadelta(p, weight_decay=-1), r"Invalid weight_decay value: -1"),
        (lambda p: optim.Rprop(p, etas=(1.0, 0.5)), r"Rprop: Invalid eta values: 1.0, 0.5"),
        (lambda p: optim.ASGD(p, weight_decay=-1), r"ASGD: Invalid weight_decay value: -1"),
        (lambda p: optim.Lion(p, betas=(0.9, 1.0)), r"Lion: Invalid beta parameter at index 1"),
        (lambda p: optim.Lion(p, weight_decay=-1), r"Invalid weight_decay value: -1"),
        (lambda p: optim.Adan(p, betas=(0.9, 0.9, 1.0)), r"Adan: Invalid beta .*index 2: 1.0"),
        (lambda p: optim.Adan(p, eps=-1), r"Invalid epsilon value: -1"),
        (lambda p: optim.Adan(p, weight_decay=-1), r"Invalid weight_decay value: -1"),
        (lambda p: optim.ADOPT(p, betas=(0.9, 1.0)), r"ADOPT: Invalid beta parameter at index 1"),
        (lambda p: optim.ADOPT(p, eps=-1), r"Invalid epsilon value: -1"),
        (lambda p: optim.ADOPT(p, weight_decay=-1), r"Invalid weight_decay value: -1"),
        (lambda p: optim.AdaBelief(p, betas=(2, 0.9)), r"AdaBelief: Invalid beta parameter"),
        (lambda p: optim.AdaBelief(p, eps=-1), r"Invalid epsilon value: -1"),
        (lambda p: optim.AdaBelief(p, weight_decay=-1), r"Invalid weight_decay value: -1"),
        (lambda p: optim.SGDScheduleFree(p, momentum=0), r"Invalid momentum value: 0 "),
        (lambda p: optim.SGDScheduleFree(p, momentum=1.0), r"Invalid momentum value: 1.0"),
        (lambda p: optim.SGDScheduleFree(p, warmup_steps=-1), r"Invalid warmup_steps value: -1"),
        (lambda p: optim.AdamWScheduleFree(p, betas=(0.0, 0.9)), r"Invalid beta .* index 0: 0"),
        (lambda p: optim.AdamWScheduleFree(p, betas=(0.9, 1.0)), r"Invalid beta .* index 1: 1.0"),
        (lambda p: optim.AdamWScheduleFree(p, eps=-1), r"Invalid epsilon value: -1"),
        (lambda p: optim.AdamWScheduleFree(p, weight_decay=-1), r"Invalid weight_decay value: -1"),
        (lambda p: optim.textbook.Momentum(p, beta=1.0), r"Momentum: Invalid beta .*index 0: 1.0"),
        (lambda p: optim.textbook.RMSprop(p, beta=-1), r"RMSprop: Invalid beta"),
        (lambda p: optim.textbook.RMSprop(p, eps=-1), r"RMSprop: Invalid epsilon"),
        (lambda p: optim.textbook.Adam(p, betas=(0.9, 2)), r"Adam: Invalid beta .*index 1: 2"),
        (lambda p: optim.textbook.Adam(p, eps=-1), r"Adam: Invalid epsilon value: -1"),
        (
            lambda p: optim.SGD(p, lr=tinygrad_opt.tensor([1.0, 2.0])),
            r"SGD: Tensor lr must be 1-element",
        ),
        (
            lambda p: optim.Adam(p, lr=tinygrad_opt.tensor(0.1), foreach=True),
            r"lr as a Tensor is not supported for capturable=False and foreach=True",
        ),
    ],
)
def test_settings_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make(None)  # settings are looked at before parameters, as in PyTorch


def test_flags_of_pytorchs_implementations():
    p = tinygrad_opt.zeros(2, requires_grad=True)
    optim.SGD([p], lr=0.1, fused=True)
    optim.Adam([p], foreach=True, capturable=True)
    for cls in (optim.Adamax, optim.NAdam, optim.RAdam, optim.Adadelta, optim.Rprop, optim.ASGD):
        cls([p], foreach=True, capturable=True)
        with pytest.raises(RuntimeError, match=f"{cls.__name__}: differentiable=True is not supp"):
            cls([p], differentiable=True)
    for cls in (optim.Adam, optim.Adagrad):
        with pytest.raises(RuntimeError, match="`fused` and `foreach` cannot be `True` together"):
            cls([p], fused=True, foreach=True)


def test_a_learning_rate_may_be_a_tensor():
    def end(lr):
        p = tinygrad_opt.tensor([1.0]).requires_grad_()
        optimizer = optim.SGD([p], lr=lr)
        p.grad = tinygrad_opt.tensor([2.0])
        optimizer.step()
        return p.item()

    assert end(tinygrad_opt.tensor(0.25)) == end(0.25) == 0.5


@pytest.mark.parametrize(
    "cls",
    [optim.Adamax, optim.NAdam, optim.RAdam, optim.Adagrad, optim.Adadelta, optim.Rprop,
     optim.ASGD, optim.Lion, optim.Adan, optim.ADOPT, optim.AdaBelief, optim.SGDScheduleFree,
     optim.AdamWScheduleFree],
)  # fmt: skip
def test_every_optimizer_takes_a_tensor_as_learning_rate(cls):
    def end(lr):
        p = tinygrad_opt.tensor([1.0]).requires_grad_()
        optimizer = cls([p], lr=lr)
        if hasattr(optimizer, "train"):
            optimizer.train()
        for _ in range(3):
            p.grad = tinygrad_opt.tensor([2.0])
            optimizer.step()
        return p.item()

    assert end(tinygrad_opt.tensor(0.25)) == end(0.25) != 1.0
