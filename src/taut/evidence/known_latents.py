"""Both ends of the evidence by importance sampling, for rows whose latents are known.

    lower   log (1/K) sum_k w(z_k)                      z_1, ..., z_K ~ q                E <= log p(x)
    upper   log (1/K) [w(z*) + sum_{k<K} w(z_k)]        z* ~ p(z | x)                    E >= log p(x)

The average W of K weights is the ratio of two laws of (z_1, ..., z_K), times p(x): that of K draws of q,
and that in which one of them, any, is a draw of p(z | x) instead. Under the second, E[log W] is log p(x)
plus the Kullback-Leibler divergence between the two, as under the first it is log p(x) less the other
one. The gap closes as Var(w) / K, where that of a single exact draw stays KL(p to q).

Both ends share all draws but one, so that their difference, which is what calibrates an end for other
rows, has hardly any error of its own.

Sources: Andrieu, Doucet and Holenstein, Particle Markov chain Monte Carlo methods (2010), section 4, for
the extended law; Brekelmans et al., Improving mutual information estimation with annealed and
energy-based bounds (ICLR 2022), section 3, for the bound.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import (
    AbstractModel,
    Datum,
    Estimate,
    InputError,
    num_rows,
    over_rows,
    particles_at,
)
from taut.core.compiling import steady_jit
from taut.core.kept_rows import kept_rows
from taut.evidence.draws import weighted_draws
from taut.evidence.importance import Evidence, assembled, averages, proposal_of
from taut.evidence.simulated import Simulated
from taut.evidence.weights import summarize
from taut.models import ChainModel

__all__ = ["weigh_known"]

_BLOCK_ROWS = 16


def weigh_known(
    model: AbstractModel, guide: Any, made: Simulated, *, key: PRNGKeyArray, num_particles: int
) -> Evidence:
    """Both ends: `log_evidence` is the lower, `upper` the upper one, in expectation over the draws.

    The error of a row's upper end is that given its one exact draw.

    Arguments:
        model: p(x, z).
        guide: q(z | x), datum -> proposal.
        made: rows and the latents that made them.
        key: random key.
        num_particles: K.

    Raises:
        InputError: a chain of layers; a guide whose draws are not independent ones with a density; or
            log-weights subsampled over a plate.
    """
    if isinstance(model, ChainModel):
        raise InputError(
            "a model of one latent, an exact draw of which comes with each simulated row",
            "a chain of layers, of whose latents simulated rows know the last alone",
            "the lower end alone", where="weigh_known",
        )  # fmt: skip
    q = proposal_of(guide, made.rows)
    if q.exhaustive or q.dirac or q.strata > 1:
        raise InputError(
            "independent draws with a density, one of which an exact one can stand for",
            "draws that are fixed by the row, or stand for whole strata",
            "the lower end alone", where="weigh_known",
        )  # fmt: skip

    def program(block: Datum, numbers: Any, _: Any) -> Any:
        return _exact_log_w(model, guide, block, jax.tree.map(lambda leaf: leaf[numbers], made.z))

    exact = np.concatenate(list(over_rows(program, made.rows, width=_BLOCK_ROWS)))

    def blocks(begin: int) -> Iterator[dict[str, Any]]:
        first = begin
        for draws in weighted_draws(
            model, guide, made.rows, key=key, num_particles=num_particles, begin=begin
        ):
            log_w = np.array(draws.log_w, np.float64)
            log_w[:, -1] = exact[first : first + len(log_w)]
            first += len(log_w)
            end = summarize(log_w)
            yield {**averages(draws), "upper": end.log_evidence, "upper_error": end.error}

    columns = kept_rows(blocks, num_rows(made.rows))
    lower = assembled(columns, made.rows, num_particles=num_particles)
    upper = Estimate.from_rows(
        columns["upper"], side="upper", mc_errors=columns["upper_error"], index=lower.index
    )
    return replace(lower, upper=upper)


@steady_jit
def _exact_log_w(model: AbstractModel, guide: Any, block: Datum, z: Any) -> Float[Array, " B"]:
    """log w of one latent of each row."""

    def one(datum: Datum, at: Any) -> Array:
        alone = jax.tree.map(lambda leaf: leaf[None], at)
        return particles_at(model, guide, datum, alone).log_w[0]

    return jax.vmap(one)(block, z)
