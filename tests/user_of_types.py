"""What type checkers are to see of constructors that are declared: test_types.py checks this file.

A line that is wrong says so, and what is said of it.
"""

from typing import assert_type

import tinygrad_opt as torch
from tinygrad_opt import Tensor, nn, optim, zeros
from tinygrad_opt.optim import lr_scheduler

params = [zeros(2)]
optimizer = optim.Adamax(params, lr=0.1)
optim.Adam(params, 0.1, (0.9, 0.99), maximize=True)
optim.AdamW(params, weight_decay=0.1)
optim.Adamax(params, lrr=1)  # wrong: Unexpected keyword argument "lrr" for "Adamax"
optim.Adam(params, "fast")  # wrong: has incompatible type "str"
optim.AdamW(params, decoupled_weight_decay=False)  # wrong: Unexpected keyword argument
optim.Lion()  # wrong: Missing positional argument "params"

lr_scheduler.StepLR(optimizer, 30, gamma=0.5, last_epoch=-1).step()
lr_scheduler.StepLR(optimizer, step_sise=30)  # wrong: Unexpected keyword argument "step_sise"
lr_scheduler.CosineAnnealingLR(optimizer, "10")  # wrong: has incompatible type "str"

layer: nn.LeakyReLU = nn.LeakyReLU(0.1, inplace=True)
sign: nn.Softsign = nn.Softsign()
nn.LeakyReLU(slope=0.1)  # wrong: Unexpected keyword argument "slope"
nn.CrossEntropyLoss(label_smoothing="x")  # wrong: has incompatible type "str"
nn.functional.relu(zeros(1), inplace=1)  # wrong: has incompatible type "int"

x = nn.functional.relu(zeros(2))
assert_type(x, Tensor)
assert_type(torch.exp(x), Tensor)
assert_type(torch.cat([x, x]), Tensor)
assert_type(torch.zeros(2, pin_memory=True), Tensor)
assert_type(x.sum(dim=0).view(-1).exp_(), Tensor)
assert_type(x + 1, Tensor)
assert_type(2 / x, Tensor)
assert_type(x[0], Tensor)
assert_type(x > 1, Tensor)
assert_type(x.max(), Tensor)
assert_type(x.max(dim=0).indices, Tensor)
assert_type(torch.sort(x).values, Tensor)
assert_type(x.size(0), int)
assert_type(len(x), int)
assert_type(torch.float32, torch.dtype)
assert_type(torch.device("cpu"), torch.device)
torch.exp(input=3)  # wrong: has incompatible type "int"
torch.zeross(2)  # wrong: Module has no attribute "zeross"
x.reshap(2)  # wrong: "Tensor" has no attribute "reshap"
x.sum(dims=1)  # wrong: Unexpected keyword argument "dims"
