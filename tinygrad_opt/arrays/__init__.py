"""Raw arrays, NumPy's or CuPy's, and what every floor above asks of them."""
