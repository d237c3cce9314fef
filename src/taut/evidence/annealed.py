"""Annealed importance sampling.

    log w = sum_t (b_{t+1} - b_t) log w(z_t),    z_0 ~ q,    z_t ~ K_{b_t}(. | z_{t-1}),  t < T

with transitions K_b that leave pi_b ~ q w^b invariant (`hmc`), w(z) = p(x, z) / q(z). The mean of w over
independent chains is unbiased for p(x) whatever the kernels and however far they are from equilibrium;
its logarithm is a lower bound in expectation. T = 1 is importance sampling from q.

The kernels of a row are found in a pilot with draws of its own and then stay as they are (`tempering`).

Source: Neal, Annealed importance sampling, Statistics and Computing 11 (2001); for decoders, Wu, Burda,
Salakhutdinov and Grosse (ICLR 2017).
"""

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import AbstractModel, AbstractPair, Datum, Estimate, key_of_row
from taut.core.compiling import steady_jit
from taut.evidence.chains import (
    CHUNK_CHAINS,
    Kernels,
    anneal,
    kernels_of,
    return_to_start,
    started,
)
from taut.evidence.coordinates import refuse_what_cannot_move
from taut.evidence.draws import RowDraws
from taut.evidence.importance import COLUMNS, Evidence, assembled, averages
from taut.evidence.simulated import Simulated
from taut.evidence.sweep import Sweep, run, sweep
from taut.evidence.tempered import AbstractTempered
from taut.evidence.weights import log_normal_error, summarize
from taut.guides import PriorGuide

__all__ = [
    "AbstractSwept",
    "Annealed",
    "AnnealedRow",
    "anneal_row",
    "annealed_columns",
    "refuse_start",
    "rows_at_once",
    "sandwich",
    "sandwich_sweep",
]

_BLOCK_ROWS = 16


class AbstractSwept(AbstractTempered):
    """A method whose numbers of a row need that row alone: a sweep over blocks of rows."""

    def __call__(self, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray) -> Evidence:
        return run(self.sweep(pair, rows, key=key))

    def sweep(self, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray) -> Sweep:
        """The same block by block, for what saves its progress."""
        model, guide = pair.bind()
        refuse_start(model, guide, rows, self)

        def program(block: Datum, numbers: Any) -> dict[str, Any]:
            return self.columns(model, guide, block, numbers, key)

        def finish(columns: dict[str, np.ndarray]) -> Evidence:
            return self.read(columns, rows)

        names = (*COLUMNS, "acceptance")
        return sweep(program, rows, width=rows_at_once(self), columns=names, finish=finish)

    @abstractmethod
    def columns(
        self, model: AbstractModel, guide: Any, block: Datum, numbers: Any, key: PRNGKeyArray
    ) -> dict[str, Any]:
        """The numbers of the rows of a block, by column, each (B,)."""

    def read(self, columns: dict[str, np.ndarray], rows: Datum) -> Evidence:
        """The evidence of all rows from their numbers."""
        return assembled(columns, rows, num_particles=self.num_particles)


@dataclass(frozen=True)
class Annealed(AbstractSwept):
    """Annealed importance sampling with Hamiltonian transitions; the options are those of the base."""

    name: ClassVar[str] = "annealed"

    def columns(
        self, model: AbstractModel, guide: Any, block: Datum, numbers: Any, key: PRNGKeyArray
    ) -> dict[str, Any]:
        return annealed_columns(*_annealed_rows(model, guide, block, numbers, key, self))

    def both_ends(self, pair: AbstractPair, made: Simulated, *, key: PRNGKeyArray) -> Evidence:
        return sandwich(pair, made, self, key=key)


class AnnealedRow(NamedTuple):
    """What annealing one row leaves.

    Attributes:
        kernels: that it used.
        draws: log-weights of its chains, and what the draws of the start say of the guide.
        acceptance: mean over transitions, ().
        key: for what else is done along the row's path.
    """

    kernels: Kernels
    draws: RowDraws
    acceptance: Float[Array, ""]
    key: PRNGKeyArray


def anneal_row(
    model: AbstractModel,
    guide: Any,
    datum: Datum,
    key: PRNGKeyArray,
    options: AbstractTempered,
) -> AnnealedRow:
    """All chains of a row, as many at once as memory is meant to take.

    Arguments:
        model: p(x, z).
        guide: q(z | x).
        datum: one row.
        key: of the row.
        options: those of the method.
    """
    parts = math.ceil(options.num_particles / CHUNK_CHAINS)
    count = math.ceil(options.num_particles / parts)
    # Parts 0, 1, ... draw their starts from their own fold of the key, as importance sampling does.
    chain_key = jax.random.fold_in(key, parts)
    kernels = kernels_of(model, guide, datum, jax.random.fold_in(chain_key, parts), options)
    path, plan = kernels

    def part(index: Any) -> Any:
        drawn = started(model, path, datum, jax.random.fold_in(key, index), count)
        if plan is None:
            return drawn.draws.log_w, drawn.draws, jnp.ones(())
        own = jax.random.fold_in(chain_key, index)
        _, log_w, accepted = anneal(
            path, plan, drawn.points, drawn.draws.log_w, own, leapfrog=options.leapfrog
        )
        return log_w, drawn.draws, accepted

    log_w, draws, accepted = jax.lax.map(part, jnp.arange(parts))
    log_w, fit = (a.reshape(-1)[: options.num_particles] for a in (log_w, draws.fit))
    # Of each part, or of each draw.
    kl = jnp.mean(draws.kl) if draws.kl.ndim == 1 else draws.kl.reshape(-1)[: fit.size]
    own = jax.random.fold_in(chain_key, parts + 1)
    return AnnealedRow(kernels, RowDraws(log_w, fit, None, kl), jnp.mean(accepted), own)


@steady_jit
def _annealed_rows(
    model: AbstractModel,
    guide: Any,
    block: Datum,
    numbers: Any,
    key: PRNGKeyArray,
    options: Annealed,
) -> tuple[RowDraws, Float[Array, " B"]]:
    def one(datum: Datum, number: Any) -> tuple[RowDraws, Array]:
        row = anneal_row(model, guide, datum, key_of_row(key, datum, number), options)
        return row.draws, row.acceptance

    return jax.vmap(one)(block, numbers)


def annealed_columns(draws: RowDraws, acceptance: Float[Array, " B"]) -> dict[str, Any]:
    """The numbers of the rows of a block, by column."""
    on_host = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), draws)
    columns = averages(on_host)
    error = np.maximum(columns["log_evidence_error"], log_normal_error(on_host.log_w))
    return {**columns, "log_evidence_error": error, "acceptance": acceptance}


def refuse_start(model: AbstractModel, guide: Any, rows: Datum, options: AbstractTempered) -> None:
    """Raise where the start of a method has no draws that steps along a gradient can move."""
    start = PriorGuide(model) if options.start == "prior" else guide
    refuse_what_cannot_move(model, start, rows, method=options.name)


def rows_at_once(options: AbstractTempered) -> int:
    """Rows in a block: as many as all of their chains are held at once."""
    return max(1, min(_BLOCK_ROWS, CHUNK_CHAINS // options.num_particles))


def sandwich(
    pair: AbstractPair, made: Simulated, options: AbstractTempered, *, key: PRNGKeyArray
) -> Evidence:
    """Both ends for rows whose latents are known: `log_evidence` is the lower, `upper` the upper one.

    The chains of a row have one exact draw in common, from which transitions part them: the error of
    its upper end is that given the draw, and the error over rows has all of it.

    Arguments:
        pair: model and guide.
        made: rows and the latents that made them.
        options: those of the method.
        key: random key.

    Raises:
        InputError: as of `Annealed`.
    """
    return run(sandwich_sweep(pair, made, options, key=key))


def sandwich_sweep(
    pair: AbstractPair, made: Simulated, options: AbstractTempered, *, key: PRNGKeyArray
) -> Sweep:
    """The same block by block, for what saves its progress."""
    model, guide = pair.bind()
    refuse_start(model, guide, made.rows, options)

    def program(block: Datum, numbers: Any) -> dict[str, Any]:
        exact = jax.tree.map(lambda leaf: leaf[numbers], made.z)
        draws, acceptance, back = _both_ways(model, guide, block, exact, numbers, key, options)
        inverse = -np.asarray(back, np.float64)
        found = summarize(inverse)
        return {
            **annealed_columns(draws, acceptance),
            "upper": -found.log_evidence,
            "upper_error": np.maximum(found.error, log_normal_error(inverse)),
        }

    def finish(columns: dict[str, np.ndarray]) -> Evidence:
        lower = assembled(columns, made.rows, num_particles=options.num_particles)
        upper = Estimate.from_rows(
            columns["upper"], side="upper", mc_errors=columns["upper_error"], index=lower.index
        )
        return replace(lower, upper=upper)

    columns = (*COLUMNS, "acceptance", "upper", "upper_error")
    return sweep(program, made.rows, width=rows_at_once(options), columns=columns, finish=finish)


@steady_jit
def _both_ways(
    model: AbstractModel,
    guide: Any,
    block: Datum,
    exact: Any,
    numbers: Any,
    key: PRNGKeyArray,
    options: AbstractTempered,
) -> tuple[RowDraws, Float[Array, " B"], Float[Array, "B K"]]:
    """Forward draws with their acceptance, and the log-weights of backward chains."""

    def one(datum: Datum, z: Any, number: Any) -> tuple[RowDraws, Array, Array]:
        row = anneal_row(model, guide, datum, key_of_row(key, datum, number), options)
        path, plan = row.kernels
        back = return_to_start(
            path, plan, path.coordinates.to_u(z), row.key,
            count=options.num_particles, leapfrog=options.leapfrog,
        )  # fmt: skip
        return row.draws, row.acceptance, back

    return jax.vmap(one)(block, exact, numbers)
