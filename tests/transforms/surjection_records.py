"""One record or more for each surjection: a base, rules of integration, densities by SciPy."""

import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from known_models import trapezoid
from layer_laws import Fixed, Record, above_and_below_the_diagonal, panels, plane, product
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from taut.models import StandardNormal
from taut.networks import MLP
from taut.transforms import (
    AbsoluteValue,
    AbstractBijection,
    Augmentation,
    Chain,
    ColumnDequantization,
    ConditionalLogitNormal,
    ConditionalNormal,
    Dequantization,
    GenerativeAbsoluteValue,
    GenerativeSorting,
    MaxPooling,
    Rounding,
    Slicing,
    Sorting,
    Transformed,
)

MEAN = np.array([0.4, -0.3, 0.2])
COVARIANCE = np.array([[1.0, 0.5, 0.2], [0.5, 1.3, -0.3], [0.2, -0.3, 0.7]])
ROOT_3 = [1.0, 2.0, 3.0]


class Gaps(AbstractBijection):
    """A rising pair to its first entry and the logarithm of the step."""

    name = "gaps"
    x_shape: tuple[int, ...] = eqx.field(static=True, default=(2,))
    z_shape: tuple[int, ...] = eqx.field(static=True, default=(2,))

    def encode_and_log_det(self, x, condition=None):
        step = jnp.log(x[1] - x[0])
        return jnp.stack([x[0], step]), -step

    def decode_and_log_det(self, z, condition=None):
        return jnp.stack([z[0], z[0] + jnp.exp(z[1])]), z[1]


class Logits(AbstractBijection):
    """u in (0, 1) to (logit u - shift - slope c) / exp(a), for a condition c."""

    name = "logits"
    shift: Any
    slope: Any
    a: Any
    x_shape: tuple[int, ...] = eqx.field(static=True, default=(1,))
    z_shape: tuple[int, ...] = eqx.field(static=True, default=(1,))

    @property
    def condition_shape(self):
        return (1,)

    def encode_and_log_det(self, x, condition=None):
        e = (jnp.log(x) - jnp.log1p(-x) - self.shift - self.slope * condition) * jnp.exp(-self.a)
        return e, jnp.sum(-jnp.log(x) - jnp.log1p(-x) - self.a)

    def decode_and_log_det(self, z, condition=None):
        x = jax.nn.sigmoid(z * jnp.exp(self.a) + self.shift + self.slope * condition)
        return x, jnp.sum(jnp.log(x) + jnp.log1p(-x) + self.a)


class FlowNoise(eqx.Module):
    """q(u | x), a conditional flow."""

    flow: Chain
    base: Any

    def __call__(self, x):
        return Transformed(self.base, self.flow, x)


def network(ins: int, outs: int, seed: int = 0) -> MLP:
    return MLP(ins, (3,), outs, activation="tanh", key=jax.random.key(seed))


def gaussian(dim: int) -> Fixed:
    return Fixed(
        dist.MultivariateNormal(jnp.asarray(MEAN[:dim]), jnp.asarray(COVARIANCE[:dim, :dim]))
    )


def half_normal(dim: int) -> Fixed:
    return Fixed(dist.HalfNormal(jnp.array(ROOT_3[:dim])).to_event(1))


def log_gaussian(z: Any) -> Any:
    dim = np.shape(z)[-1]
    return multivariate_normal(MEAN[:dim], COVARIANCE[:dim, :dim]).logpdf(z)


def over_signs(x: np.ndarray) -> float:
    signs = np.array(list(itertools.product([1, -1], repeat=len(x))))
    return float(logsumexp(log_gaussian(signs * x)))


def over_orders(x: np.ndarray) -> float:
    return float(
        logsumexp([log_gaussian(x[list(o)]) for o in itertools.permutations(range(len(x)))])
    )


def of_the_cell(x: np.ndarray) -> float:
    """log of the mass of N(0.4, 2^2) over [x, x + 1)."""
    return float(np.log(norm.cdf(x[0] + 1, 0.4, 2) - norm.cdf(x[0], 0.4, 2)))


def unit_cell(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A rule on [x, x + 1), finer towards the ends, by u = sigmoid(e)."""
    e, weights = trapezoid(-30.0, 30.0, 0.1)
    u = 1 / (1 + np.exp(-e))
    return x[0] + u[:, None], weights * u * (1 - u)


def line(low: float, high: float, step: float = 2.0, order: int = 24) -> Any:
    return panels(np.arange(low, high + step / 2, step), order)


def column(rule: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return rule[0][:, None], rule[1]


def dequantized(noise: Any) -> Record:
    return Record(
        lambda: Dequantization((1,), noise()),
        lambda: Fixed(dist.Normal(jnp.array([0.4]), 2.0).to_event(1)),
        rows=[[-3.0], [0.0], [2.0]],
        known=of_the_cell,
        fibre_rule=unit_cell,
        sampled=("noise",),
        float32_loss=4e-6,
    )


def of_a_step(x: np.ndarray) -> float:
    """log of the mass of N(0.4, 2^2) over [x, x + 0.5)."""
    return float(np.log(norm.cdf(x[0] + 0.5, 0.4, 2) - norm.cdf(x[0], 0.4, 2)))


def half_cell(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    places, weights = unit_cell(np.zeros(1))
    return x[0] + places / 2, weights / 2


SURJECTIONS: dict[str, Record] = {
    "column-dequantization": Record(
        lambda: ColumnDequantization((0.5,), (-3.0,)),
        lambda: Fixed(dist.Normal(jnp.array([0.4]), 2.0).to_event(1)),
        rows=[[-3.0], [0.0], [1.5]],
        known=of_a_step,
        fibre_rule=half_cell,
        float32_loss=4e-6,
    ),
    "absolute-value, odds from a network": Record(
        lambda: AbsoluteValue((2,), network(2, 2)),
        lambda: half_normal(2),
        rows=[[0.3, -1.2], [-2.0, 0.1]],
        rule=lambda: plane(line(-16, 16, 8)),
        known=lambda x: float(np.sum(norm.logpdf(x, 0, ROOT_3[:2]) + np.log(2))) + _log_odds(x),
        float32_loss=2e-6,
    ),
    "generative-absolute-value, odds from a network": Record(
        lambda: GenerativeAbsoluteValue((2,), network(2, 2)),
        lambda: gaussian(2),
        rows=[[0.3, 1.2], [2.0, 0.1]],
        rule=lambda: plane(line(0, 10, 5)),
        known=over_signs,
        float32_loss=2e-6,
    ),
    "generative-absolute-value, constant odds": Record(
        lambda: GenerativeAbsoluteValue((3,), jnp.array([0.3, -1.0, 2.0])),
        lambda: gaussian(3),
        rows=[[0.3, 1.2, 0.7], [2.0, 0.1, 0.4]],
        known=over_signs,
        float32_loss=2e-6,
    ),
    "max-pooling, exponential": Record(
        lambda: MaxPooling((2,), (2,), position=network(1, 2), log_scale=network(1, 1, 1)),
        lambda: gaussian(1),
        rows=[[0.3, -1.2], [-2.0, 0.1]],
        rule=lambda: above_and_below_the_diagonal(line(-9, 9, 6), line(0, 100, 10)),
        sampled=("log_scale",),
        float32_loss=2e-6,
    ),
    "max-pooling, half-normal": Record(
        lambda: MaxPooling(
            (2,), (2,), position=jnp.array([0.3, -0.4]), log_scale=0.2, decrement="half-normal"
        ),
        lambda: gaussian(1),
        rows=[[0.3, -1.2], [-2.0, 0.1]],
        rule=lambda: above_and_below_the_diagonal(line(-9, 9, 6), line(0, 14, 7)),
        sampled=("log_scale",),
        float32_loss=2e-6,
    ),
    "slicing": Record(
        lambda: Slicing((2,), 1, ConditionalNormal(network(1, 2), (1,))),
        lambda: gaussian(1),
        rows=[[0.3, -1.2], [-2.0, 0.1]],
        rule=lambda: product(trapezoid(-12.0, 12.0, 0.5), trapezoid(-50.0, 50.0, 0.25)),
        sampled=("rest",),
        float32_loss=2e-6,
    ),
    "augmentation": Record(
        lambda: Augmentation((2,), 1, ConditionalNormal(network(2, 2), (1,))),
        lambda: gaussian(3),
        rows=[[0.3, -1.2], [-2.0, 0.1]],
        known=log_gaussian,
        fibre_rule=lambda x: _beside(x, trapezoid(-30.0, 30.0, 0.1)),
        sampled=("extra",),
        float32_loss=3e-6,
    ),
    "rounding, logit-normal": Record(
        lambda: Rounding((1,), ConditionalLogitNormal(network(1, 2), (1,))),
        lambda: Fixed(dist.Poisson(jnp.array([1.5])).to_event(1)),
        rows=[[2.6], [0.3]],
        rule=lambda: _cells(25),
        sampled=("noise",),
        has_mean=False,
        float32_loss=4e-6,
    ),
    "dequantization, uniform": dequantized(lambda: None),
    "dequantization, logit-normal": dequantized(
        lambda: ConditionalLogitNormal(network(1, 2), (1,))
    ),
    "dequantization, conditional flow": dequantized(
        lambda: FlowNoise(
            Chain([Logits(jnp.array(0.2), jnp.array(-0.4), jnp.array(0.3))]), StandardNormal(1)()
        )
    ),
    "sorting": Record(
        lambda: Sorting((2,)),
        lambda: StandardNormal(2),
        rows=[[0.3, -1.2], [-2.0, 0.1]],
        above=lambda: (Gaps(),),
        rule=lambda: _rising_pairs(),
        float32_loss=2e-6,
    ),
    "generative-sorting": Record(
        lambda: GenerativeSorting((2,)),
        lambda: gaussian(2),
        rows=[[-1.2, 0.3], [0.1, 2.0]],
        rule=lambda: _below(above_and_below_the_diagonal(line(-10, 10, 5), line(0, 18, 6))),
        known=over_orders,
        float32_loss=2e-6,
    ),
}


def _log_odds(x: np.ndarray) -> float:
    logits = np.asarray(network(2, 2)(jnp.abs(jnp.asarray(x))))
    return -float(np.sum(np.log1p(np.exp(-np.sign(x) * logits))))


def _beside(x: np.ndarray, rule: Any) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = rule
    return np.concatenate([np.tile(x, (len(nodes), 1)), nodes[:, None]], axis=1), weights


def _cells(count: int) -> tuple[np.ndarray, np.ndarray]:
    parts = [unit_cell(np.array([float(i)])) for i in range(count)]
    return np.concatenate([p for p, _ in parts]), np.concatenate([w for _, w in parts])


def _rising_pairs() -> tuple[np.ndarray, np.ndarray]:
    """Both orders of a pair whose first entry is normal and whose step is log-normal."""
    (first, logs), weights = (lambda p, w: (p.T, w))(*plane(trapezoid(-9.0, 9.0, 0.25)))
    second = first + np.exp(logs)
    pairs = np.concatenate([np.stack([first, second], 1), np.stack([second, first], 1)])
    return pairs, np.tile(weights * np.exp(logs), 2)


def _below(rule: Any) -> tuple[np.ndarray, np.ndarray]:
    """The half of the plane where entries rise."""
    points, weights = rule
    rising = points[:, 0] < points[:, 1]
    return points[rising], weights[rising]
