"""Programs at random: chains of views, writes in place, uses out of place. As text for any library.

`program(seed)` gives (text, names). Run with `m` (the library) and the leaves x, w, s, q of LEAVES
in its namespace, the text makes tensors of float64 by those names.
"""

import math
import random

LEAVES = {
    "x": [[0.7071, -1.2113, 1.9117], [0.3319, 1.1013, -0.4337]],
    "w": [1.5323, 0.5171, -0.3137],
    "s": 0.8311,
    "q": [[0.2053, 0.9127, -0.6211], [1.3147, -0.8093, 0.4241], [0.1103, 0.5417, 1.7231]],
}
SHAPES = {"x": (2, 3), "w": (3,), "s": (), "q": (3, 3)}

FRESH = [
    ("x * 2", (2, 3)), ("w.exp()", (3,)), ("q + 1", (3, 3)), ("s * 3", ()), ("q.T * 1.5", (3, 3)),
    ("x.t() * 1", (3, 2)), ("x.reshape(6) * s", (6,)), ("m.zeros(2, 3, dtype=m.float64)", (2, 3)),
    ("m.full((4,), 0.5, dtype=m.float64)", (4,)), ("m.ones(2, 3, 2, dtype=m.float64)", (2, 3, 2)),
]  # fmt: skip
WRITES = [
    "mul_({})", "add_({})", "add_({})", "add_({})", "sub_({})", "lerp_({} * one, 0.3)", "pow_(2)",
    "copy_({} * one)", "copy_({} * one)", "addcmul_({} * one, 2 * one, value=0.5)", "zero_()",
    "fill_(0.7)", "fill_(s)", "div_(2.5)", "neg_()", "clamp_(-1.03, 1.07)", "relu_()",
    "uniform_().zero_()", "masked_fill_({k}.detach() > 0.8, s)",
]  # fmt: skip
USES = ["{} * {}", "{} + {}", "{} + {}", "{}.sin()", "{} * 3", "{}.clamp(-2, 2).exp()"]


def views(r, shape):
    """(what makes a view, its shape), of all kinds that the shape allows."""
    n, at = len(shape), slice(None)
    yield "[...]", shape
    yield ".unsqueeze(-1)", (*shape, 1)
    yield ".squeeze()", tuple(k for k in shape if k != 1)
    yield ".reshape(-1)", (math.prod(shape),)
    yield f".expand(2, {'-1, ' * n})", (2, *shape)
    if n:
        d = r.randrange(n)
        i, start = r.randrange(shape[d]), r.randrange(shape[d])
        length = r.randint(1, shape[d] - start)
        order = r.sample(range(n), n)
        index = ", ".join([":"] * d)
        yield f".select({d}, {i})", (*shape[:d], *shape[d + 1 :])
        yield f"[{index}{', ' * bool(d)}{i - shape[d]}]", (*shape[:d], *shape[d + 1 :])
        yield f".narrow({d}, {start}, {length})", (*shape[:d], length, *shape[d + 1 :])
        yield "[::2]", (len(range(shape[0])[::2]), *shape[1:])
        yield f".permute({order})", tuple(shape[k] for k in order)
        yield f".unfold({d}, 1, 2)", (*shape[:d], len(range(shape[d])[at][::2]), *shape[d + 1 :], 1)
    if n == 2:
        yield ".T", shape[::-1]
        yield ".diagonal()", (min(shape),)


class Program:
    """A program that grows: its lines, the shape of each tensor, and the tensor it is a view of."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.lines = ["one = m.ones((), dtype=m.float64)"]
        self.shapes = dict(SHAPES)
        self.roots = {name: name for name in SHAPES}

    def make(self, text, shape, root=None):
        name = f"t{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        self.shapes[name], self.roots[name] = shape, root or name

    def pick(self, right=lambda name: True):
        names = [name for name in self.shapes if right(name)]
        weights = [1 if name in SHAPES else 3 for name in names]
        return self.r.choices(names, weights)[0] if names else None

    def operand(self, shape, root=None):
        """Something that broadcasts to the shape, in other memory than that of `root`."""

        def fits(name):
            own = self.shapes[name][::-1]
            return len(own) <= len(shape) and all(
                n in (1, k) for n, k in zip(own, shape[::-1], strict=False)
            )

        name = self.pick(fits)
        if name is None or self.r.random() < 0.3:
            return self.r.choice(["2", "0.5", "-1.5"])
        return f"({name} * 2)" if self.roots[name] == root else name

    def fresh(self):
        self.make(*self.r.choice(FRESH))

    def view(self):
        name = self.pick()
        how, shape = self.r.choice(list(views(self.r, self.shapes[name])))
        if math.prod(shape) < 40:
            self.make(name + how, shape, self.roots[name])

    def use(self):
        name = self.pick()
        shape = self.shapes[name]
        self.make(self.r.choice(USES).format(name, self.operand(shape)), shape)

    def write(self):
        leaf = self.r.random() < 0.02
        name = self.pick(lambda name: leaf or self.roots[name] not in SHAPES)
        if name is None:
            return
        shape, root = self.shapes[name], self.roots[name]
        text = f"{name}.{self.r.choice(WRITES).format(self.operand(shape, root), k=name)}"
        if shape and self.r.random() < 0.3:
            n, rest = shape[0], shape[1:]
            i = self.r.randrange(n)
            kinds = [(i, rest), (f"m.tensor([{i}])", (1, *rest)), (f"{i}:", (n - i, *rest))]
            index, part = self.r.choice(kinds[: 2 + (i > 0)])
            text = f"{name}[{index}] {self.r.choice(['=', '+=', '*='])} {self.operand(part, root)}"
        if self.r.random() < 0.05:
            text = f"with m.no_grad(): {text}"
        self.lines += [f"{name}.grad_fn", text]  # PyTorch brings a view up to date when it is asked

    def rare(self):
        name = self.pick(lambda name: self.roots[name] not in SHAPES)
        if name is None:
            return
        shape, root = self.shapes[name], self.roots[name]
        kinds = [(f"{name}.detach()", shape)]
        if shape:
            kinds += [(f"{name}.unbind()[0]", shape[1:]), (f"list({name})[-1]", shape[1:])]
            kinds += [(f"{name}.chunk(2)[0]", (-(-shape[0] // 2), *shape[1:]))]
        self.make(*self.r.choice(kinds), root)


def program(seed):
    p = Program(seed)
    p.fresh()
    steps = [p.fresh, p.view, p.write, p.use, p.rare]
    for _ in range(p.r.randint(3, 14)):
        p.r.choices(steps, [1, 5, 6, 3, 0.5])[0]()
    names = [name for name in p.shapes if name not in SHAPES]
    return "\n".join(p.lines), p.r.sample(names, p.r.randint(1, len(names)))
