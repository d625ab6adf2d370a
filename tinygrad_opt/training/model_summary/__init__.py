"""`summary`: a network's layers, shapes, parameters and memory as a table."""
