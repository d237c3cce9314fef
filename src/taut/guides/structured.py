"""A Gaussian guide that follows a plate: dense over what rows share, one small block for each row.

    z_0 = m_0 + L_0 e_0                                          shared, any covariance
    z_n = m_n + W_n e_0 + S_n e_n,      n = 1..N                 the latents of row n

Rows are independent of each other given what they share, as they are in the model's posterior when
only shared latents tie them together; and the conditional means are linear. W_n = 0 makes them
independent of z_0. One row's m_n, W_n and S_n stand in one line of a table, so that a minibatch
touches its own lines. A minibatch of B rows stands for all N: its rows' log q counts N/B times, as
their log-likelihood does.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import NEG_LOG_Q, AbstractProposal, Datum, Draws, Terms, equal_mass

__all__ = ["StructuredGuide", "StructuredProposal"]


class StructuredProposal(AbstractProposal):
    """q(z_0) and q(z_n given z_0) for B rows.

    Attributes:
        loc: m_0, (G,).
        tril: L_0, (G, G).
        row_loc: m_n, (B, l).
        slope: W_n, (B, l, G).
        row_tril: S_n, (B, l, l).
        row_scale: N/B.
    """

    loc: Float[Array, " G"]
    tril: Float[Array, "G G"]
    row_loc: Float[Array, "B l"]
    slope: Float[Array, "B l G"]
    row_tril: Float[Array, "B l l"]
    row_scale: float = eqx.field(static=True)

    @property
    def reparameterized(self) -> bool:
        return True

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        shared_key, row_key = jax.random.split(key)
        shared = jax.random.normal(shared_key, (num_particles, *self.loc.shape))
        noise = jax.random.normal(row_key, (num_particles, *self.row_loc.shape))
        rows = (
            self.row_loc
            + jnp.einsum("blg,kg->kbl", self.slope, shared)
            + jnp.einsum("blm,kbm->kbl", self.row_tril, noise)
        )
        z = [self.loc + shared @ self.tril.T, rows.reshape(num_particles, -1)]
        return Draws(jnp.concatenate(z, axis=1), equal_mass(num_particles))

    def terms(self, z: Any) -> Terms:
        num_shared = self.loc.shape[0]
        solve = jax.scipy.linalg.solve_triangular
        shared = solve(self.tril, z[:num_shared] - self.loc, lower=True)
        rows = z[num_shared:].reshape(self.row_loc.shape) - self.row_loc - self.slope @ shared
        noise = jax.vmap(lambda tril, row: solve(tril, row, lower=True))(self.row_tril, rows)
        shared_part, row_part = jnp.sum(shared**2), jnp.sum(noise**2)
        half = 0.5 * (shared_part + self.row_scale * row_part) - 0.5 * self._effective_dim()
        return {NEG_LOG_Q: half + self.entropy()}

    def mean(self) -> Float[Array, " d"]:
        return jnp.concatenate([self.loc, self.row_loc.reshape(-1)])

    def entropy(self) -> Float[Array, ""]:
        shared = jnp.sum(jnp.log(jnp.diagonal(self.tril)))
        rows = jnp.sum(jnp.log(jnp.diagonal(self.row_tril, axis1=1, axis2=2)))
        constant = 0.5 * (1 + math.log(2 * math.pi)) * self._effective_dim()
        return constant + shared + self.row_scale * rows

    def dense(self) -> tuple[Float[Array, " d"], Float[Array, "d d"]]:
        """Mean and lower triangular factor of the Gaussian that it is over z, (d,) and (d, d)."""
        shared, (rows, per_row) = self.loc.shape[0], self.row_loc.shape
        if rows * per_row == 0:
            return self.loc, self.tril
        slopes = self.slope.reshape(rows * per_row, shared)
        below = jnp.concatenate([slopes, jax.scipy.linalg.block_diag(*self.row_tril)], axis=1)
        above = jnp.pad(self.tril, ((0, 0), (0, rows * per_row)))
        return self.mean(), jnp.concatenate([above, below])

    def _effective_dim(self) -> float:
        return self.loc.shape[0] + self.row_scale * self.row_loc.size


class StructuredGuide(eqx.Module):
    """The guide of a program with one plate of rows.

    Attributes:
        loc: m_0, (G,).
        log_diagonal: logarithms of the diagonal of L_0, (G,).
        lower: strict lower triangle of L_0 in units of its rows' diagonals, (G (G - 1) / 2,).
        table: for each row m_n, log diag S_n, strict lower triangle of S_n, and W_n, (N, F).
        num_locals: l.
    """

    loc: Float[Array, " G"]
    log_diagonal: Float[Array, " G"]
    lower: Float[Array, " T"]
    table: Float[Array, "N F"]
    num_locals: int = eqx.field(static=True)

    @classmethod
    def start(
        cls, loc: Float[Array, " G"], num_rows: int, num_locals: int, *, scale: float = 0.1
    ) -> "StructuredGuide":
        """Independent coordinates of standard deviation `scale`, the shared ones around `loc`."""
        shared, per_row = loc.shape[0], num_locals
        log_scale = jnp.full((per_row,), math.log(scale))
        rest = per_row * (per_row - 1) // 2 + per_row * shared
        line = jnp.concatenate([jnp.zeros(per_row), log_scale, jnp.zeros(rest)])
        return cls(
            loc,
            jnp.full((shared,), math.log(scale)),
            jnp.zeros(shared * (shared - 1) // 2),
            jnp.tile(line, (num_rows if per_row else 0, 1)),
            per_row,
        )

    def __call__(self, datum: Datum) -> StructuredProposal:
        """q over the shared latents and those of the rows in `datum.index`, or of all rows."""
        width, shared = self.num_locals, self.loc.shape[0]
        lines = self.table
        if width and datum.index is not None:
            lines = self.table.at[datum.index].get(mode="promise_in_bounds")
        count = lines.shape[0]
        stop = 2 * width + width * (width - 1) // 2
        return StructuredProposal(
            self.loc,
            _tril(self.log_diagonal, self.lower),
            lines[:, :width],
            lines[:, stop:].reshape(count, width, shared),
            jax.vmap(_tril)(lines[:, width : 2 * width], lines[:, 2 * width : stop]),
            self.table.shape[0] / count if count else 1.0,
        )


def _tril(log_diagonal: Float[Array, " n"], lower: Float[Array, " T"]) -> Float[Array, "n n"]:
    """diag(s) times a unit lower triangle, so that features of one size mean like correlations."""
    n = log_diagonal.shape[0]
    unit = jnp.eye(n).at[jnp.tril_indices(n, -1)].set(lower)
    return jnp.exp(log_diagonal)[:, None] * unit
