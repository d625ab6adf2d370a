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

NANOGPT = """
import math, inspect
from dataclasses import dataclass
from contextlib import nullcontext
import numpy as np
import torch
import torch.nn as nn
from torch.nn import functional as F

backend = "nccl"; device = "cpu"; dtype = "bfloat16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "float32"
torch.manual_seed(1337 + 0)
torch.backends.cuda.matmul.allow_tf32 = True
device_type = "cuda" if "cuda" in device else "cpu"
ptdtype = {"float32": torch.float32, "float16": torch.float16}[dtype if dtype != "bfloat16" else "float16"]
ctx = nullcontext() if device_type == "cpu" else torch.amp.autocast(device_type=device_type, dtype=ptdtype)
data = np.arange(64, dtype=np.uint16)
def get_batch(block_size=8, batch_size=4):
    ix = torch.randint(len(data) - block_size, (batch_size,))
    x = torch.stack([torch.from_numpy((data[i:i + block_size]).astype(np.int64)) for i in ix])
    y = torch.stack([torch.from_numpy((data[i + 1:i + 1 + block_size]).astype(np.int64)) for i in ix])
    return x.to(device), y.to(device)
x, y = get_batch()
assert torch.equal(x + 1, y)
fused_available = "fused" in inspect.signature(torch.optim.AdamW).parameters
extra = dict(fused=True) if fused_available and device_type == "cuda" else dict()
emb = nn.Embedding(64, 16)
opt = torch.optim.AdamW([{"params": [emb.weight], "weight_decay": 0.1}], lr=6e-4, betas=(0.9, 0.95), **extra)
with ctx:
    logits = F.linear(emb(x), emb.weight)
    loss = F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1), ignore_index=-1)
scaler = torch.amp.GradScaler(enabled=False)
scaler.scale(loss).backward(); scaler.unscale_(opt)
torch.nn.utils.clip_grad_norm_(emb.parameters(), 1.0)
scaler.step(opt); scaler.update(); opt.zero_grad(set_to_none=True)
def get_lr(it, warmup=10, decay=100, lr=6e-4, low=6e-5):
    if it < warmup: return lr * (it + 1) / (warmup + 1)
    return low + 0.5 * (1.0 + math.cos(math.pi * (it - warmup) / (decay - warmup))) * (lr - low)
for group in opt.param_groups: group["lr"] = get_lr(50)
logits = logits[:, -1, :] / 0.8
v, _ = torch.topk(logits, min(10, logits.size(-1)))
logits[logits < v[:, [-1]]] = -float("Inf")
idx_next = torch.multinomial(F.softmax(logits, dim=-1), num_samples=1)
assert torch.cat((x, idx_next), dim=1).shape == (4, 9) and (logits > -float("inf")).sum().item() >= 40
"""

DIFFUSION = """
import math
import torch
import torch.nn.functional as F

def extract(a, t, x_shape):
    out = a.gather(-1, t.cpu())
    return out.reshape(t.shape[0], *((1,) * (len(x_shape) - 1))).to(t.device)

T = 20
betas = torch.linspace(1e-4, 0.02, T, dtype=torch.float64).float()
alphas = 1.0 - betas
alphas_cumprod = torch.cumprod(alphas, axis=0)
alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
posterior_variance = betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)
assert posterior_variance[0] == 0 and alphas_cumprod_prev[0] == 1
x, t = torch.randn(3, 1, 4, 4), torch.randint(0, T, (3,), device="cpu").long()
noise = torch.randn_like(x)
noisy = extract(alphas_cumprod.sqrt(), t, x.shape) * x + extract((1.0 - alphas_cumprod).sqrt(), t, x.shape) * noise
half = 8
freqs = torch.exp(torch.arange(half) * -(math.log(10000) / (half - 1)))
emb = t[:, None] * freqs[None, :]
emb = torch.cat((emb.sin(), emb.cos()), dim=-1)
assert emb.shape == (3, 16) and noisy.shape == x.shape
for i in reversed(range(0, 3)):
    step = torch.full((3,), i, device=x.device, dtype=torch.long)
    x = x - extract(betas, step, x.shape) * noisy if i else x
s = torch.quantile(x.abs().flatten(1), 0.9, dim=1).clamp_(min=1.0)[:, None, None, None]
assert (x.clamp(-s, s) / s).abs().max() <= 1
"""

GRAPHS = """
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

edges = torch.tensor([[0, 1, 1, 2, 3], [1, 0, 2, 1, 3]])
values = torch.ones(edges.shape[1])
adj = torch.sparse_coo_tensor(edges, values, torch.Size((4, 4)))
old = torch.sparse.FloatTensor(edges, values, torch.Size((4, 4)))
assert adj.is_sparse and torch.equal(adj.to_dense(), old.to_dense()) and adj._nnz() == 5
degree = torch.sparse.mm(adj, torch.ones(4, 1)).squeeze()
assert degree.tolist() == [1.0, 2.0, 1.0, 1.0]
weight = nn.Parameter(torch.ones(3, 2)); x = torch.arange(12.0).view(4, 3)
out = torch.spmm(adj, torch.mm(x, weight))
F.nll_loss(F.log_softmax(out, dim=1), torch.tensor([0, 1, 0, 1])).backward()
assert weight.grad.shape == (3, 2) and torch.allclose(out, adj @ (x @ weight)) and torch.allclose(out, adj.to_dense() @ (x @ weight))
summed = torch.zeros(4, 3).index_add_(0, edges[1], x[edges[0]])
assert torch.equal(summed, torch.zeros(4, 3).scatter_add_(0, edges[1][:, None].expand(-1, 3), x[edges[0]]))
once = torch.sparse_coo_tensor(torch.tensor([[0, 0], [1, 1]]), torch.tensor([1.0, 2.0]), (2, 2)).coalesce()
assert once.values().tolist() == [3.0] and once.indices().tolist() == [[0], [1]]
att = torch.where(adj.to_dense() > 0, torch.randn(4, 4), torch.full((4, 4), -9e15))
assert torch.isfinite(F.softmax(att, dim=1)).all() and torch.eye(3).to_sparse()._nnz() == 3
"""

OUTPUTS = """
import torch
pe = torch.zeros(5, 4)
position = torch.arange(0, 5, out=torch.LongTensor()).unsqueeze(1).float()
torch.sin(position * 0.1, out=pe[:, 0::2][:, :1])
assert pe[1, 0] != 0 and pe[1, 1] == 0
buffer = torch.empty(0)
torch.stack([torch.ones(2), torch.zeros(2)], 0, out=buffer)
assert buffer.shape == (2, 2)
torch.add(buffer, 1, out=buffer); torch.mul(buffer, 2, out=buffer)
assert buffer.tolist() == [[4.0, 4.0], [2.0, 2.0]]
values, indices = torch.empty(0), torch.empty(0, dtype=torch.long)
torch.max(buffer, 1, out=(values, indices)); torch.sum(buffer, 0, out=values)
torch.matmul(buffer, buffer, out=buffer); torch.clamp(buffer, max=10.0, out=buffer)
torch.randn(3, out=torch.empty(3)); torch.zeros(2, 2, out=buffer)
assert buffer.sum() == 0 and values.tolist() == [6.0, 6.0]
try:
    torch.exp(buffer, out=torch.empty(2, 2, requires_grad=True))
except RuntimeError as error:
    assert "don't support automatic differentiation" in str(error)
"""

REINFORCEMENT = """
import random
from collections import deque, namedtuple
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Categorical, Normal

Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))
memory = deque([], maxlen=100)
for i in range(6):
    memory.append(Transition(torch.randn(1, 3), torch.tensor([[i % 2]]), None if i == 5 else torch.randn(1, 3), torch.tensor([1.0])))
batch = Transition(*zip(*random.sample(memory, 6)))
mask = torch.tensor(tuple(map(lambda s: s is not None, batch.next_state)), device="cpu", dtype=torch.bool)
policy, target = nn.Linear(3, 2), nn.Linear(3, 2)
target.load_state_dict(policy.state_dict())
q = policy(torch.cat(batch.state)).gather(1, torch.cat(batch.action))
next_values = torch.zeros(6)
with torch.no_grad():
    next_values[mask] = target(torch.cat([s for s in batch.next_state if s is not None])).max(1).values
loss = nn.SmoothL1Loss()(q, (next_values * 0.99 + torch.cat(batch.reward)).unsqueeze(1))
loss.backward(); torch.nn.utils.clip_grad_value_(policy.parameters(), 100)
for t, p in zip(target.parameters(), policy.parameters()):
    t.data.copy_(0.005 * p.data + 0.995 * t.data)
dist = Categorical(logits=policy(torch.randn(4, 3)))
action = dist.sample(); ratio = (dist.log_prob(action) - dist.log_prob(action).detach()).exp()
adv = torch.as_tensor(np.array([1.0, -1.0, 2.0, 0.0]), dtype=torch.float32)
adv = (adv - adv.mean()) / (adv.std() + 1e-8)
surrogate = -torch.min(ratio * adv, torch.clamp(ratio, 0.8, 1.2) * adv).mean() - 0.01 * dist.entropy().mean()
surrogate.backward()
std = nn.Parameter(torch.zeros(1, 2)).exp().expand(4, 2)
assert Normal(torch.zeros(4, 2), std).log_prob(torch.zeros(4, 2)).sum(-1).shape == (4,)
assert policy(torch.randn(1, 3)).max(1)[1].view(1, 1).item() in (0, 1)
"""

SURGERY = """
import copy
from collections import OrderedDict
import torch
import torch.nn as nn

model = nn.Sequential(OrderedDict([("body", nn.Sequential(nn.Linear(3, 4), nn.ReLU())), ("head", nn.Linear(4, 2))]))
state = OrderedDict(("module." + k, v) for k, v in model.state_dict().items())
state = {k[7:] if k.startswith("module.") else k: v for k, v in state.items()}
print(model.load_state_dict(state), end="")
state.pop("head.bias"); state["extra"] = torch.zeros(1)
result = model.load_state_dict(state, strict=False)
assert result.missing_keys == ["head.bias"] and result.unexpected_keys == ["extra"] and repr(result).startswith("_IncompatibleKeys")
own = model.state_dict()
own.update({k: v for k, v in state.items() if k in own and v.size() == own[k].size()})
model.load_state_dict(own)
for p in model.body.parameters():
    p.requires_grad = False
model.head = nn.Linear(model.head.in_features, 5)
optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)
assert len(optimizer.param_groups[0]["params"]) == 2 and model(torch.ones(1, 3)).shape == (1, 5)
features = nn.Sequential(*list(model.children())[:-1])
assert features(torch.ones(1, 3)).shape == (1, 4) and not features(torch.ones(1, 3)).requires_grad
ema = copy.deepcopy(model).eval()
with torch.no_grad():
    for k, v in ema.state_dict().items():
        if v.dtype.is_floating_point:
            v.mul_(0.9).add_(model.state_dict()[k].detach(), alpha=0.1)
try:
    model.load_state_dict({"head.weight": torch.zeros(1)})
except RuntimeError as error:
    assert "Missing key(s) in state_dict" in str(error) and "size mismatch for head.weight" in str(error)
"""

PHYSICS = """
import torch
import torch.nn as nn
from torch.autograd import Variable, grad
import torch.autograd.functional as AF

torch.set_default_dtype(torch.float64)
net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
xt = torch.rand(6, 2, requires_grad=True)
u = net(xt)
du = grad(u, xt, grad_outputs=torch.ones_like(u), create_graph=True)[0]
ut, ux = du[:, 1:2], du[:, 0:1]
uxx = grad(ux.sum(), xt, create_graph=True)[0][:, 0:1]
loss = (ut + u * ux - 0.01 / torch.pi * uxx).pow(2).mean()
optimizer = torch.optim.LBFGS(net.parameters(), lr=1.0, max_iter=4, line_search_fn="strong_wolfe")
def closure():
    optimizer.zero_grad()
    loss = net(xt.detach()).pow(2).mean()
    loss.backward()
    return loss
before = closure().item()
optimizer.step(closure)
assert closure().item() < before and loss.dtype == torch.float64
v = Variable(torch.ones(2), requires_grad=True)
(v * v).sum().backward(); assert v.grad.data.tolist() == [2.0, 2.0]
assert torch.equal(AF.jacobian(lambda a: a**2, torch.tensor([1.0, 2.0])), torch.diag(torch.tensor([2.0, 4.0])))
assert torch.func.hessian(lambda a: (a**3).sum())(torch.ones(1)).item() == 6
torch.set_default_dtype(torch.float32)
"""

TEXT_MODELS = """
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

sequences = [torch.tensor([4, 2, 3]), torch.tensor([5]), torch.tensor([6, 7])]
lengths = torch.tensor([len(s) for s in sequences])
padded = pad_sequence(sequences, batch_first=True, padding_value=0)
table = nn.Embedding(8, 4, padding_idx=0)
lstm = nn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True, dropout=0.1)
packed = pack_padded_sequence(table(padded), lengths.cpu(), batch_first=True, enforce_sorted=False)
out, (h, c) = lstm(packed)
out, sizes = pad_packed_sequence(out, batch_first=True)
last = torch.cat((h[-2], h[-1]), dim=1)
assert out.shape == (3, 3, 6) and sizes.equal(lengths) and last.shape == (3, 6)
mask = padded.eq(0)
attention = nn.MultiheadAttention(4, 2, batch_first=True)
causal = torch.triu(torch.ones(3, 3), diagonal=1).bool()
y, w = attention(table(padded), table(padded), table(padded), key_padding_mask=mask, attn_mask=causal)
assert w.shape == (3, 3, 3) and w[1, 0, 1:].sum() == 0
layer = nn.TransformerEncoderLayer(d_model=4, nhead=2, dim_feedforward=8, batch_first=True, norm_first=True)
encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
z = encoder(table(padded), mask=nn.Transformer.generate_square_subsequent_mask(3))
loss = F.cross_entropy(F.linear(z, table.weight).reshape(-1, 8), padded.reshape(-1), ignore_index=0, label_smoothing=0.1)
loss.backward(); print(f"{loss:.4f} {math.exp(loss.item()):8.2f}"[:0], end="")
cell, hx = nn.GRUCell(4, 3), torch.zeros(3, 3)
for t in range(padded.size(1)):
    hx = cell(table(padded[:, t]), hx)
assert hx.shape == (3, 3) and tuple(s.data for s in (h, c))[0].requires_grad is False
"""

FLOWS = """
import torch
import torch.distributions as D
from torch.distributions import transforms as T
from torch import nn

base = D.MultivariateNormal(torch.zeros(2), torch.eye(2))
mask, scale, shift = torch.tensor([1.0, 0.0]), nn.Linear(2, 2), nn.Linear(2, 2)
x = torch.randn(5, 2)
kept = x * mask
z = kept + (1 - mask) * (x * scale(kept).tanh().exp() + shift(kept))
log_det = ((1 - mask) * scale(kept).tanh()).sum(1)
(-(base.log_prob(z) + log_det).mean()).backward()
assert scale.weight.grad is not None
flow = D.TransformedDistribution(D.Normal(torch.zeros(2), torch.ones(2)), [T.AffineTransform(1.0, 2.0), T.ExpTransform()])
assert torch.isfinite(flow.log_prob(flow.rsample())).all()
mixture = D.MixtureSameFamily(D.Categorical(torch.ones(2)), D.Normal(torch.tensor([-1.0, 1.0]), torch.ones(2)))
both = D.Independent(D.Normal(torch.zeros(3, 2), 1.0), 1)
assert mixture.log_prob(torch.zeros(1)).shape == (1,) and both.log_prob(torch.zeros(3, 2)).shape == (3,)
assert D.kl_divergence(D.Normal(0.0, 1.0), D.Normal(1.0, 1.0)).item() == 0.5
assert torch.linalg.slogdet(2 * torch.eye(2)).logabsdet > 1 and D.Bernoulli(logits=torch.zeros(2)).sample().shape == (2,)
"""
