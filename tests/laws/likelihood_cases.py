"""Every likelihood with options, a density by SciPy, and data to check it at."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from scipy.special import expit, log_expit, log_softmax

from taut.distributions import accurate
from taut.models.likelihoods import (
    AbstractLikelihood,
    make_likelihood,
)

EPS = np.finfo(np.float64).eps
SHAPE = (2, 3)
LEVELS = 5
COUNTS = np.arange(3000.0)
GREYS = np.arange(LEVELS) / (LEVELS - 1)


class Case(NamedTuple):
    """A member with options.

    Attributes:
        name, options: arguments of `make_likelihood`.
        support: all values of a mass function (cut where the rest has no mass), or the ends of a
            density's interval.
        log_density: the log-density of each cell by scipy, given x, the outputs and the parameters
            that rows share.
    """

    name: str
    options: dict[str, Any]
    support: Any
    log_density: Callable[[np.ndarray, np.ndarray, AbstractLikelihood], np.ndarray]

    @property
    def id(self) -> str:
        return "-".join([self.name, *(f"{k}={v}" for k, v in self.options.items())])


def softplus(raw: Any) -> np.ndarray:
    return np.logaddexp(np.asarray(raw, np.float64), 0)


def gaussian(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
    raw = outputs[1] if likelihood.scale.raw is None else likelihood.scale.raw
    return scipy.stats.norm.logpdf(x, outputs[0], 1e-3 + softplus(raw))


def student_t(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
    raw = outputs[1] if likelihood.scale.raw is None else likelihood.scale.raw
    df = 2 + softplus(likelihood.raw_df)
    return scipy.stats.t.logpdf(x, df, outputs[0], 1e-3 + softplus(raw))


def continuous_bernoulli(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
    def integral(logit: float) -> float:
        return scipy.integrate.quad(lambda t: np.exp(logit * t), 0, 1, epsrel=1e-13)[0]

    return x * outputs[0] - np.log(np.vectorize(integral)(outputs[0]))


def discretized_logistic(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
    loc, scale = (1 + outputs[0]) / 2, 1 / 16 / (LEVELS - 1) + softplus(outputs[1]) / 2
    logistic = scipy.stats.logistic(loc, scale)
    upper = np.where(x == 1, np.inf, x + 0.5 / (LEVELS - 1))
    lower = np.where(x == 0, -np.inf, x - 0.5 / (LEVELS - 1))
    return np.log(logistic.cdf(upper) - logistic.cdf(lower))


def categorical(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
    logs = log_softmax(outputs, axis=0)
    return np.take_along_axis(logs, x.astype(int)[None], axis=0)[0]


def cumulative_logit(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
    first, raw = (np.asarray(v, np.float64) for v in (likelihood.first, likelihood.raw_gaps))
    cuts = np.concatenate([first[None], first + np.cumsum(1e-3 + softplus(raw), axis=0)])
    below = expit(cuts - outputs[0])
    share = np.diff(np.concatenate([0 * below[:1], below, 0 * below[:1] + 1]), axis=0)
    return np.log(np.take_along_axis(share, x.astype(int)[None], axis=0)[0])


def mean_of(x: np.ndarray, output: np.ndarray, likelihood: Any) -> np.ndarray:
    """The mean of counts, over the last axes of data where a library is asked for."""
    if not likelihood.log_mean.library:
        return np.exp(output)
    return x.sum() * np.exp(log_softmax(output))


def poisson(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
    return scipy.stats.poisson.logpmf(x, mean_of(x, outputs[0], likelihood))


def negative_binomial(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
    r = 1e-3 + np.exp(np.asarray(likelihood.log_inverse_dispersion, np.float64))
    mean = mean_of(x, outputs[0], likelihood)
    return scipy.stats.nbinom.logpmf(x, r, r / (r + mean))


def inflated(base: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    def log_density(x: np.ndarray, outputs: np.ndarray, likelihood: Any) -> np.ndarray:
        counted = log_expit(-outputs[1]) + base(x, outputs[:1], likelihood.base)
        return np.where(x == 0, np.logaddexp(log_expit(outputs[1]), counted), counted)

    return log_density


LINE = (-np.inf, np.inf)
CASES = [
    Case(
        "bernoulli",
        {},
        np.array([0.0, 1.0]),
        lambda x, o, _: scipy.stats.bernoulli.logpmf(x, expit(o[0])),
    ),
    Case("continuous-bernoulli", {}, (0.0, 1.0), continuous_bernoulli),
    Case("discretized-logistic", {}, GREYS, discretized_logistic),
    *(
        Case(name, {"scale": scale}, LINE, log_density)
        for name, log_density in [("gaussian", gaussian), ("student-t", student_t)]
        for scale in ("model", "dimension", "datum")
    ),
    Case("categorical", {}, np.arange(5.0), categorical),
    Case("cumulative-logit", {}, np.arange(5.0), cumulative_logit),
    *(
        Case(name, options, COUNTS, log_density)
        for name, log_density in [
            ("poisson", poisson),
            ("negative-binomial", negative_binomial),
            ("zero-inflated-poisson", inflated(poisson)),
            ("zero-inflated-negative-binomial", inflated(negative_binomial)),
        ]
        for options in ({}, {"library": True, "library_size": 12.0})
    ),
]
over_cases = pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)


@jax.jit
def log_prob(likelihood: Any, x: Any, outputs: Any, mask: Any = None) -> Any:
    return likelihood.log_prob(x, outputs, mask)


@jax.jit
def value_and_gradient(likelihood: Any, x: Any, outputs: Any, mask: Any) -> Any:
    """With respect to the shared parameters and the outputs."""
    return jax.value_and_grad(lambda args: args[0].log_prob(x, args[1], mask))(
        (likelihood, outputs)
    )


@jax.jit
def cells_given(likelihood: Any, outputs: Any, row: Any, x: Any) -> Any:
    """log p(x | outputs, the row's total), and the mean."""
    given = likelihood.given(outputs, row)
    mean = given.mean if likelihood.options().get("library") else likelihood.mean(outputs)
    return accurate(given).log_prob(likelihood._values(x)), mean


def made(case: Case, shape: tuple[int, ...] = SHAPE) -> Any:
    """The member with its shared parameters moved off their first values."""
    likelihood = make_likelihood(case.name, shape=shape, levels=LEVELS, **case.options)
    rng = np.random.default_rng(3)
    return jax.tree.map(lambda a: a + jnp.asarray(rng.normal(size=a.shape), a.dtype), likelihood)


def some_outputs(likelihood: Any, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(size=(likelihood.num_outputs, *shape)))


def some_x(case: Case, shape: tuple[int, ...] = SHAPE, seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    if isinstance(case.support, np.ndarray):
        return jnp.asarray(rng.choice(case.support[:9], size=shape))
    low, high = np.clip(case.support, -3.0, 3.0)
    return jnp.asarray(rng.uniform(low, high, size=shape))
