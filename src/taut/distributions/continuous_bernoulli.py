"""Continuous Bernoulli: the density on [0, 1] that the Bernoulli formula becomes once normalized.

    log p(x | l) = x l - A(l),        A(l) = log((e^l - 1) / l) = l / 2 + log(sinh(l / 2) / (l / 2))

It is an exponential family in the logit l, so its mean is A'(l) and its variance A''(l). A(l) is 0 / 0
at l = 0; within |l| < 1/2 it is its Taylor series there, whose remainder is below float64 precision in
value and in the first two derivatives.

Source: Loaiza-Ganem and Cunningham, The continuous Bernoulli (NeurIPS 2019), equations 7 to 9, with
lambda = sigmoid(l).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.distributions import Distribution, constraints
from numpyro.distributions.util import validate_sample

__all__ = ["ContinuousBernoulli"]

# Coefficients B_2n / (2n (2n)!) of l^2n, n = 1..7, in log(sinh(l / 2) / (l / 2)); B are Bernoulli
# numbers. The first one left out is smaller than 2 (2 pi)^-16, which times |l|^16 is below 1e-17.
_LOG_SINHC = (
    1 / 24,
    -1 / 2880,
    1 / 181440,
    -1 / 9676800,
    1 / 479001600,
    -691 / 15692092416000,
    1 / 1046139494400,
)
_NORMALIZER_RADIUS = 0.5

# Within this radius of zero the quantile function is a power series in l, for there the closed form
# divides a rounding error by l.
_QUANTILE_RADIUS = 0.1
_QUANTILE_TERMS = 9


class ContinuousBernoulli(Distribution):
    """Density proportional to e^(x l) on [0, 1].

    Arguments:
        logits: l, any real; the mode is at 1 for l > 0 and at 0 for l < 0, and l = 0 is uniform.
    """

    # NumPyro declares this as an instance variable, which ClassVar would contradict.
    arg_constraints = {"logits": constraints.real}  # noqa: RUF012
    pytree_data_fields = ("logits",)

    def __init__(self, logits: Any, *, validate_args: bool | None = None):
        self.logits = jnp.asarray(logits, dtype=jnp.result_type(logits, float))
        super().__init__(batch_shape=self.logits.shape, validate_args=validate_args)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.unit_interval

    @property
    def has_rsample(self) -> bool:
        return True

    def sample(self, key: PRNGKeyArray | None, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draws by the quantile function, differentiable in the logits."""
        assert key is not None
        shape = sample_shape + self.batch_shape
        return self.icdf(jax.random.uniform(key, shape, self.logits.dtype))

    @validate_sample
    def log_prob(self, value: Any, intermediates: Any = None) -> Array:
        """log p(x) in nats; validation, where it is on, gives -inf outside [0, 1]."""
        return value * self.logits - log_normalizer(self.logits)

    def cdf(self, value: Any) -> Array:
        """P(X <= value) = value e^(A(l value) - A(l)), which is (e^(l value) - 1) / (e^l - 1)."""
        value = jnp.clip(value, 0.0, 1.0)
        return value * jnp.exp(log_normalizer(self.logits * value) - log_normalizer(self.logits))

    def icdf(self, q: Any) -> Array:
        """The x with P(X <= x) = q, for q in [0, 1]; right derivatives in l at every l."""
        logits = self.logits
        near = jnp.abs(logits) < _QUANTILE_RADIUS
        inside = _quantile_series(q, jnp.where(near, logits, 0.0))
        outside = _quantile(q, jnp.where(near, 1.0, logits))
        return jnp.where(near, inside, outside)

    @property
    def mean(self) -> Array:
        """A'(l), equation 8 of the paper."""
        return _derivative(log_normalizer)(self.logits)

    @property
    def variance(self) -> Array:
        """A''(l), equation 9 of the paper."""
        return _derivative(_derivative(log_normalizer))(self.logits)

    def entropy(self) -> Array:
        """H = A(l) - l A'(l), in nats."""
        return log_normalizer(self.logits) - self.logits * self.mean


def log_normalizer(logits: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """A(l) = log integral over [0, 1] of e^(x l) dx, in nats."""
    near = jnp.abs(logits) < _NORMALIZER_RADIUS
    inner = jnp.where(near, logits, 0.0)
    series = inner / 2 + inner**2 * _horner(_LOG_SINHC, inner**2)
    outer = jnp.where(near, 1.0, logits)
    magnitude = jnp.abs(outer)
    closed = jnp.maximum(outer, 0.0) + jnp.log(-jnp.expm1(-magnitude)) - jnp.log(magnitude)
    return jnp.where(near, series, closed)


def _quantile(q: Any, logits: Array) -> Array:
    """log(1 + q (e^l - 1)) / l, mirrored at l = 0 so that no exponential overflows."""
    magnitude = jnp.abs(logits)
    rising = logits > 0
    near, far = jnp.where(rising, q, 1.0 - q), jnp.where(rising, 1.0 - q, q)
    mirrored = -jnp.logaddexp(jnp.log(near), jnp.log(far) - magnitude) / magnitude
    return jnp.where(rising, 1.0 - mirrored, mirrored)


def _quantile_series(q: Any, logits: Array) -> Array:
    """The same function as a series: with t = q (e^l - 1) and y = t / (2 + t),

    log(1 + t) / l = (2 / l) artanh(y) = 2 (y / l) (1 + y^2 / 3 + y^4 / 5 + ...)
    """
    factorials = [1.0]
    for n in range(2, _QUANTILE_TERMS + 1):
        factorials.append(factorials[-1] * n)
    growth = _horner(tuple(1 / f for f in factorials), logits)  # (e^l - 1) / l
    slope = q * growth / (2.0 + q * logits * growth)  # y / l
    odd = tuple(1 / (2 * n + 1) for n in range(_QUANTILE_TERMS))
    return 2.0 * slope * _horner(odd, (slope * logits) ** 2)


def _horner(coefficients: tuple[float, ...], x: Array) -> Array:
    """The polynomial sum_n coefficients[n] x^n."""
    value = jnp.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


def _derivative(function: Any) -> Any:
    """The derivative of an elementwise function."""
    return lambda x: jax.jvp(function, (x,), (jnp.ones_like(x),))[1]
