def round_through(x):
    return x + (x.round() - x).detach()
