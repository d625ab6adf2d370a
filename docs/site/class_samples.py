"""Examples for layers, losses, optimizers, schedulers and distributions whose docstring has none.

As in `samples.py` they run while the site is built, and what is shown is what came out.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from tinygrad_opt import distributions, nn, optim

# What constructors are given, by the name of the argument.
GIVEN = {
    "in_features": "4", "out_features": "2", "in1_features": "4", "in2_features": "3",
    "in_channels": "1", "out_channels": "2", "kernel_size": "2", "num_features": "3",
    "num_channels": "4", "num_groups": "2", "normalized_shape": "(4,)", "input_size": "4",
    "hidden_size": "3", "num_embeddings": "5", "embedding_dim": "2", "embed_dim": "4",
    "num_heads": "2", "d_model": "4", "nhead": "2", "padding": "1", "output_size": "2",
    "scale_factor": "2", "upscale_factor": "2", "downscale_factor": "2", "groups": "2",
    "threshold": "0.5", "value": "0.0", "norm_type": "2", "unflattened_size": "(2, 2)", "dim": "1",
    "n_classes": "6", "cutoffs": "[2, 4]", "module": "nn.Linear(4, 2)", "block_size": "2",
    "dropout": "0.0",
    # Settings of schedulers.
    "step_size": "2", "milestones": "[2, 4]", "gamma": "0.5", "T_max": "4", "T_0": "2",
    "max_lr": "1.0", "base_lr": "0.1", "total_steps": "6", "total_iters": "4", "warmup_steps": "2",
    "warmup": "2", "lr_lambda": "lambda epoch: 0.9**epoch", "num_warmup_steps": "2",
    "num_training_steps": "6", "steps": "6", "warmup_iters": "2", "power": "1.0",
    # Parameters of distributions.
    "loc": "0.0", "scale": "1.0", "rate": "2.0", "probs": "tensor([0.25, 0.75])", "df": "4.0",
    "concentration1": "2.0", "concentration0": "3.0", "low": "0.0", "high": "2.0",
    "total_count": "4", "df1": "4.0", "df2": "6.0", "temperature": "tensor(0.5)", "alpha": "3.0",
    "concentration": "tensor([1.0, 2.0])",
}  # fmt: skip
# Where a distribution's parameter is a number, but a vector for others.
SCALARS = {"probs": "0.25", "concentration": "2.0"}
# What layers and losses are called with: the first that goes.
INPUTS = [
    "ones(2, 4)", "tensor([[0.5, 0.5]]), tensor([[1.0, 0.0]])", "ones(2, 4), ones(2, 4)",
    "ones(2, 4), ones(2, 3)", "ones(2, 3)",
    "ones(1, 1, 4)", "ones(1, 1, 4, 4)", "ones(1, 1, 4, 4, 4)", "ones(1, 3, 4)",
    "ones(2, 3, 4, 4)", "ones(2, 3, 4, 4, 4)", "ones(1, 4, 4, 4)", "tensor([0, 3])",
    "tensor([[0, 3]])", "ones(2, 4), tensor([0, 1])", "ones(2, 1, 4)",
    "ones(2, 1, 4), ones(2, 1, 4)", "ones(2, 4), ones(2, 4), ones(2, 4)",
    "ones(2, 1, 4), ones(2, 1, 4), ones(2, 1, 4)", "ones(2), ones(2), ones(2)",
    "zeros(2, 4), ones(2, 4), ones(2, 4)", "ones(2, 4), ones(2, 4).long()",
    "zeros(5, 1, 3).log_softmax(2), tensor([[1, 2]]), tensor([5]), tensor([2])",
    "ones(2, 4), ones(2, 4), ones(2)",
]  # fmt: skip


# Where an example is not to be guessed: lines, and what is shown.
NUMBERS = "data = utils.data.TensorDataset(arange(6.0))"
LAYER = "layer = nn.Linear(2, 2)"
HAND: dict[str, tuple[list[str], str]] = {
    "enable_grad": (
        ["x = ones(1, requires_grad=True)", "with no_grad(), enable_grad(): y = x * 2"],
        "y.requires_grad",
    ),
    "no_grad": (
        ["x = ones(1, requires_grad=True)", "with no_grad(): y = x * 2"],
        "y.requires_grad",
    ),
    "inference_mode": (
        ["x = ones(1, requires_grad=True)", "with inference_mode(): y = x * 2"],
        "y.requires_grad, y.is_inference()",
    ),
    "set_grad_enabled": (
        ["x = ones(1, requires_grad=True)", "with set_grad_enabled(False): y = x * 2"],
        "y.requires_grad",
    ),
    "device": (["d = device('cpu')"], "d, d.type, d.index"),
    "finfo": (["f = finfo(float32)"], "f.bits, f.max, f.eps"),
    "iinfo": (["i = iinfo(int8)"], "i.bits, i.min, i.max"),
    "nn.KLDivLoss": (
        ["loss = nn.KLDivLoss(reduction='batchmean')"],
        "loss(tensor([[-0.5, -1.0]]), tensor([[0.5, 0.5]]))",
    ),
    "nn.TransformerEncoder": (
        [
            "layer = nn.TransformerEncoderLayer(4, 2, dim_feedforward=8)",
            "encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)",
        ],
        "encoder(ones(3, 1, 4)).shape",
    ),
    "nn.TransformerDecoder": (
        [
            "layer = nn.TransformerDecoderLayer(4, 2, dim_feedforward=8)",
            "decoder = nn.TransformerDecoder(layer, 2)",
        ],
        "decoder(ones(3, 1, 4), ones(5, 1, 4)).shape",
    ),
    "nn.Buffer": (
        [LAYER, "layer.mean = nn.Buffer(zeros(2))"],
        "[*layer.state_dict()]",
    ),
    "nn.UninitializedParameter": (
        [
            "layer = nn.LazyLinear(2)",
            "before = type(layer.weight).__name__",
            "y = layer(ones(1, 3))",
        ],
        "before, layer.weight.shape",
    ),
    "nn.LocalResponseNorm": (
        ["layer = nn.LocalResponseNorm(2)"],
        "layer(ones(1, 4, 1))[0, :, 0]",
    ),
    "nn.utils.prune.L1Unstructured": (
        ["prune = nn.utils.prune.L1Unstructured(amount=2)"],
        "prune.prune(tensor([3.0, -1.0, 2.0, 0.5]))",
    ),
    "nn.utils.prune.LnStructured": (
        ["prune = nn.utils.prune.LnStructured(amount=1, n=2, dim=0)"],
        "prune.prune(tensor([[3.0, 4.0], [1.0, 0.0]]))",
    ),
    "nn.utils.prune.Identity": (
        ["prune = nn.utils.prune.Identity()"],
        "prune.prune(tensor([3.0, -1.0]))",
    ),
    "nn.utils.prune.CustomFromMask": (
        ["prune = nn.utils.prune.CustomFromMask(tensor([1.0, 0.0]))"],
        "prune.prune(tensor([3.0, -1.0]))",
    ),
    "nn.utils.prune.PruningContainer": (
        [
            LAYER,
            "_ = nn.utils.prune.l1_unstructured(layer, 'weight', amount=1)",
            "_ = nn.utils.prune.l1_unstructured(layer, 'weight', amount=1)",
        ],
        "int(layer.weight_mask.sum())",
    ),
    "nn.utils.rnn.PackedSequence": (
        ["packed = nn.utils.rnn.pack_sequence([tensor([1.0, 2.0]), tensor([3.0])])"],
        "packed.data, packed.batch_sizes",
    ),
    "nn.utils.parametrize.ParametrizationList": (
        [LAYER, "_ = nn.utils.parametrizations.weight_norm(layer)"],
        "type(layer.parametrizations.weight).__name__",
    ),
    "utils.data.BatchSampler": (
        ["order = utils.data.SequentialSampler(range(5))"],
        "[*utils.data.BatchSampler(order, 2, drop_last=False)]",
    ),
    "utils.data.ChainDataset": (
        ["class Count(utils.data.IterableDataset):\n    def __iter__(self): return iter(range(2))"],
        "[*utils.data.ChainDataset([Count(), Count()])]",
    ),
    "utils.data.ConcatDataset": (
        [NUMBERS, "both = utils.data.ConcatDataset([data, data])"],
        "len(both), both[7]",
    ),
    "utils.data.Dataset": (
        [
            "class Squares(utils.data.Dataset):\n    def __len__(self): return 4\n"
            "    def __getitem__(self, i): return i * i"
        ],
        "[*utils.data.DataLoader(Squares(), batch_size=2)]",
    ),
    "utils.data.IterableDataset": (
        ["class Count(utils.data.IterableDataset):\n    def __iter__(self): return iter(range(4))"],
        "[*utils.data.DataLoader(Count(), batch_size=2)]",
    ),
    "utils.data.RandomSampler": (
        ["order = utils.data.RandomSampler(range(4), generator=Generator().manual_seed(0))"],
        "sorted(order)",
    ),
    "utils.data.SequentialSampler": (
        ["order = utils.data.SequentialSampler(range(3))"],
        "[*order]",
    ),
    "utils.data.Subset": ([NUMBERS, "part = utils.data.Subset(data, [4, 1])"], "[*part]"),
    "utils.data.SubsetRandomSampler": (
        ["order = utils.data.SubsetRandomSampler([3, 5, 8])"],
        "sorted(order)",
    ),
    "utils.data.WeightedRandomSampler": (
        ["order = utils.data.WeightedRandomSampler([0.0, 1.0], num_samples=3)"],
        "[*order]",
    ),
    "distributed.ReduceOp": (["op = distributed.ReduceOp.SUM"], "op == distributed.ReduceOp.SUM"),
    "autograd.forward_ad.dual_level": (
        [
            "fw = autograd.forward_ad",
            "with fw.dual_level(): y = fw.unpack_dual(fw.make_dual(tensor(3.0), tensor(1.0)) ** 2)",
        ],
        "y.primal, y.tangent",
    ),
    "autograd.set_detect_anomaly": (
        ["with autograd.set_detect_anomaly(True): on = is_anomaly_enabled()"],
        "on",
    ),
    "cuda.amp.autocast": (["with cuda.amp.autocast(): y = ones(2) * 2"], "y"),
    **{
        f"{kind}Tensor": ([f"x = {kind}Tensor([1, 0])"], "x.dtype, x.tolist()")
        for kind in ("Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short")
    },
}


def calls(cls: type, short: str) -> Iterator[tuple[list[str], str]]:
    """(lines that make something, the expression that is shown) in the order to try."""
    if short in HAND:
        yield HAND[short]
    elif issubclass(cls, optim.Optimizer):
        yield from _optimizer(short)
    elif issubclass(cls, optim.lr_scheduler.LRScheduler):
        yield from _scheduler(cls, short)
    elif issubclass(cls, distributions.Distribution):
        yield from _distribution(cls, short)
    elif issubclass(cls, nn.Module):
        yield from _layer(cls, short)


def _optimizer(short: str) -> Iterator[tuple[list[str], str]]:
    for start in ("[1.0, -2.0]", "[[1.0, -2.0], [3.0, 0.5]]"):
        for rate in (", lr=0.1", ""):
            yield (
                [
                    f"p = tensor({start}, requires_grad=True)",
                    f"optimizer = {short}([p]{rate})",
                    "for _ in range(3): optimizer.zero_grad(); (p * p).sum().backward(); "
                    "optimizer.step()",
                ],
                "p",
            )
    yield (
        [
            "p = tensor([1.0, -2.0], requires_grad=True)",
            f"optimizer = {short}([p], lr=0.1)",
            "loss = optimizer.step(lambda: ((p * p).sum().backward(), (p * p).sum())[1])",
        ],
        "p",
    )


def _scheduler(cls: type, short: str) -> Iterator[tuple[list[str], str]]:
    settings = _settings(cls, 1)
    if settings is None:
        return
    given = ", ".join(["optimizer", *settings])
    for momentum in ("", ", momentum=0.9"):
        yield (
            [
                f"optimizer = optim.SGD([zeros(1, requires_grad=True)], lr=1.0{momentum})",
                f"scheduler = {short}({given})",
                "rates = []",
                "for _ in range(5): rates += scheduler.get_last_lr(); optimizer.step(); "
                "scheduler.step()",
            ],
            "[round(rate, 4) for rate in rates]",
        )


def _distribution(cls: type, short: str) -> Iterator[tuple[list[str], str]]:
    for given in (_settings(cls, 0, **SCALARS), _settings(cls, 0)):
        if given is not None:
            line = f"d = {short}({', '.join(given)})"
            yield [line], "d.mean, d.log_prob(tensor(1.0))"
            yield [line], "d.mean, d.log_prob(tensor([0.0, 1.0]))"
            yield [line], "d.mean, d.log_prob(tensor([0.25, 0.75]))"
            yield [line], "d.log_prob(tensor(1.0))"


def _layer(cls: type, short: str) -> Iterator[tuple[list[str], str]]:
    settings = _settings(cls, 0)
    if settings is None:
        return
    loss = cls.__module__.startswith("tinygrad_opt.nn.losses")
    line = f"{'loss' if loss else 'layer'} = {short}({', '.join(settings)})"
    name = line.partition(" ")[0]
    for given in INPUTS:
        if loss:
            yield [line], f"{name}({given})"
        else:
            yield [line], f"{name}, {name}({given}).shape"
            yield [line], f"{name}, {name}({given})[0].shape"
    for given in INPUTS:
        if not loss:
            yield [line], f"{name}({given}).shape"
    if not loss:
        yield [line], name


def _settings(cls: type, skipped: int, **more: str) -> list[str] | None:
    """What the constructor needs, behind so many others; None where something is unknown."""
    try:
        parameters = list(inspect.signature(cls).parameters.values())[skipped:]
    except (TypeError, ValueError):
        return None
    known: dict[str, Any] = {**GIVEN, **more}
    # Of a distribution's probabilities and logits one is given, and both have a default.
    needed = [p for p in parameters if p.default is p.empty or p.name == "probs"]
    needed = [p for p in needed if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if any(p.name not in known for p in needed):
        return None
    by_place = [p for p in needed if p.default is p.empty and p.kind is not p.KEYWORD_ONLY]
    return [known[p.name] if p in by_place else f"{p.name}={known[p.name]}" for p in needed]
