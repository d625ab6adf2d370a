"""`draw_graph`: the recorded graph as a picture."""
