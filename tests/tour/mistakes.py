"""Usual mistakes: what to exchange in a solution, and what the judge then says (a pattern)."""

MISTAKES = {
    "pairs": [
        ("g * y * (1 - y)", "y * (1 - y)", "does not use it"),
        ("-g * x / y**2", "g * x / y**2", "sign is the other way round"),
        ("-g * x / y**2", "-2 * g * x / y**2", "2 times what it should be"),
        (", lambda g: -g * x / y**2", "", "the value and 1 pullbacks"),
        ("@op\ndef div", "def div", "leave @op above it"),
        ("y = 1 / (1 + np.exp(-x))", "y = 1 / (1 + np.exp(x))", r"expected .*\n.*got"),
    ],
    "xp": [
        ("n.maximum(x, 0) + n.log1p(n.exp(-n.abs(x)))", "n.log1p(n.exp(x))", "never above 0"),
        ("n.log1p(n.exp(-n.abs(x)))", "n.log(1 + n.exp(-n.abs(x)))", "adds nothing to 1"),
        ("n = xp(x)", "import numpy as n", "knows arrays alone"),
        ("    return", "    y =", "expected +an array"),
    ],
    "graph": [
        ("node.rank)", "-node.rank)", "oldest first"),
        ("seen, todo = set(), [y]", "seen, todo = [], [y]", "no attribute 'add'"),
        ("node.rank)", "node.op.__name__)", "begin at y.node"),
    ],
    "tensor": [
        ("x + (x.round() - x).detach()", "x.round()", "rounding is flat"),
        ("x + (x.round() - x).detach()", "x.detach().round()", "cut x off"),
        ("x + (x.round() - x).detach()", "2 * x + (x.round() - 2 * x).detach()", "graph twice"),
        ("    return x +", "    x.data = x.data.round()\n    return x +", "must stay"),
        ("(x.round() - x).detach()", "x.round() - x", "rounding is flat"),
    ],
    "record": [
        ("-2 * z / width", "2 * z / width", "sign is the other way round"),
        (", lambda g: g * (2 * z * z / width * y)", "", "pullback for width"),
        ("xp(z).exp", "__import__('numpy').exp", "run again on Tensors"),
        ("lambda g: g * (2 * z", "lambda g: g * (z", "0.5 times what it should be"),
    ],
    "backward": [
        ("pending.get(key, 0) + pullback(g)", "pullback(g)", "do not overwrite"),
        ("heapq.heappop(waiting)[1]", "waiting.pop()[1]", "take the newest, by rank"),
        ("            if x is None:\n                continue\n", "", "NoneType"),
        ("return pending", "return {k: v for k, v in pending.items() if v.ndim}", "how many keys"),
        ("    pending,", "    return y.backward()\n    pending,", "a dict"),
    ],
    "activation": [
        ("n.clip((x + beta) / (2 * beta), 0, 1)", "(x + beta) / (2 * beta)", "on paper once more"),
        ("(x + beta) ** 2 / (4 * beta)", "(x + 1) ** 2 / 4", "three parts"),
        ("beta=self.beta", "", "pass it on"),
        ("smelu(x, beta=self.beta)", "smelu(x)", "pass it on"),
    ],
    "products": [
        ("x.T @ (g[:, None] * y)", "x.T @ y", "does not use it"),
        ("g[:, None] * (y @ w.T)", "g * (y @ w.T)", "could not be broadcast|broadcast"),
        ("g[:, None] * (x @ w)", "x @ w", "does not use it"),
        ("(y @ w.T)", "(y @ w)", r"matmul.*\n.*where +line|where"),
    ],
    "methods": [
        ("lambda y, x: f(x, y)", "lambda x, y: f(x, y)", "sides are exchanged"),
        ("setattr(kind, name, function)", "setattr(kind, name, lambda x: function(x))", "takes 1"),
        ("function_of_two(function)", "lambda x, y: function(x, y)", "got the last function"),
        ('setattr(kind, f"__r{name}__", function_reversed(function))', "pass", "set __rsub__"),
    ],
    "module": [
        ("return x + ", "return ", "the input itself is missing"),
        ("        super().__init__()\n", "", r"super\(\).__init__\(\)"),
        (
            "        self.outer = nn.Linear(width, width)\n",
            "        self.l = [nn.Linear(width, width)]\n",
            "assign two Modules",
        ),
        ("self.outer(self.inner(x).tanh())", "self.outer(self.inner(x)).tanh()", "between the"),
    ],
    "linear": [
        ("in_features**-0.5", "in_features**-1.0", "deviation 64"),
        ("nn.Parameter(torch.zeros(out_features)) if bias", "torch.zeros(out_features) if bias",
         "not registered"),
        ("y if self.bias is None else y + self.bias", "y", "bias is not added"),
        (" if bias else None", "", "only if it is wanted"),
    ],
    "optimizer": [
        ("    m = b * m + omb * g\n", "    n = b * m + omb * g\n", "m = b|sign"),
        ("p - lr * (alpha", "p + lr * (alpha", "downhill"),
        ("alpha=alpha, beta", "a=alpha, beta", "letters follow from|alpha"),
        (", m\n", "\n", "what it does not return is fixed"),
    ],
    "flat": [
        ("view[...] = a\n        views.append(view)", "view[...] = a\n        views.append(a)",
         "memory of its own"),
        (", arrays[0].dtype)", ")", "takes the arrays' dtype"),
        ("        start += a.size\n", "", "could not be broadcast|row by row|start:end|flat"),
        ("view[...] = a", "view[...] = a.T", "row by row|broadcast"),
    ],
    "rival": [
        ("lr=0.1, betas=(0.9, 0.99)", "lr=1e4, betas=(0.9, 0.99)", "diverged"),
    ],
    "kernel": [
        ("10.0 * g", "9.0 * g", r"p - lr \* tanh"),
        ("    rule.launch((p, g), (lr,))", "    return p - lr", "step writes into p"),
        ("    rule.launch((p, g), (lr,))", "    for _ in range(99):\n"
         "        rule.launch((p.copy(), g), (lr,))\n    rule.launch((p, g), (lr,))",
         "@update_rule brings everything"),
    ],
}  # fmt: skip
