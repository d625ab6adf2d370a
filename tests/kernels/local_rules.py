"""Rules that assign to what was handed to them: what they assign must end with its element."""

from tinygrad_opt.kernels import update_rule


@update_rule
def plain_assignment(p, g, lr, decay):
    lr = lr / (1 + decay)
    return p - lr * g


@update_rule
def augmented(p, g, lr, wd):
    wd *= lr
    return p - lr * g - wd * p


@update_rule
def one_branch(p, g, lr):
    if g > 0:
        lr = lr * 0.5
    return p - lr * g


@update_rule
def used_before(p, g, lr):
    p = p - lr * g
    lr = lr * lr
    return p - lr


@update_rule
def nested(p, g, m, lr, beta):
    if g > 0:
        if p > 0:
            beta = beta * 0.5
        elif p < -0.5:
            lr += beta
        t = beta
    else:
        t = lr
        beta = 0.25
    m = beta * m + g
    return p - t * lr * m, m


@update_rule
def conditional_expression(p, g, lr):
    lr = lr if g > 0 else -lr
    return p - lr


@update_rule
def gradient_in_a_branch(p, g, m, lr):
    if p > g:
        g = m
    return p - lr * g, g + 0.5


@update_rule
def exchanged(p, g, a, b):
    t = a
    a = b
    b = t * g
    return p - a * g + b


@update_rule
def returned(p, g, m, lr):
    lr = lr * g
    return p - lr, m + lr


@update_rule
def clashing_names(p, g, m, m_, new_m, i, a_b, a__b, lr_given, range):
    i = i + g
    lr_given *= i + a_b
    range = range - lr_given + a__b
    return p - i * range, m + new_m, m_ - new_m


LOCAL_RULES = {
    rule.name: rule
    for rule in (
        plain_assignment,
        augmented,
        one_branch,
        used_before,
        nested,
        conditional_expression,
        gradient_in_a_branch,
        exchanged,
        returned,
        clashing_names,
    )
}


def coefficients(rule):
    """Return plausible coefficients, all different and exact in float32."""
    return [0.5 + 0.125 * k for k in range(len(rule.coefficients))]
