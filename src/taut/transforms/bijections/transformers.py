"""Monotone functions of a scalar, whose parameters a network gives: the inside of coupling and
autoregressive layers.

    affine      z = x exp(log_scale) + shift,    log_scale within (-3, 3)
    spline      z = (rational quadratic)(x) within the box [-B, B], z = x outside of it

Parameters of zero are the identity. The spline has K bins of learned widths, heights and slopes at the
inner knots, log-slopes within (-7, 7); its slope at the ends of the box is one, so that it is
continuously differentiable. Logarithms keep within (-b, b) by (2 b / pi) atan(pi raw / (2 b)), which is
analytic, has slope one at zero and approaches its bound as 1 / |raw| does, so that its gradient is not
lost there.

Source: Dinh, Sohl-Dickstein and Bengio, Density estimation using Real NVP (ICLR 2017), equation 7;
Durkan, Bekasov, Murray and Papamakarios, Neural spline flows (NeurIPS 2019), section 3.1 and
equations 4 to 8.
"""

import math
from abc import abstractmethod
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core import InputError

__all__ = ["AbstractTransformer", "AffineTransformer", "SplineTransformer"]

_LEAST_BIN = 1e-3  # of the box, as in the authors' code
_LOG_SLOPE = 7.0  # a factor of 1100
_LOG_SCALE = 3.0  # a factor of 20 a layer

Values = Float[Array, " n"]


class AbstractTransformer(eqx.Module):
    """x -> z, elementwise and increasing, with P parameters an element."""

    @property
    @abstractmethod
    def num_parameters(self) -> int:
        """P."""

    @abstractmethod
    def forward(self, parameters: Float[Array, "n P"], x: Values) -> tuple[Values, Values]:
        """z and log dz/dx, each (n,)."""

    @abstractmethod
    def inverse(self, parameters: Float[Array, "n P"], z: Values) -> tuple[Values, Values]:
        """x and log dx/dz, each (n,)."""


class AffineTransformer(AbstractTransformer):
    """Shift and scale."""

    @property
    def num_parameters(self) -> int:
        return 2

    def forward(self, parameters: Float[Array, "n 2"], x: Values) -> tuple[Values, Values]:
        shift, log_scale = _shift_and_log_scale(parameters)
        return x * jnp.exp(log_scale) + shift, log_scale

    def inverse(self, parameters: Float[Array, "n 2"], z: Values) -> tuple[Values, Values]:
        shift, log_scale = _shift_and_log_scale(parameters)
        return (z - shift) * jnp.exp(-log_scale), -log_scale


def _shift_and_log_scale(parameters: Float[Array, "n 2"]) -> tuple[Values, Values]:
    return parameters[:, 0], _within(_LOG_SCALE, parameters[:, 1])


def _within(bound: float, raw: Array) -> Array:
    most = 2 * bound / math.pi
    return most * jnp.arctan(raw / most)


class SplineTransformer(AbstractTransformer):
    """Rational-quadratic spline.

    Attributes:
        bins: K, at least two.
        box: B.
    """

    bins: int = eqx.field(static=True, default=8)
    box: float = eqx.field(static=True, default=5.0)

    def __check_init__(self):
        if not 2 <= self.bins < 1 / _LEAST_BIN:
            raise InputError("2 to 999 bins", f"{self.bins}", "8", where="bins")
        if not self.box > 0:
            raise InputError("a box of positive half-width", f"{self.box}", "5.0", where="box")

    @property
    def num_parameters(self) -> int:
        return 3 * self.bins - 1

    def forward(self, parameters: Float[Array, "n P"], x: Values) -> tuple[Values, Values]:
        return jax.vmap(self._forward)(parameters, x)

    def inverse(self, parameters: Float[Array, "n P"], z: Values) -> tuple[Values, Values]:
        return jax.vmap(self._inverse)(parameters, z)

    def _forward(self, raw: Float[Array, " P"], x: Array) -> tuple[Array, Array]:
        inside = (x >= -self.box) & (x < self.box)
        bin_ = self._bin(raw, jnp.where(inside, x, 0.0), by_x=True)
        xi = (jnp.where(inside, x, 0.0) - bin_.x) / bin_.width
        z, log_slope = _rational_quadratic(bin_, xi)
        return jnp.where(inside, z, x), jnp.where(inside, log_slope, 0.0)

    def _inverse(self, raw: Float[Array, " P"], z: Array) -> tuple[Array, Array]:
        inside = (z >= -self.box) & (z < self.box)
        within = jnp.where(inside, z, 0.0)
        bin_ = self._bin(raw, within, by_x=False)
        # Equations 6 to 8; the root is taken in the form that does not cancel.
        rise, slope = within - bin_.z, bin_.height / bin_.width
        excess = rise * (bin_.right + bin_.left - 2 * slope)
        a = bin_.height * (slope - bin_.left) + excess
        b = bin_.height * bin_.left - excess
        c = -slope * rise
        xi = 2 * c / (-b - jnp.sqrt(b**2 - 4 * a * c))
        _, log_slope = _rational_quadratic(bin_, xi)
        x = bin_.x + xi * bin_.width
        return jnp.where(inside, x, z), jnp.where(inside, -log_slope, 0.0)

    def _bin(self, raw: Float[Array, " P"], value: Array, *, by_x: bool) -> "_Bin":
        """The bin that holds a value within the box."""
        xs, zs = self._knots(raw[: self.bins]), self._knots(raw[self.bins : 2 * self.bins])
        ends = jnp.zeros(1, raw.dtype)
        slopes = jnp.concatenate([ends, raw[2 * self.bins :], ends])
        inner = (xs if by_x else zs)[1:-1]
        table = jnp.stack([xs, zs, slopes])
        k = jnp.sum(value >= inner)
        (x, z, left), (x1, z1, right) = table[:, k], table[:, k + 1]
        left, right = jnp.exp(_within(_LOG_SLOPE, left)), jnp.exp(_within(_LOG_SLOPE, right))
        return _Bin(x, z, x1 - x, z1 - z, left, right)

    def _knots(self, raw: Float[Array, " K"]) -> Float[Array, " K1"]:
        parts = _LEAST_BIN + (1 - _LEAST_BIN * self.bins) * jax.nn.softmax(raw)
        inner = 2 * jnp.cumsum(parts[:-1]) - 1
        ends = np.ones(1, raw.dtype)
        return self.box * jnp.concatenate([-ends, inner, ends])


class _Bin(NamedTuple):
    """One piece: its lower left corner, its size, and the slopes at its ends."""

    x: Array
    z: Array
    width: Array
    height: Array
    left: Array
    right: Array


def _rational_quadratic(bin_: _Bin, xi: Array) -> tuple[Array, Array]:
    """Equations 4 and 5 at the fraction xi of the bin: z and log dz/dx."""
    slope, rest = bin_.height / bin_.width, xi * (1 - xi)
    below = slope + (bin_.right + bin_.left - 2 * slope) * rest
    z = bin_.z + bin_.height * (slope * xi**2 + bin_.left * rest) / below
    above = bin_.right * xi**2 + 2 * slope * rest + bin_.left * (1 - xi) ** 2
    return z, 2 * jnp.log(slope) + jnp.log(above) - 2 * jnp.log(below)
