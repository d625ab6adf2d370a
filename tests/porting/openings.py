# ruff: noqa: E501
"""How scripts begin, and the idioms in their loops: blocks that run with `torch` or this package.

Each is a script of its own: the imports are changed, nothing else. `test_openings.py` runs them.
"""

SEEDS = """
import os, random
import numpy as np
import torch
import torch.backends.cudnn as cudnn

def seed_everything(seed=42):
    random.seed(seed)
    os.environ["PYTHONHASHSEED"] = str(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)

seed_everything()
cudnn.benchmark = True
assert cudnn.enabled and torch.backends.cudnn.benchmark
assert torch.are_deterministic_algorithms_enabled()
a = torch.rand(3)
seed_everything()
assert torch.equal(a, torch.rand(3))
torch.use_deterministic_algorithms(False)
torch.backends.cudnn.deterministic = False
"""

DEVICES = """
import torch
if torch.cuda.is_available():
    device = torch.device("cuda")
    print(torch.cuda.get_device_name(0), torch.cuda.get_device_properties(0).total_memory)
    torch.cuda.empty_cache()
elif hasattr(torch.backends, "mps") and torch.backends.mps.is_available():
    device = torch.device("mps")
else:
    device = torch.device("cpu")
device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
use_amp = device.type == "cuda"
torch.set_default_device(device)
assert torch.get_default_device() == device
torch.set_default_device("cpu")
x = torch.randn(4, 3, device=device)
y = x.to(device, non_blocking=True)
assert y.device == device and str(device) in ("cpu", "cuda:0") and torch.cuda.device_count() >= 0
with torch.device("cpu"):
    assert torch.zeros(2).device.type == "cpu"
torch.cuda.empty_cache()
if torch.cuda.is_available():
    torch.cuda.reset_peak_memory_stats()
gpu = torch.cuda.max_memory_allocated() / 1024 ** 2
assert torch.cuda.is_initialized() in (True, False) and gpu >= 0
torch.set_default_device(None)
acc = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
xpu = hasattr(torch, "xpu") and torch.xpu.is_available()
assert not xpu and torch.get_device(torch.zeros(1)) == -1
"""

FLAGS = """
import torch
torch.set_float32_matmul_precision("high")
assert torch.get_float32_matmul_precision() == "high"
torch.backends.cuda.matmul.allow_tf32 = True
torch.backends.cudnn.allow_tf32 = True
torch.set_float32_matmul_precision("highest")
n = torch.get_num_threads()
torch.set_num_threads(1)
assert torch.get_num_threads() == 1
torch.set_num_threads(n)
torch.set_printoptions(precision=4, sci_mode=False)
torch.set_flush_denormal(False)
torch.autograd.set_detect_anomaly(False)
torch.set_grad_enabled(True)
torch.set_default_dtype(torch.float32)
torch.set_default_tensor_type("torch.FloatTensor") if False else None
assert torch.version.cuda is None or torch.cuda.is_available()
with torch.backends.cudnn.flags(enabled=True, benchmark=True):
    assert torch.backends.cudnn.benchmark
assert torch.is_warn_always_enabled() is False
"""

AMP = """
import torch
from torch import nn, optim
from torch.amp import GradScaler, autocast
from contextlib import nullcontext

torch.manual_seed(0)
device_type = "cuda" if torch.cuda.is_available() else "cpu"
dtype = "float32"
ptdtype = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[dtype]
ctx = nullcontext() if device_type == "cpu" else torch.amp.autocast(device_type, dtype=ptdtype)
model = nn.Linear(3, 1)
opt = optim.SGD(model.parameters(), lr=0.1)
scaler = torch.amp.GradScaler(device_type, enabled=(dtype == "float16"))
for _ in range(3):
    opt.zero_grad(set_to_none=True)
    with ctx, autocast(device_type=device_type, enabled=False):
        loss = model(torch.ones(4, 3)).pow(2).mean()
    scaler.scale(loss).backward()
    scaler.unscale_(opt)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(opt)
    scaler.update()
state = scaler.state_dict()
scaler.load_state_dict(state) if state else None
on = GradScaler("cpu", init_scale=4.0, growth_interval=1)
opt.zero_grad()
on.scale(model(torch.ones(4, 3)).mean()).backward()
on.step(opt); on.update()
assert on.get_scale() == 8.0 and on.is_enabled()
with torch.no_grad(), torch.autocast("cpu", enabled=False):
    assert not torch.is_autocast_enabled("cpu")
"""

LOADERS = """
import random
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split
from torch.utils.data.dataset import Subset
from torch.utils.data.sampler import SubsetRandomSampler, WeightedRandomSampler
from torch.utils.data.dataloader import default_collate

def seed_worker(worker_id):
    worker_seed = torch.initial_seed() % 2**32
    np.random.seed(worker_seed)
    random.seed(worker_seed)

class Squares(Dataset):
    def __init__(self, n): self.n = n
    def __len__(self): return self.n
    def __getitem__(self, i): return torch.tensor([float(i)]), torch.tensor(float(i * i))

g = torch.Generator()
g.manual_seed(0)
data = Squares(20)
train, val = random_split(data, [16, 4], generator=torch.Generator().manual_seed(42))
loader = DataLoader(train, batch_size=4, shuffle=True, num_workers=0, pin_memory=True,
                    drop_last=True, worker_init_fn=seed_worker, generator=g)
seen = sum(len(x) for x, y in loader)
assert seen == 16 and isinstance(val, Subset)
weights = torch.DoubleTensor([1.0] * 20)
sampler = WeightedRandomSampler(weights, len(weights), replacement=True)
batch = next(iter(DataLoader(data, batch_size=5, sampler=sampler)))
assert batch[0].shape == torch.Size([5, 1])
assert default_collate([torch.ones(2)] * 3).shape == (3, 2)
x, y = default_collate([(1, 2.0), (3, 4.0)])
assert x.dtype == torch.int64 and y.dtype == torch.float64
"""

MODULES = """
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.nn import Parameter
from torch.nn.parameter import Parameter as P
from torch.nn.modules.loss import _Loss, _WeightedLoss, CrossEntropyLoss
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.utils import _pair, _single, _triple
from torch.nn.modules.module import Module
from torch.nn.modules.container import Sequential, ModuleList
from torch.nn.modules.activation import ReLU, MultiheadAttention
from torch.nn.modules.pooling import MaxPool2d
from torch.nn.modules.rnn import LSTM
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.nn.init import xavier_uniform_, kaiming_normal_
from torch.nn.common_types import _size_2_t
from typing import Optional, Tuple

class Focal(_WeightedLoss):
    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(input, target, weight=self.weight)

class Block(nn.Module):
    def __init__(self, c: int, k: _size_2_t = 3):
        super().__init__()
        self.conv = nn.Conv2d(c, c, _pair(k), padding=1)
        self.bn = nn.BatchNorm2d(c)
        self.act = nn.ReLU(inplace=True)
        for m in self.modules():
            if isinstance(m, _ConvNd):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, _BatchNorm):
                nn.init.constant_(m.weight, 1)
    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.bn(self.conv(x)) + x)

net = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(Block(4), Block(4)))
assert any(isinstance(m, nn.SyncBatchNorm) for m in net.modules())
net.eval()
net = nn.DataParallel(net)
y = net(torch.randn(2, 4, 5, 5))
assert list(net.state_dict())[0].startswith("module.") and y.shape == (2, 4, 5, 5)
model = net.module if isinstance(net, nn.DataParallel) else net
assert P is Parameter and _triple(2) == (2, 2, 2) and isinstance(CrossEntropyLoss(), _Loss)
Focal(weight=torch.ones(3))(torch.randn(2, 3), torch.tensor([0, 2]))
"""

FORMATS = """
import torch
x = torch.randn(2, 3, 4, 5, requires_grad=True)
y = x.to(memory_format=torch.channels_last)
assert y.is_contiguous(memory_format=torch.channels_last) and not y.is_contiguous()
assert y.stride() == (60, 1, 15, 3) and torch.equal(x, y)
z = y.contiguous()
assert z.is_contiguous() and z.stride() == (60, 20, 5, 1)
assert y.contiguous(memory_format=torch.contiguous_format).is_contiguous()
model = torch.nn.Conv2d(3, 2, 3).to(memory_format=torch.channels_last)
model(y).sum().backward()
assert x.grad.shape == x.shape
state = torch.zeros_like(x, memory_format=torch.preserve_format)
c = x.clone(memory_format=torch.contiguous_format)
e = torch.empty(3, dtype=torch.float32, layout=torch.strided, device="cpu", pin_memory=False)
assert e.layout == torch.strided and isinstance(e.layout, torch.layout)
assert str(torch.channels_last) == "torch.channels_last" and str(e.layout) == "torch.strided"
"""

TYPES = """
import torch
x = torch.ones(2)
assert x.dtype is torch.float32 and str(x.dtype) == "torch.float32" == repr(x.dtype)
assert str(x.dtype).split(".")[1] == "float32"
assert isinstance(x.dtype, torch.dtype) and x.dtype.is_floating_point and not x.dtype.is_complex
assert x.long().dtype == torch.int64 and not torch.int64.is_floating_point
assert torch.float64.itemsize == 8 and torch.int8.is_signed and not torch.uint8.is_signed
assert torch.is_floating_point(x) and not torch.is_complex(x) and not x.is_complex()
assert x[:, None].shape == x[:, torch.newaxis].shape == (2, 1)
assert {torch.float32: "f", torch.float64: "d"}[x.double().dtype] == "d"
assert x.type() == "torch.FloatTensor" and isinstance(x, torch.FloatTensor)
assert str(x.shape) == "torch.Size([2])" and repr(x.double()).endswith("dtype=torch.float64)")
assert torch.finfo(x.dtype).eps > 0 and torch.iinfo(torch.int32).max == 2**31 - 1
assert torch.get_default_dtype() is torch.float32 and torch.promote_types(torch.int8, torch.float32) is torch.float32
assert torch.typename(x) == "torch.FloatTensor" and torch.float32.to_complex() == torch.complex64
assert x.element_size() == x.dtype.itemsize and torch.result_type(x, 1) is torch.float32
assert torch.tensor(1.5, dtype=torch.half).dtype is torch.float16
"""

VMAP = """
import torch
from torch.func import functional_call, grad, vmap
w = torch.randn(3)
assert torch.vmap(lambda x: (x * w).sum())(torch.randn(5, 3)).shape == (5,)
with torch.random.fork_rng():
    torch.manual_seed(3); a = torch.rand(2)
b = torch.rand(2)
assert torch.e > 2.7 and torch.pi > 3.1 and torch.inf > 0
"""

TESTING = """
import torch
from torch.testing import assert_close
assert_close(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0 + 1e-7]))
torch.testing.assert_close([1, {"a": torch.ones(2)}], [1, {"a": torch.ones(2)}]) if False else None
try:
    torch.testing.assert_close(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.1]), rtol=0, atol=0.01)
except AssertionError as error:
    assert "Mismatched elements: 1 / 2 (50.0%)" in str(error)
else:
    raise SystemExit("no error")
"""

JIT = """
import torch
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    @torch.jit.script
    def gelu(x: torch.Tensor) -> torch.Tensor:
        return x * 0.5 * (1.0 + torch.tanh(0.79788456 * (x + 0.044715 * x * x * x)))
    model = torch.jit.script(torch.nn.Linear(2, 1))
    traced = torch.jit.trace(torch.nn.Linear(2, 1).eval(), torch.ones(1, 2))
assert gelu(torch.ones(2)).shape == (2,) and model(torch.ones(1, 2)).shape == traced(torch.ones(1, 2)).shape
assert not torch.jit.is_scripting()
"""

PARALLEL = """
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel as DDP
rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
mp.set_sharing_strategy("file_system")
context = mp.get_context("spawn")
queue = context.Queue()
is_main = rank == 0
assert is_main and mp.get_sharing_strategy() == "file_system"
shared = torch.zeros(2).share_memory_()
assert mp.cpu_count() >= 1
"""

CHECKPOINT = """
import argparse, os, tempfile, time
from pathlib import Path
import torch
from torch import nn, optim
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau, LambdaLR

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--epochs", type=int, default=2)
args = parser.parse_args([])
model = nn.Linear(2, 1)
optimizer = optim.AdamW(model.parameters(), lr=args.lr, betas=(0.9, 0.95), weight_decay=0.1)
scheduler = CosineAnnealingLR(optimizer, T_max=args.epochs)
loss = model(torch.ones(1, 2)).sum(); loss.backward(); optimizer.step(); scheduler.step()
path = os.path.join(tempfile.mkdtemp(), "checkpoint.pt")
torch.save({"epoch": 1, "model_state_dict": model.state_dict(), "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(), "loss": loss, "args": vars(args), "best": float("inf"),
            "rng": torch.get_rng_state()}, path)
checkpoint = torch.load(path, map_location=lambda storage, loc: storage, weights_only=True)
checkpoint = torch.load(path, map_location=torch.device("cpu"))
checkpoint = torch.load(path, map_location={"cuda:0": "cpu"})
model.load_state_dict(checkpoint["model_state_dict"])
optimizer.load_state_dict(checkpoint["optimizer"])
scheduler.load_state_dict(checkpoint["scheduler"])
torch.set_rng_state(checkpoint["rng"])
assert checkpoint["epoch"] == 1 and checkpoint["args"]["lr"] == 1e-3
torch.save(model.state_dict(), path, _use_new_zipfile_serialization=True)
"""

OPTIMIZERS = """
import math
import torch
from torch.optim import Optimizer
from torch.optim.optimizer import Optimizer as Base, required

class Lion(Optimizer):
    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        if not 0.0 <= lr:
            raise ValueError(f"Invalid learning rate: {lr}")
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))
    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("weight_decay", 0.0)
    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.is_sparse:
                    raise RuntimeError("no sparse gradients")
                p.data.mul_(1 - group["lr"] * group["weight_decay"])
                state = self.state[p]
                if len(state) == 0:
                    state["step"] = torch.tensor(0.0)
                    state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                state["step"] += 1
                beta1, beta2 = group["betas"]
                update = state["exp_avg"] * beta1 + p.grad * (1 - beta1)
                p.add_(update.sign_(), alpha=-group["lr"])
                state["exp_avg"].lerp_(p.grad, 1 - beta2)
        return loss

w = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
o = Lion([w], lr=0.1, weight_decay=0.01)
for _ in range(3):
    o.zero_grad(); (w * w).sum().backward(); o.step()
sd = o.state_dict()
o2 = Lion([w], lr=0.5); o2.load_state_dict(sd)
assert o2.param_groups[0]["lr"] == 0.1 and o2.state[w]["step"].item() == 3
torch.testing.assert_close(w.detach(), torch.tensor([0.6973, -1.6943]), rtol=0, atol=1e-4)
"""

TENSORS = """
import torch
x = torch.arange(6.0).view(2, 3)
assert x.pin_memory() is not None and x.is_pinned() in (True, False) if torch.cuda.is_available() else True
assert not x.is_meta and not x.is_quantized and not x.is_inference() and x.is_leaf
assert x.untyped_storage().data_ptr() == x[0].untyped_storage().data_ptr()
assert x.untyped_storage().nbytes() == 24
y = torch.tensor([1.0, 2.0]); y.apply_(lambda v: v * 2)
assert y.tolist() == [2.0, 4.0]
torch.relu_(y.neg_()); assert y.tolist() == [0.0, 0.0]
torch.zero_(y); torch.fill_(y, 3.0); torch.exp_(torch.zeros(1)); torch.clamp_(y, max=2.0)
assert y.tolist() == [2.0, 2.0]
z = torch.empty(0); z.resize_(2, 2); assert z.shape == (2, 2)
z.resize_as_(torch.zeros(3)); assert z.shape == (3,)
a = torch.zeros(2); a.set_(torch.ones(3)); assert a.tolist() == [1.0, 1.0, 1.0]
h = torch.tensor([-1.0, 2.0], requires_grad=True); g = h * 2
torch.nn.functional.relu_(g); g.sum().backward(); assert h.grad.tolist() == [0.0, 2.0]
torch.nn.functional.elu_(torch.zeros(1)); torch.nn.functional.leaky_relu_(torch.zeros(1), 0.2)
torch.nn.functional.hardtanh_(torch.zeros(1)); torch.selu_(torch.zeros(1)); torch.celu_(torch.zeros(1))
torch.nn.functional.threshold_(torch.zeros(1), 0.1, 20.0); torch.rrelu_(torch.zeros(1))
"""

GUARDS = """
import torch
torch_version = torch.__version__.split("+")[0]
has_compile = hasattr(torch, "compile")
has_sdpa = hasattr(torch.nn.functional, "scaled_dot_product_attention")
assert has_sdpa and int(torch_version.split(".")[0]) >= 0
try:
    import torch._dynamo
except ImportError:
    pass
if torch.cuda.is_available():
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
try:
    pass
except torch.cuda.OutOfMemoryError:
    torch.cuda.empty_cache()
print(torch.__config__.show()[:0], end="")
print(torch.__config__.parallel_info()[:0], end="")
"""
