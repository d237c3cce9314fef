"""Special functions to sixty digits, in decimal arithmetic: what densities are compared with.

Nothing here is shared with the library: log Gamma and its kin are series and continued fractions at
arguments where they converge, with digits enough for whatever cancels.
"""

from collections.abc import Callable
from decimal import Decimal, getcontext
from functools import cache

__all__ = ["PI", "D", "derivatives", "log1m_exp", "log_gamma", "log_sum"]

getcontext().prec = 60
D = Decimal

PI = D("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803")
# Bernoulli numbers B_2, B_4, ... as fractions.
_BERNOULLI = [
    (1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510), (43867, 798),
    (-174611, 330), (854513, 138), (-236364091, 2730), (8553103, 6), (-23749461029, 870),
]  # fmt: skip

_STIRLING = [D(a) / D(b) / (2 * n * (2 * n - 1)) for n, (a, b) in enumerate(_BERNOULLI, start=1)]


@cache
def log_gamma(x: Decimal) -> Decimal:
    """log Gamma(x), x > 0: Stirling's series at an argument above 60, where 14 terms give 40 digits."""
    product = D(1)
    while x < 60:
        product *= x
        x += 1
    value = (x - D("0.5")) * x.ln() - x + (2 * PI).ln() / 2 - product.ln()
    power, inverse = 1 / x, 1 / (x * x)
    for coefficient in _STIRLING:
        value += coefficient * power
        power *= inverse
    return value


def log1m_exp(x: Decimal) -> Decimal:
    """log(1 - e^x), x < 0."""
    return (1 - x.exp()).ln() if x > -100 else -x.exp()


def log_sum(*terms: Decimal) -> Decimal:
    """log sum e^t."""
    top = max(terms)
    return top + sum((t - top).exp() for t in terms).ln()


def derivatives(
    function: Callable[..., Decimal], args: tuple[Decimal, ...], smooth: tuple[int, ...]
) -> tuple[list[Decimal], list[list[Decimal]]]:
    """First derivatives in the arguments `smooth`, and second ones in these and in any argument.

    Central differences, whose error is near 1e-28 of the third derivative.
    """
    h = D("1e-14")
    steps = [h * (abs(a) or 1) for a in args]

    def at(*moves: tuple[int, int]) -> Decimal:
        moved = list(args)
        for k, sign in moves:
            moved[k] += sign * steps[k]
        return function(*moved)

    first = [(at((i, 1)) - at((i, -1))) / (2 * steps[i]) for i in smooth]
    here, second = at(), []
    for i in smooth:
        row = []
        for j in range(len(args)):
            if i == j:
                bend = (at((i, 1)) - 2 * here + at((i, -1))) / steps[i] ** 2
            else:
                corners = [at((i, a), (j, b)) * a * b for a in (1, -1) for b in (1, -1)]
                bend = sum(corners) / (4 * steps[i] * steps[j])
            row.append(bend)
        second.append(row)
    return first, second
