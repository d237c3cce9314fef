"""`Sylvester`: a planar layer with M hidden units.

    z = x + Q R tanh(S Q^T x + b)
    log |det dz/dx| = sum log(1 + r_ii s_ii / cosh(a_i)^2),        a = S Q^T x + b

Q (D x M) has orthonormal columns, a product of M Householder reflections, applied in the compact form of
Schreiber and Van Loan (1989); R and S are upper triangular
with r_ii and s_ii in (-1, 1), so that every factor is positive. The inverse is exact: from the last unit
to the first, a_i solves a_i + r_ii s_ii tanh(a_i) = s_ii (Q^T z - terms of later units)_i + rest, one
scalar equation each.

Source: van den Berg, Hasenclever, Tomczak and Welling, Sylvester normalizing flows for variational
inference (UAI 2018), equations 8 to 14 and section 4.2.
"""

import math
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import InputError
from taut.transforms.abstract import AbstractBijection, Cost, Shape, WithLogDet
from taut.transforms.bijections.context_vector import ContextVector
from taut.transforms.bijections.tanh_root import tanh_root

__all__ = ["Sylvester"]

_START = 0.1  # standard deviation of R at the start; zero would stop the gradient to S and b
_MOST_UNITS = 16  # by default


class Sylvester(AbstractBijection):
    """M hidden units.

    Attributes:
        x_shape, z_shape: (D,).
        units: M, at most D.
        parameters: reflections (M, D), R and S (M (M + 1) / 2 each, row by row), b (M,).
    """

    name: ClassVar[str] = "sylvester"

    x_shape: Shape = eqx.field(static=True)
    z_shape: Shape = eqx.field(static=True)
    units: int = eqx.field(static=True)
    parameters: ContextVector

    def __init__(
        self,
        dim: int,
        *,
        units: int | None = None,
        condition_dim: int | None = None,
        key: PRNGKeyArray,
    ):
        self.x_shape = self.z_shape = (dim,)
        self.units = min(dim, _MOST_UNITS) if units is None else units
        if not 1 <= self.units <= dim:
            raise InputError(
                f"1 to {dim} hidden units, the number of dimensions", f"{self.units}",
                f"{min(dim, _MOST_UNITS)}", where="sylvester",
            )  # fmt: skip
        entries = self.units * (self.units + 1) // 2
        reflections_key, r_key, s_key = jax.random.split(key, 3)
        parts = [
            jax.random.normal(reflections_key, (self.units * dim,)),
            _START * jax.random.normal(r_key, (entries,)),
            jax.random.normal(s_key, (entries,)) / math.sqrt(self.units),
            jnp.zeros(self.units),
        ]
        self.parameters = ContextVector(jnp.concatenate(parts), condition_dim)

    @property
    def condition_shape(self) -> Shape | None:
        return self.parameters.condition_shape

    def at_rest(self) -> "Sylvester":
        first = self.units * self.x_shape[0]
        r = slice(
            first, first + self.units * (self.units + 1) // 2
        )  # R, which the gradient moves first
        return eqx.tree_at(
            lambda la: la.parameters.own, self, replace_fn=lambda p: p.at[r].set(0.0)
        )

    @property
    def cost(self) -> Cost:
        return Cost(decode=self.units)

    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        p = self._parts(condition)
        t = jnp.tanh(p.s @ _reduced(p.reflections, x) + p.b)
        return x + _expanded(p.reflections, p.r @ t), _log_det(p, t)

    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        p = self._parts(condition)
        v = _reduced(p.reflections, z)  # y + R tanh(S y + b) with y = Q^T x

        def one_more(carry: tuple[Array, Array], i: Array) -> tuple[tuple[Array, Array], None]:
            y, t = carry
            # Later units are known; entries of y and t that are not are still zero.
            rest, known = v[i] - p.r[i] @ t, p.s[i] @ y + p.b[i]
            root = tanh_root(p.r[i, i] * p.s[i, i], p.s[i, i] * rest + known)
            t = t.at[i].set(jnp.tanh(root))
            return (y.at[i].set(rest - p.r[i, i] * t[i]), t), None

        start = (jnp.zeros_like(v), jnp.zeros_like(v))
        (_, t), _ = jax.lax.scan(one_more, start, jnp.arange(self.units)[::-1])
        return z - _expanded(p.reflections, p.r @ t), -_log_det(p, t)

    def _parts(self, condition: Array | None) -> "_Parts":
        dim, m, parameters = self.x_shape[0], self.units, self.parameters(condition)
        ends = np.cumsum([m * dim, *2 * [m * (m + 1) // 2]]).tolist()
        reflections, r, s, b = jnp.split(parameters, ends)
        r, s = _bounded(_upper(r, m)), _bounded(_upper(s, m))
        return _Parts(reflections.reshape(m, dim), r, s, b)


class _Parts(NamedTuple):
    """Reflections (M, D), R and S (M, M), b (M,)."""

    reflections: Array
    r: Array
    s: Array
    b: Array


def _upper(entries: Array, m: int) -> Float[Array, "M M"]:
    """An upper triangular matrix from its entries, row by row."""
    rows = [
        jnp.concatenate([jnp.zeros(i, entries.dtype), entries[at : at + m - i]])
        for i, at in enumerate(np.cumsum([0, *range(m, 1, -1)]).tolist())
    ]
    return jnp.stack(rows)


def _bounded(matrix: Float[Array, "M M"]) -> Float[Array, "M M"]:
    """The same matrix with its diagonal squashed into (-1, 1)."""
    return jnp.where(np.eye(len(matrix), dtype=bool), jnp.tanh(matrix), matrix)


def _reduced(reflections: Float[Array, "M D"], x: Float[Array, " D"]) -> Float[Array, " M"]:
    """Q^T x."""
    m = len(reflections)
    inner = solve_triangular(_compact(reflections), reflections @ x, trans=1)
    return x[:m] - reflections[:, :m].T @ inner


def _expanded(reflections: Float[Array, "M D"], y: Float[Array, " M"]) -> Float[Array, " D"]:
    """Q y."""
    m, dim = reflections.shape
    inner = solve_triangular(_compact(reflections), reflections[:, :m] @ y)
    x = jnp.concatenate([y, jnp.zeros(dim - m, y.dtype)])
    return x - reflections.T @ inner


def _compact(reflections: Float[Array, "M D"]) -> Float[Array, "M M"]:
    """T^-1, upper triangular, of H_1 ... H_M = I - V^T T V with the reflections as rows of V."""
    gram = jnp.matmul(reflections, reflections.T, precision=jax.lax.Precision.HIGHEST)
    return jnp.triu(gram, 1) + 0.5 * jnp.diag(jnp.diagonal(gram))


def _log_det(p: _Parts, t: Float[Array, " M"]) -> Float[Array, ""]:
    return jnp.sum(jnp.log1p(jnp.diagonal(p.r) * jnp.diagonal(p.s) * (1 - t**2)))
