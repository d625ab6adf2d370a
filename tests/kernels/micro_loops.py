"""Loops for test_micro.py: each calls one function of kernels/micro with numbers from a plan."""

from tinygrad_opt.kernels.micro.lines import collect, copy_line, deal
from tinygrad_opt.kernels.micro.tiles import Every, Table, gather, scatter, tile


def _words(f, plan, count):
    return [f.word(plan, i) for i in range(count)]


def _tile(f, kind, plan, a, b, to, shape, spread):
    """plan: the number of products, then the tables of places and steps of A, and of B."""
    rows, vectors = shape
    (count,) = _words(f, plan, 1)
    row = plan + 8
    step_a, column = row + rows * 8, row + (rows + count) * 8
    step_b = column + vectors * 8
    sums = tile(f, kind, shape, Table(a, row, step_a), Table(b, column, step_b), count, spread)
    for i, line in enumerate(sums):
        for j, value in enumerate(line):
            f.put_vector(to + (i * vectors + j) * kind.width, value, kind)


def tall_tile(f, kind, first, last, plan, a, b, _, to):
    _tile(f, kind, plan, a, b, to, (kind.tall, 2), True)


def flat_tile(f, kind, first, last, plan, a, b, _, to):
    _tile(f, kind, plan, a, b, to, (2, 6), True)


def tile_of_vectors(f, kind, first, last, plan, a, b, _, to):
    _tile(f, kind, plan, a, b, to, (4, 3), False)


def even_tile(f, kind, first, last, plan, a, b, _, to):
    """A matrix product without tables, of as many rows as there can be; plan: how many products."""
    (count,) = _words(f, plan, 1)
    left = Table(a, Every(count * kind.size), Every(kind.size))
    right = Table(b, Every(kind.width), Every(2 * kind.width))
    for i, line in enumerate(tile(f, kind, (kind.tallest, 2), left, right, count)):
        for j, value in enumerate(line):
            f.put_vector(to + (i * 2 + j) * kind.width, value, kind)


def gathered(f, kind, first, last, plan, x, zeros, _, to):
    pitch, rows, count, to_pitch = _words(f, plan, 4)
    gather(f, kind, x, pitch, rows, count, to, to_pitch, zeros)


def scattered(f, kind, first, last, plan, x, spare, _, to):
    pitch, rows, count, to_pitch = _words(f, plan, 4)
    scatter(f, kind, x, pitch, count, to, to_pitch, rows, spare)


def dealt(f, kind, first, last, plan, x, y, _, to):
    count, begin, ways, apart = _words(f, plan, 4)
    deal(f, kind, x, to, count, begin, ways, apart)


def collected(f, kind, first, last, plan, x, y, _, to):
    count, begin, ways, apart = _words(f, plan, 4)
    collect(f, kind, x, to, count, begin, ways, apart)


def copied(f, kind, first, last, plan, x, y, _, to):
    (count,) = _words(f, plan, 1)
    copy_line(f, kind, x, to, count)


def arithmetic(f, kind, first, last, plan, x, y, _, to):
    """to[i] for i in the range: numbers that the operators of Number make of i and plan[0]."""
    (n,) = _words(f, plan, 1)

    def store(i, value):
        f.builder.store(value.value, f.pointer(to + i * 8, value.value.type), align=8)

    with f.loop(first, last) as i:
        value = (3 + i * 5 - 2) // n + i % n + (100 - i)
        with f.when((i > 4) & (i <= 7)):
            store(i, f.least(value, f.most(90, i)))
        with f.when(i <= 4), f.either(i.equals(2)) as (then, otherwise):
            with then:
                store(i, f.number(-1))
            with otherwise:
                store(i, f.choose(i >= 3, 2000 // (i + 1), value))
        with f.when(i > 7), f.loop(0, i, 2) as j:
            store(i, j)
