"""Special functions to fifty digits, in decimal arithmetic: what densities are compared with.

Nothing here is shared with the library: log Gamma and its kin are series and continued fractions at
arguments where they converge, with digits enough for whatever cancels.
"""

from collections.abc import Callable
from decimal import Decimal, getcontext
from functools import cache
from itertools import combinations_with_replacement

__all__ = [
    "PI", "D", "arctan", "derivatives", "log1m_exp", "log_beta_tails", "log_gamma", "log_gamma_tails",
    "log_normal_tail", "log_sum",
]  # fmt: skip

getcontext().prec = 50
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
    """log Gamma(x), x > 0: Stirling's series at an argument above 40, where 14 terms give 40 digits."""
    product = D(1)
    while x < 40:
        product *= x
        x += 1
    value = (x - D("0.5")) * x.ln() - x + (2 * PI).ln() / 2 - product.ln()
    power, inverse = 1 / x, 1 / (x * x)
    for coefficient in _STIRLING:
        value += coefficient * power
        power *= inverse
    return value


def log1m_exp(x: Decimal) -> Decimal:
    """log(1 - e^x), x < 0, by series in x and in e^x where they are small."""
    if x > D("-1e-15"):
        return (-x).ln() + (1 + x / 2 + x**2 / 6 + x**3 / 24 + x**4 / 120).ln()
    if x > -60:
        return (1 - x.exp()).ln()
    return -x.exp()


@cache
def arctan(x: Decimal) -> Decimal:
    """Its Taylor series, after the angle was halved three times."""
    if x < 0:
        return -arctan(-x)
    if x > 1:
        return PI / 2 - arctan(1 / x)
    for _ in range(3):
        x /= 1 + (1 + x * x).sqrt()
    return 8 * sum(((-1) ** n * x ** (2 * n + 1) / (2 * n + 1) for n in range(40)), D(0))


@cache
def log_normal_tail(y: Decimal) -> Decimal:
    """log(1 - Phi(y)): the series of Phi about 0 up to 6, Laplace's continued fraction beyond."""
    if y < 0:
        return log1m_exp(log_normal_tail(-y))
    density = -y * y / 2 - (2 * PI).ln() / 2
    if y > 6:
        value = y
        for n in range(100, 0, -1):
            value = y + n / value
        return density - value.ln()
    term = total = y
    for n in range(1, 200):
        term *= y * y / (2 * n + 1)
        total += term
    return (D("0.5") - density.exp() * total).ln()


@cache
def log_gamma_tails(a: Decimal, x: Decimal) -> tuple[Decimal, Decimal]:
    """log P(a, x) and log Q(a, x): the series of P up to twice the mean, else the fraction of Q."""
    powers = a * x.ln() - x - log_gamma(a)
    if x > 2 * a + 10:
        value = x + 401 - a
        for n in range(200, 0, -1):
            value = x + 2 * n - 1 - a + n * (a - n) / value
        log_q = powers - value.ln()
        return log1m_exp(log_q), log_q
    term = total = 1 / a
    n = 0
    while term > total * D("1e-50"):
        n += 1
        term *= x / (a + n)
        total += term
    log_p = powers + total.ln()
    return log_p, log1m_exp(log_p)


@cache
def log_beta_tails(a: Decimal, b: Decimal, x: Decimal) -> tuple[Decimal, Decimal]:
    """log I_x(a, b) and log(1 - I_x(a, b)): the series of the smaller side in x."""
    if x > (a + 1) / (a + b + 2):
        above, below = log_beta_tails(b, a, 1 - x)
        return below, above
    powers = a * x.ln() + b * (1 - x).ln() - a.ln()
    powers += log_gamma(a + b) - log_gamma(a) - log_gamma(b)
    term = total = D(1)
    n = 0
    while term > total * D("1e-50"):
        term *= x * (a + b + n) / (a + 1 + n)
        total += term
        n += 1
    log_p = powers + total.ln()
    return log_p, log1m_exp(log_p)


def log_sum(*terms: Decimal) -> Decimal:
    """log sum e^t."""
    top = max(terms)
    return top + sum((t - top).exp() for t in terms).ln()


def derivatives(
    function: Callable[..., Decimal], args: tuple[Decimal, ...], smooth: tuple[int, ...]
) -> tuple[list[Decimal], dict[tuple[int, int], Decimal]]:
    """First derivatives in the arguments `smooth`, and second ones by pairs of these.

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
    second, here = {}, at()
    for i, j in combinations_with_replacement(smooth, 2):
        if i == j:
            bend = (at((i, 1)) - 2 * here + at((i, -1))) / steps[i] ** 2
        else:
            corners = (at((i, a), (j, b)) * a * b for a in (1, -1) for b in (1, -1))
            bend = sum(corners, D(0)) / (4 * steps[i] * steps[j])
        second[i, j] = second[j, i] = bend
    return first, second
