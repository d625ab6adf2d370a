def bind(kind, operators, methods):
    for name, function in operators.items():
        setattr(kind, f"__{name}__", function_of_two(function))
        setattr(kind, f"__r{name}__", function_reversed(function))
    for name, function in methods.items():
        setattr(kind, name, function)


def function_of_two(f):
    return lambda x, y: f(x, y)


def function_reversed(f):
    return lambda y, x: f(x, y)
