"""Monotone functions of a scalar, whose parameters a network gives: the inside of coupling and
autoregressive layers.

    affine      z = x exp(log_scale) + shift,    log_scale within (-3, 3)
    real-nvp    the same,                        log_scale = 2 tanh(raw / 2)
    gated       z = g x + (1 - g) m,             g = sigmoid(2 + raw)
    spline      z = (rational quadratic)(x) within the box [-B, B], z = x outside of it

Parameters of zero are the identity, of a gated one a shrinkage by sigmoid(2) = 0.88, which the scale of
the base takes up. The spline has K bins of learned widths, heights and slopes at the
inner knots, log-slopes within (-7, 7); its slope at the ends of the box is one, so that it is
continuously differentiable. Logarithms keep within (-b, b) by (2 b / pi) atan(pi raw / (2 b)), which is
analytic, has slope one at zero and approaches its bound as 1 / |raw| does, so that its gradient is not
lost there.

Sources: Dinh, Sohl-Dickstein and Bengio, Density estimation using Real NVP (ICLR 2017), equation 7;
Kingma et al., Improving variational inference with inverse autoregressive flow (NeurIPS 2016), equations
10 to 14 and for the gate's start section 4;
Durkan, Bekasov, Murray and Papamakarios, Neural spline flows (NeurIPS 2019), section 3.1 and
equations 4 to 8.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core import InputError, PlainFields

__all__ = [
    "AbstractTransformer",
    "AffineTransformer",
    "GatedTransformer",
    "RealNVPTransformer",
    "SplineTransformer",
    "bounded",
]

_LEAST_BIN = 1e-3  # of the box, as in the authors' code
_LOG_SLOPE = 7.0  # a factor of 1100
_LOG_SCALE = 3.0  # a factor of 20 a layer
_REAL_NVP_LOG_SCALE = 2.0  # a factor of 7.4 a layer; Real NVP learns the bound
_GATE = 2.0  # added to what the gate is the sigmoid of, which starts near zero

Values = Float[Array, "*n"]


class AbstractTransformer(PlainFields, eqx.Module):
    """x -> z, elementwise and increasing, with P parameters an element."""

    @property
    @abstractmethod
    def num_parameters(self) -> int:
        """P."""

    @property
    def scale_at_rest(self) -> float:
        """dz/dx at parameters of zero, where there is no shift."""
        return 1.0

    @abstractmethod
    def forward(self, parameters: Float[Array, "*n P"], x: Values) -> tuple[Values, Values]:
        """z and log dz/dx, each (*n,)."""

    @abstractmethod
    def inverse(self, parameters: Float[Array, "*n P"], z: Values) -> tuple[Values, Values]:
        """x and log dx/dz, each (*n,)."""


class AffineTransformer(AbstractTransformer):
    """Shift and scale, whose logarithm nears its bound slowly; parameters shift and raw log-scale."""

    @property
    def num_parameters(self) -> int:
        return 2

    def forward(self, parameters: Float[Array, "*n 2"], x: Values) -> tuple[Values, Values]:
        log_scale = _within(_LOG_SCALE, parameters[..., 1])
        return _scaled(x, log_scale, parameters[..., 0])

    def inverse(self, parameters: Float[Array, "*n 2"], z: Values) -> tuple[Values, Values]:
        log_scale = _within(_LOG_SCALE, parameters[..., 1])
        return _unscaled(z, log_scale, parameters[..., 0])


class RealNVPTransformer(AbstractTransformer):
    """Scale, with a log-scale by tanh, and shift; parameters raw log-scale and shift."""

    @property
    def num_parameters(self) -> int:
        return 2

    def forward(self, parameters: Float[Array, "*n 2"], x: Values) -> tuple[Values, Values]:
        return _scaled(x, bounded(parameters[..., 0]), parameters[..., 1])

    def inverse(self, parameters: Float[Array, "*n 2"], z: Values) -> tuple[Values, Values]:
        return _unscaled(z, bounded(parameters[..., 0]), parameters[..., 1])


class GatedTransformer(AbstractTransformer):
    """A weighted mean of the value and a target; parameters m and the raw gate."""

    @property
    def num_parameters(self) -> int:
        return 2

    @property
    def scale_at_rest(self) -> float:
        return 1 / (1 + math.exp(-_GATE))

    def forward(self, parameters: Float[Array, "*n 2"], x: Values) -> tuple[Values, Values]:
        m, s = parameters[..., 0], parameters[..., 1] + _GATE
        gate = jax.nn.sigmoid(s)
        return gate * x + (1 - gate) * m, jax.nn.log_sigmoid(s)

    def inverse(self, parameters: Float[Array, "*n 2"], z: Values) -> tuple[Values, Values]:
        m, s = parameters[..., 0], parameters[..., 1] + _GATE
        # (z - (1 - g) m) / g, with 1/g = 1 + exp(-s)
        return z + jnp.exp(-s) * (z - m), -jax.nn.log_sigmoid(s)


def _scaled(x: Values, log_scale: Values, shift: Values) -> tuple[Values, Values]:
    return x * jnp.exp(log_scale) + shift, log_scale


def _unscaled(z: Values, log_scale: Values, shift: Values) -> tuple[Values, Values]:
    return (z - shift) * jnp.exp(-log_scale), -log_scale


def bounded(raw: Float[Array, "..."]) -> Float[Array, "..."]:
    """A log-scale within (-2, 2) by tanh, with slope 1 at zero."""
    return _REAL_NVP_LOG_SCALE * jnp.tanh(raw / _REAL_NVP_LOG_SCALE)


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

    def forward(self, parameters: Float[Array, "*n P"], x: Values) -> tuple[Values, Values]:
        return _over_cells(self._forward, x.ndim)(parameters, x)

    def inverse(self, parameters: Float[Array, "*n P"], z: Values) -> tuple[Values, Values]:
        return _over_cells(self._inverse, z.ndim)(parameters, z)

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
        # Both are within these bounds but for rounding.
        discriminant = jnp.maximum(b**2 - 4 * a * c, jnp.finfo(z.dtype).tiny)
        xi = jnp.clip(2 * c / (-b - jnp.sqrt(discriminant)), 0, 1)
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


def _over_cells(function: Callable[..., Any], ndim: int) -> Callable[..., Any]:
    """A function of one cell over all of an array's."""
    for _ in range(ndim):
        function = jax.vmap(function)
    return function


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
