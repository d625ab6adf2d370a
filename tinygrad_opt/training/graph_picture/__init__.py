"""graph_picture."""
