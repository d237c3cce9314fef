"""A normal distribution conditioned on being positive.

    q(z) = N(z; m, s^2) / Phi(m / s),        z >= 0

With t = -m / s and the Mills ratio R(t) = (1 - Phi(t)) / phi(t), for y = z / s,

    log q(z) = -y^2 / 2 - t y - log R(t) - log s
    E[z]     = s c(t),                            c(t) = 1 / R(t) - t
    Var[z]   = s^2 (1 - c t - c^2)
    H[q]     = 1/2 + log R(t) + t c(t) / 2 + log s

These hold to full precision however far m lies below zero, where the normal's own tail underflows:
R is a scaled complementary error function, from t = 5 on 1 / (t + c), and c is Laplace's continued
fraction

    c(t) = 1 / (t + 2 / (t + 3 / (t + ...)))        (Abramowitz and Stegun 1964, 26.2.14)

Draws invert the survival function and are differentiable in m and s to every order.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import erfcx, log_ndtr, ndtr, ndtri
from jaxtyping import Array, Float, PRNGKeyArray
from numpyro.distributions import Distribution, constraints
from numpyro.distributions.util import promote_shapes

from taut.distributions.inverse_cdf import open_uniform

__all__ = [
    "PositiveNormal",
    "log_density_above",
    "log_mills",
    "log_survival_above",
    "mills_excess",
]

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
# From here on the continued fraction is used: cut at 32, its error is below 1e-15 of its value.
_TAIL = 5.0
_TERMS = 32
# Newton's method in the tail starts within a factor 2 of the root and doubles its digits each time.
_NEWTON_STEPS = 7


class PositiveNormal(Distribution):
    """N(loc, scale^2) given z >= 0.

    Arguments:
        loc: mean of the normal before conditioning, any real.
        scale: its standard deviation, positive.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012
    reparametrized_params = ["loc", "scale"]  # noqa: RUF012  (declared by NumPyro)

    def __init__(self, loc: Any = 0.0, scale: Any = 1.0, *, validate_args: bool | None = None):
        self.loc, self.scale = (jnp.asarray(a) for a in promote_shapes(loc, scale))
        batch_shape = jnp.broadcast_shapes(jnp.shape(loc), jnp.shape(scale))
        super().__init__(batch_shape=batch_shape, validate_args=validate_args)

    @property
    def support(self) -> constraints.Constraint:
        return constraints.nonnegative

    def sample(self, key: PRNGKeyArray | None, sample_shape: tuple[int, ...] = ()) -> Array:
        assert key is not None
        return self._at_log_survival(jnp.log(open_uniform(key, self.shape(sample_shape))))

    def icdf(self, q: Any) -> Array:
        """Quantiles, element by element."""
        return self._at_log_survival(jnp.log1p(-jnp.asarray(q)))

    def log_survival(self, value: Any) -> Array:
        """log of the probability beyond `value`, element by element; nats, 0 below the support."""
        y = jnp.maximum(jnp.asarray(value) / self.scale, 0.0)
        return log_survival_above(y, self._below)

    def cdf(self, value: Any) -> Array:
        """Distribution function, element by element."""
        return -jnp.expm1(self.log_survival(value))

    def log_prob(self, value: Any, intermediates: Any = None) -> Array:
        """Log-density in nats; -inf below zero."""
        inside = jnp.asarray(value) >= 0.0
        y = jnp.where(inside, value, 0.0) / self.scale
        return jnp.where(inside, log_density_above(y, self._below) - jnp.log(self.scale), -jnp.inf)

    @property
    def mean(self) -> Array:
        return self.scale * mills_excess(self._below)

    @property
    def variance(self) -> Array:
        t = self._below
        c = mills_excess(t)
        far = jnp.maximum(t, _TAIL)
        in_tail = _continued_fraction(far, 1) * (
            _continued_fraction(far, 2) - _continued_fraction(far, 1)
        )
        return self.scale**2 * jnp.where(t > _TAIL, in_tail, 1.0 - c * (c + t))

    def entropy(self) -> Array:
        """H[q] in nats, exact."""
        t = self._below
        near, far = _parted(t)
        above = _HALF_LOG_2PI + log_ndtr(-near) + 0.5 * near * jnp.exp(-log_mills(near))
        below = log_mills(far) + 0.5 * far * mills_excess(far)
        return 0.5 + jnp.where(t > 0, below, above) + jnp.log(self.scale)

    @property
    def _below(self) -> Array:
        """t: how many standard deviations the mean lies below zero."""
        return -self.loc / self.scale

    def _at_log_survival(self, log_survival: Any) -> Array:
        return self.scale * _inverse_survival(log_survival, self._below)


@jax.custom_jvp
def log_mills(t: Float[Array, "..."]) -> Float[Array, "..."]:
    """log R(t) = log((1 - Phi(t)) / phi(t)), element by element; its derivative is -c(t)."""
    near, far = _parted(t)
    above = log_ndtr(-near) + 0.5 * near**2 + _HALF_LOG_2PI
    # JAX's erfcx is 0 where exp(x^2) is still a number and erfc(x) is not: about 9.3 in float32.
    ratio = erfcx(jnp.minimum(far, _TAIL) / math.sqrt(2.0))
    below = jnp.log(ratio) + 0.5 * math.log(math.pi / 2.0)
    beyond = jnp.maximum(far, _TAIL)
    below = jnp.where(far > _TAIL, -jnp.log(beyond + _continued_fraction(beyond, 1)), below)
    return jnp.where(t > 0, below, above)


@log_mills.defjvp
def _log_mills_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    (t,), (t_dot,) = primals, tangents
    return log_mills(t), -mills_excess(t) * t_dot


def mills_excess(t: Float[Array, "..."]) -> Float[Array, "..."]:
    """c(t) = 1 / R(t) - t, positive and falling, element by element."""
    near = jnp.where(t > _TAIL, _TAIL, t)  # `minimum` would halve the slope where they are equal
    by_ratio = jnp.exp(-log_mills(near)) - near
    return jnp.where(t > _TAIL, _continued_fraction(jnp.maximum(t, _TAIL), 1), by_ratio)


def _continued_fraction(t: Float[Array, "..."], first: int) -> Float[Array, "..."]:
    """first / (t + (first + 1) / (t + ...)) for t of at least `_TAIL`."""
    value = jnp.zeros_like(t)
    for n in reversed(range(first, _TERMS)):
        value = n / (t + value)
    return value


def log_density_above(y: Any, t: Any) -> Any:
    """log of phi(t + y) / (1 - Phi(t)): a standard normal known to lie above t, at t + y; nats."""
    # Either form loses digits where the other is used: a far t against a far y.
    near, far = _parted(t)
    above = -0.5 * (y + near) ** 2 - _HALF_LOG_2PI - log_ndtr(-near)
    below = -y * (0.5 * y + far) - log_mills(far)
    return jnp.where(t > 0, below, above)


def log_survival_above(y: Any, t: Any) -> Any:
    """log of the probability that a standard normal known to lie above t is above t + y; nats."""
    near, far = _parted(t)
    below = log_mills(far + y) - log_mills(far) - y * (0.5 * y + far)
    return jnp.where(t > 0, below, log_ndtr(-near - y) - log_ndtr(-near))


def _parted(t: Any) -> tuple[Any, Any]:
    """t where it is not positive, and where it is; 0 elsewhere. `minimum` would halve the slope at 0."""
    return jnp.where(t > 0, 0.0, t), jnp.where(t > 0, t, 0.0)


@jax.custom_jvp
def _inverse_survival(log_survival: Any, t: Any) -> Any:
    """The y >= 0 with the given log of the probability beyond it, in standard units."""
    near, far = jnp.minimum(t, _TAIL), jnp.maximum(t, _TAIL)
    central = jnp.maximum(-near - ndtri(jnp.exp(log_survival) * ndtr(-near)), 0.0)

    # The log-survival is concave and falls with slope -1/R at zero: the tangent's root lies beyond
    # the true one, from where Newton's steps come back monotonically.
    def newton(_: Any, y: Any) -> Any:
        excess = log_survival_above(y, far) - log_survival
        return jnp.maximum(y + excess * jnp.exp(log_mills(far + y)), 0.0)

    start = -log_survival * jnp.exp(log_mills(far))
    tail = jax.lax.fori_loop(0, _NEWTON_STEPS, newton, start)
    return jnp.where(t > _TAIL, tail, central)


@_inverse_survival.defjvp
def _inverse_survival_jvp(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    """dy = (R(t + y) / R(t) - 1) dt - R(t + y) d(log survival), by the implicit function."""
    (log_survival, t), (log_survival_dot, t_dot) = primals, tangents
    y = _inverse_survival(log_survival, t)
    slope = jnp.expm1(log_mills(t + y) - log_mills(t))
    return y, slope * t_dot - jnp.exp(log_mills(t + y)) * log_survival_dot
