def operations(y):
    seen, todo = set(), [y]
    while todo:
        node = getattr(todo.pop(), "node", None)
        if node is not None and node not in seen:
            seen.add(node)
            todo += node.inputs
    return [node.op.__name__ for node in sorted(seen, key=lambda node: node.rank)]
