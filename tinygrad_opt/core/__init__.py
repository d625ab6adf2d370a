"""The mini-framework: graph, tensor, recording, backward. Start at `node.py`."""
