"""192 posteriors whose moments are known: closed forms, and quadrature in NumPy and SciPy.

One program serves every case of a family, so that few shapes are compiled. A case is `easy` where its
posterior is close to a Gaussian in the coordinates of the program.
"""
# ruff: noqa: B023 - every log-density is integrated before its loop goes on

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from known_answer import Case, quadrature
from scipy import special, stats

__all__ = ["cases"]

SCALES = 10.0 ** np.arange(-8, 9, 2)


def cases() -> Iterator[Case]:
    """All of them, family by family."""
    for family in FAMILIES:
        yield from family()


# ---- close to Gaussians, in any units --------------------------------------------------------------


def location(y, width, noise):
    mu = numpyro.sample("mu", dist.Normal(0.0, width))
    numpyro.sample("y", dist.Normal(mu, noise), obs=y)


def locations() -> Iterator[Case]:
    y = np.random.default_rng(1).normal(0.7, 1, 10)
    for unit in SCALES:
        precision = 1 / 10**2 + len(y)
        mean, sd = unit * y.sum() / precision, unit / np.sqrt(precision)
        data = {"y": unit * y, "width": 10 * unit, "noise": unit}
        yield Case(
            "units", f"location {unit:g}", location, data, np.array([mean]), np.array([sd]), True
        )


def line(x, y, width, noise):
    beta = numpyro.sample("beta", dist.Normal(0.0, width).to_event(1))
    s = numpyro.sample("s", dist.HalfNormal(noise))
    numpyro.sample("y", dist.Normal(x @ beta, s), obs=y)


def line_moments(x, y, width, noise):
    """The coefficients are Gaussian given s."""
    log_s = np.log(noise) + np.linspace(-12.0, 2.0, 1401)
    logs, means, squares = [], [], []
    for s in np.exp(log_s):
        precision = np.diag(width**-2.0) + x.T @ x / s**2
        mean = np.linalg.solve(precision, x.T @ y) / s**2
        residual = y - x @ mean
        log_p = -0.5 * (residual @ residual / s**2 + np.sum((mean / width) ** 2))
        log_p -= len(y) * np.log(s) + 0.5 * np.linalg.slogdet(precision)[1]
        logs.append(log_p - 0.5 * (s / noise) ** 2 + np.log(s))
        means.append(mean)
        squares.append(mean**2 + np.diagonal(np.linalg.inv(precision)))
    p = special.softmax(logs)
    mean = p @ np.asarray(means)
    return mean, np.sqrt(p @ np.asarray(squares) - mean**2)


def lines() -> Iterator[Case]:
    generator = np.random.default_rng(2)
    x = np.stack([np.ones(30), generator.uniform(1, 5, 30)], axis=1)
    y = x @ [2.0, 1.5] + generator.normal(size=30)
    width = np.array([10.0, 10.0])
    for unit, hours in [
        (1, 1),
        (1e-4, 1),
        (1e4, 1),
        (1, 1e4),
        (1, 1e-4),
        (1e4, 1e-4),
        (1e-8, 1),
        (1e8, 1),
    ]:
        data = {
            "x": x * [1, hours], "y": unit * y, "width": unit * width / [1, hours],
            "noise": 5.0 * unit,
        }  # fmt: skip
        yield Case("units", f"line {unit:g} {hours:g}", line, data, *line_moments(**data), True)
    for scale in (10.0, 100.0, 1000.0):  # of the data alone
        data = {"x": x * [1, scale], "y": scale * y, "width": np.full(2, 1000.0), "noise": 1000.0}
        yield Case("units", f"line, raw {scale:g}", line, data, *line_moments(**data), True)


def series() -> Iterator[Case]:
    for seed in range(8):
        generator = np.random.default_rng(30 + seed)
        y = [generator.normal()]
        for _ in range(12):
            y.append(0.5 + 0.6 * y[-1] + generator.normal())
        unit = 10.0 ** (seed - 4)
        values = unit * np.asarray(y)
        data = {
            "x": np.stack([np.ones(12), values[:-1]], axis=1), "y": values[1:],
            "width": np.array([10.0 * unit, 1.0]), "noise": 5.0 * unit,
        }  # fmt: skip
        yield Case("short series", f"seed {seed}", line, data, *line_moments(**data))


def rate(y, shape, rate):
    r = numpyro.sample("r", dist.Gamma(shape, rate))
    numpyro.sample("y", dist.Exponential(r), obs=y)


def rates() -> Iterator[Case]:
    y = np.random.default_rng(4).exponential(size=20)
    for unit in SCALES:
        a, b = 2.0 + len(y), unit * (1.0 + y.sum())
        data = {"y": unit * y, "shape": 2.0, "rate": unit}
        mean, sd = np.array([a / b]), np.array([np.sqrt(a) / b])
        yield Case("units", f"rate {unit:g}", rate, data, mean, sd, True)


def proportion(y, n, a, b):
    p = numpyro.sample("p", dist.Beta(a, b))
    numpyro.sample("y", dist.Binomial(n, p), obs=y)


def proportions() -> Iterator[Case]:
    for y, n in [(0, 10), (1, 10), (5, 10), (10, 10), (0, 1000), (3, 1000), (500, 1000), (1, 1)]:
        exact = stats.beta(2.0 + y, 2.0 + n - y)
        data = {"y": float(y), "n": n, "a": 2.0, "b": 2.0}
        mean, sd = np.array([exact.mean()]), np.array([exact.std()])
        yield Case("proportions", f"{y} of {n}", proportion, data, mean, sd, True)


def ridge(mean, precision):
    z = numpyro.sample("z", dist.ImproperUniform(dist.constraints.real_vector, (), (3,)))
    numpyro.factor("density", -0.5 * (z - mean) @ precision @ (z - mean))


def ridges() -> Iterator[Case]:
    for correlation in (0.5, 0.9, 0.99, 0.999, 0.9999):
        for spread in (0.0, 4.0):
            scale = 10.0 ** np.array([-spread, 0.0, spread])
            corr = np.full((3, 3), correlation) + (1 - correlation) * np.eye(3)
            mean = scale * [1.0, -1.0, 0.5]
            precision = np.linalg.inv(corr) / scale / scale[:, None]
            data = {"mean": mean, "precision": precision}
            name = f"correlation {correlation}, scales 1e{-spread:g} to 1e{spread:g}"
            yield Case("ridges", name, ridge, data, mean, scale, True)


# ---- supports, edges, censoring --------------------------------------------------------------------


def uniform(y, r):
    theta = numpyro.sample("theta", dist.Exponential(r))
    numpyro.sample("y", dist.Uniform(0.0, theta), obs=y)


def uniforms() -> Iterator[Case]:
    for seed in range(10):
        unit, n = 10.0 ** (seed - 5), 7
        y = np.random.default_rng(seed).uniform(0, 5, n)
        axis = np.linspace(y.max(), y.max() + 60, 600_001)
        mean, sd = quadrature(lambda t: -0.2 * t - n * np.log(t), axis)
        data = {"y": unit * y, "r": 0.2 / unit}
        yield Case("moving supports", f"uniform {seed}", uniform, data, unit * mean, unit * sd)


def pareto(y):
    m = numpyro.sample("m", dist.HalfNormal(5.0))
    numpyro.sample("y", dist.Pareto(m, 3.0), obs=y)


def paretos() -> Iterator[Case]:
    for seed in range(8):
        y = 2.0 * (1 + np.random.default_rng(seed).pareto(3.0, 7))
        axis = np.linspace(1e-6, y.min(), 400_001)
        mean, sd = quadrature(lambda m: -0.5 * (m / 5) ** 2 + 21 * np.log(m), axis)
        yield Case("moving supports", f"Pareto {seed}", pareto, {"y": y}, mean, sd)


def delayed(y):
    t = numpyro.sample("t", dist.Normal(0.0, 1.0))
    e = dist.TransformedDistribution(
        dist.Exponential(1.0),
        dist.transforms.AffineTransform(t, 1.0, domain=dist.constraints.positive),
    )
    numpyro.sample("y", e, obs=y)


def delays() -> Iterator[Case]:
    for seed in range(6):
        y = 0.5 + np.random.default_rng(seed).exponential(size=5)
        axis = np.linspace(y.min() - 8, y.min(), 400_001)
        mean, sd = quadrature(lambda t: -0.5 * t**2 + 5 * t, axis)
        yield Case("moving supports", f"delay {seed}", delayed, {"y": y}, mean, sd)


def bounded(y, high):
    mu = numpyro.sample("mu", dist.Uniform(0.0, high))
    numpyro.sample("y", dist.Normal(mu, 1.0), obs=y)


def edges() -> Iterator[Case]:
    for centre in (-3.0, -1.0, -0.3, 0.0, 0.3, 0.5, 1.0, 1.5, 4.0, 10.0):
        y = centre + np.linspace(-1, 1, 8)
        axis = np.linspace(0, 1, 200_001)
        mean, sd = quadrature(lambda m: -0.5 * 8 * (m - centre) ** 2, axis)
        yield Case("hard edges", f"data at {centre:g}", bounded, {"y": y, "high": 1.0}, mean, sd)


def censored(y, late):
    m = numpyro.sample("m", dist.Normal(0.0, 10.0))
    numpyro.sample("y", dist.RightCensoredDistribution(dist.Normal(m, 1.0), late), obs=y)


def censorings() -> Iterator[Case]:
    known = np.array([0.1, -0.3, 0.2, 0.4, -0.1])
    for limit in (0.0, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 20.0, 40.0):
        y = np.append(known, limit)
        axis = np.linspace(-5, limit / 2 + 8, 200_001)

        def log_p(m):
            squares = ((known[:, None] - m) ** 2).sum(axis=0)
            return -0.5 * (squares + (m / 10) ** 2) + stats.norm.logsf(limit - m)

        data = {"y": y, "late": np.arange(6) == 5}
        yield Case("censoring", f"one at {limit:g}", censored, data, *quadrature(log_p, axis))


# ---- several modes, funnels, tails, circles --------------------------------------------------------


def bimodal(apart, share):
    a = numpyro.sample("a", dist.ImproperUniform(dist.constraints.real, (), ()))
    b = numpyro.sample("b", dist.Normal(0.0, 1.0))
    parts = jnp.array([jnp.log(share), jnp.log1p(-share)])
    modes = jnp.array([-0.5 * (a - apart) ** 2, -0.5 * (a + apart) ** 2])
    numpyro.factor("density", jnp.logaddexp(*(parts + modes)) + 0.0 * b)


def far_modes() -> Iterator[Case]:
    for share in (0.5, 0.2, 0.02):
        for apart in (1.0, 2.0, 3.0, 5.0, 10.0, 50.0):
            mean = (2 * share - 1) * apart
            sd = np.sqrt(1 + apart**2 - mean**2)
            data = {"apart": apart, "share": share}
            name = f"{share} of the mass at {apart:g}"
            yield Case("far modes", name, bimodal, data, np.array([mean, 0.0]), np.array([sd, 1.0]))


def labels(y):
    with numpyro.plate("components", 2):
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
    parts = dist.Normal(mu, 1.0).log_prob(y[:, None])
    numpyro.factor("density", jnp.logaddexp(parts[:, 0], parts[:, 1]).sum())


def label_switching() -> Iterator[Case]:
    axis = np.linspace(-12, 12, 601)
    for seed in range(10):
        generator, apart = np.random.default_rng(seed), (0.0, 0.5, 1.0, 1.5, 2.0)[seed % 5]
        y = np.concatenate([generator.normal(-apart, 1, 10), generator.normal(apart, 1, 10)])

        def log_p(a, b):
            total = -0.5 * ((a / 5) ** 2 + (b / 5) ** 2)
            for one in y:
                total = total + np.logaddexp(-0.5 * (one - a) ** 2, -0.5 * (one - b) ** 2)
            return total

        mean, sd = quadrature(log_p, axis, axis)
        yield Case("label switching", f"{apart:g}, seed {seed}", labels, {"y": y}, mean, sd)


def funnel(width):
    v = numpyro.sample("v", dist.Normal(0.0, width))
    with numpyro.plate("rows", 2):
        numpyro.sample("x", dist.Normal(0.0, jnp.exp(v / 2)))


def funnels() -> Iterator[Case]:
    for width in (0.1, 0.3, 0.6, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0):
        sd = np.array([width, *[np.exp(width**2 / 4)] * 2])
        yield Case("funnels", f"width {width:g}", funnel, {"width": width}, np.zeros(3), sd)


def student(df, scale):
    numpyro.sample("t", dist.StudentT(df, 0.0, scale))


def tails() -> Iterator[Case]:
    for df in (2.5, 3.0, 4.0, 5.0, 8.0, 30.0):
        for scale in (1.0, 1e6):
            sd = scale * stats.t(df).std()
            data = {"df": df, "scale": scale}
            name = f"{df:g} degrees, scale {scale:g}"
            yield Case("heavy tails", name, student, data, np.zeros(1), np.array([sd]))


def cauchy(y):
    mu = numpyro.sample("mu", dist.Normal(0.0, 20.0))
    numpyro.sample("y", dist.Cauchy(mu, 1.0), obs=y)


def cauchys() -> Iterator[Case]:
    axis = np.linspace(-120, 120, 480_001)
    for apart in (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0):
        y = np.array([-apart, apart, 0.4 * apart])

        def log_p(mu):
            return -0.5 * (mu / 20) ** 2 - np.log1p((y[:, None] - mu) ** 2).sum(axis=0)

        mean, sd = quadrature(log_p, axis)
        yield Case("heavy tails", f"Cauchy, {apart:g} apart", cauchy, {"y": y}, mean, sd)


def circle(loc, concentration):
    numpyro.sample("angle", dist.VonMises(loc, concentration))


def circles() -> Iterator[Case]:
    axis = np.linspace(-np.pi, np.pi, 400_001)
    for loc in (0.0, 1.5, 2.8, 3.1):
        for concentration in (0.5, 2.0, 10.0, 100.0):
            mean, sd = quadrature(lambda a: concentration * np.cos(a - loc), axis)
            data = {"loc": loc, "concentration": concentration}
            name = f"at {loc:g}, concentration {concentration:g}"
            yield Case("circles", name, circle, data, mean, sd)


def hidden_signs(y):
    p = numpyro.sample("p", dist.Beta(2.0, 2.0))
    with numpyro.plate("rows", 8):
        z = numpyro.sample("z", dist.Bernoulli(p), infer={"enumerate": "parallel"})
        numpyro.sample("y", dist.Normal(2.0 * z - 1.0, 1.0), obs=y)


def discrete_sums() -> Iterator[Case]:
    axis = np.linspace(1e-6, 1 - 1e-6, 100_001)
    for seed in range(10):
        generator = np.random.default_rng(seed)
        y = generator.normal(2.0 * (generator.random(8) < seed / 9) - 1, 1)

        def log_p(p):
            up, down = (stats.norm.pdf(y[:, None], centre) for centre in (1, -1))
            return np.log(p * (1 - p)) + np.log(p * up + (1 - p) * down).sum(axis=0)

        mean, sd = quadrature(log_p, axis)
        yield Case("discrete sums", f"seed {seed}", hidden_signs, {"y": y}, mean, sd, True)


def logistic(x, y, width):
    a = numpyro.sample("a", dist.Normal(0.0, width))
    b = numpyro.sample("b", dist.Normal(0.0, width))
    numpyro.sample("y", dist.Bernoulli(logits=a + b * x), obs=y)


def separations() -> Iterator[Case]:
    x = np.linspace(-2, 2, 10)
    for width in (1.0, 3.0, 10.0):
        for ups in (x > 0, x > -1.5, np.arange(10) % 2 == 0, np.arange(10) < 10):
            y = ups.astype(float)
            axis = np.linspace(-6 * width, 6 * width, 701)

            def log_p(a, b):
                total = -0.5 * ((a / width) ** 2 + (b / width) ** 2)
                for one, up in zip(x, ups, strict=True):
                    total = total - np.logaddexp(0, -(a + b * one) * (1 if up else -1))
                return total

            data = {"x": x, "y": y, "width": width}
            name = f"{int(ups.sum())} of 10, width {width:g}, {int(ups[0])}"
            yield Case("separation", name, logistic, data, *quadrature(log_p, axis, axis))


FAMILIES = (
    locations, lines, series, rates, proportions, ridges, uniforms, paretos, delays, edges, censorings,
    far_modes, label_switching, funnels, tails, cauchys, circles, discrete_sums, separations,
)  # fmt: skip
