"""A model as the graph that TensorBoard draws: an operation is a node, a module a box."""

from __future__ import annotations

from typing import Any

from ..nn.module import Module
from ..onnx.trace import Fixed, Known, Trace
from ..onnx.tracing import traced
from ..optional import need

__all__ = ["graph_of"]


def graph_of(model: Any, args: tuple[Any, ...]) -> Any:
    """The GraphDef of model(*args), run in eval mode."""
    protos = {
        name: need(f"tensorboardX.proto.{name}_pb2", "tensorboard", "SummaryWriter.add_graph")
        for name in ("attr_value", "graph", "node_def", "tensor_shape", "versions")
    }
    is_module = isinstance(model, Module)
    states = {**dict(model.named_parameters()), **dict(model.named_buffers())} if is_module else {}
    modes = [(m, m.training) for m in model.modules()] if is_module else []
    try:
        for module, _ in modes:
            module.training = False
        trace = traced(model, list(args), {}, states)
    finally:
        for module, mode in modes:
            module.training = mode
    return _Drawing(protos, type(model).__name__ if is_module else "model").graph(trace)


class _Drawing:
    """The nodes of a graph, each named after the module that it stands in."""

    def __init__(self, protos: dict[str, Any], root: str) -> None:
        self.protos, self.root = protos, root
        self.nodes: list[Any] = []
        self.names: dict[Any, str] = {}  # of the values by number, of parameters by name

    def graph(self, trace: Trace) -> Any:
        made = {event.first for event in trace.events}
        first = min(made, default=len(trace.arrays))
        for number in range(first):
            self.names[number] = self.node(f"input/{number}", "Input", [], trace.arrays[number])
        for count, event in enumerate(trace.events):
            inputs = [name for x in event.arguments.values() for name in self.inputs(x)]
            stem = "/".join([self.root, *filter(None, event.path.split(".")), event.name])
            name = self.node(f"{stem}_{count}", event.name, inputs, event.results[0])
            for i in range(len(event.results)):
                self.names[event.first + i] = name
        for i, leaf in enumerate(_leaves(trace.returned)):
            self.node(f"output/{i}", "Output", self.inputs(leaf), None)
        versions = self.protos["versions"].VersionDef(producer=22)
        return self.protos["graph"].GraphDef(node=self.nodes, versions=versions)

    def inputs(self, x: Any) -> list[str]:
        """The names of the nodes that an argument comes from."""
        if isinstance(x, Known):
            return [self.names[x.number]]
        if isinstance(x, Fixed):
            if x.name and x.name not in self.names:
                place = "/".join([self.root, *x.name.split(".")])
                self.names[x.name] = self.node(place, "Parameter", [], x.array)
            return [self.names[x.name]] if x.name else []
        return [name for part in x for name in self.inputs(part)] if type(x) is tuple else []

    def node(self, name: str, op: str, inputs: list[str], array: Any) -> str:
        node = self.protos["node_def"].NodeDef(name=name, op=op, input=inputs)
        if array is not None:
            shapes = self.protos["tensor_shape"].TensorShapeProto
            shape = shapes(dim=[shapes.Dim(size=n) for n in array.shape])
            values = self.protos["attr_value"].AttrValue.ListValue(shape=[shape])
            node.attr["_output_shapes"].CopyFrom(self.protos["attr_value"].AttrValue(list=values))
        self.nodes.append(node)
        return name


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, (Known, Fixed)):
        return [tree]
    return [leaf for part in tree for leaf in _leaves(part)] if isinstance(tree, tuple) else []
