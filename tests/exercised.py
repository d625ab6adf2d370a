"""Which names of the package the tests use: by their syntax, never by comments or prose."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent


def words_of(tree: ast.Module) -> set[str]:
    """The names of the package that a test uses.

    Attributes (`nn.ReLU`), unless of something that is imported from elsewhere (`np.tanh`) or of
    PyTorch; what is imported from the package and used; and strings that stand as a key of a
    table, in a list, or in a call (`Row("relu", ...)`): names that tests look up by `getattr`.
    """
    nodes = list(ast.walk(tree))
    imports = list(_imports(nodes))
    foreign = {bound for bound, module in imports if not module.startswith("tinygrad_opt")}
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    found = {bound for bound, _ in imports if bound in used} - foreign
    for node in nodes:
        if isinstance(node, ast.Attribute) and _root(node) not in foreign | {"torch"}:
            found.add(node.attr)
        found.update(_listed(node))
    return found


def _imports(nodes: list[ast.AST]) -> Iterator[tuple[str, str]]:
    """(name that is bound, module it comes from) of each import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0], alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, node.module or ""


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _listed(node: ast.AST) -> Iterator[str]:
    """The names among the strings of a table or list; of a call if they are nothing else."""
    if isinstance(node, ast.Dict):
        members: list[ast.expr | None] = list(node.keys)
    elif isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        members = list(node.elts)
    elif isinstance(node, ast.Call):
        members = list(node.args)
    else:
        return
    for member in members:
        if isinstance(member, ast.Constant) and isinstance(member.value, str):
            # "conv2d: same", "Conv2d same", "textbook.Adam": rows of a table
            head = member.value.partition(":")[0]
            head = head if isinstance(node, ast.Call) else head.partition(" ")[0]
            if head.replace(".", "").isidentifier():
                yield head.rpartition(".")[2]


@functools.cache
def exercised(folder: str = ".") -> frozenset[str]:
    """The words of all tests in a folder of the tests, those below it included."""
    paths = (TESTS / folder).rglob("*.py")
    return frozenset().union(*(words_of(ast.parse(path.read_text())) for path in paths))
