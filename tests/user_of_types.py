"""What type checkers are to see of constructors that are declared: test_types.py checks this file.

A line that is wrong says so, and what is said of it.
"""

from tinygrad_opt import nn, optim, zeros
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
