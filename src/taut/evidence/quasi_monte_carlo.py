"""Importance sampling at the points of a randomised Sobol sequence, through a Gaussian guide.

    z_i = m + L Phi^-1(u_i + s mod 1),      q = N(m, L L^T),      p(x) ~ (1/n) sum_i p(x, z_i) / q(z_i)

u_1, ..., u_n are a scrambled Sobol sequence, s ~ Uniform(0, 1)^d is a shift that every row and every
randomisation has of its own. Each u_i + s is uniform, so that each randomisation is unbiased for p(x); R
of them are as many independent estimates, whose mean is the estimate and whose spread is its error,
widened as far as Student's t interval is wider than 1.96 errors (`few_runs`). The fewer dimensions
matter, the faster it falls with n: up to 1 / n against the 1 / sqrt(n) of random draws.

Sources: Cranley and Patterson, Randomization of number theoretic methods for multiple integration
(1976), for the shift; Buchholz, Wenzel and Mandt, Quasi-Monte Carlo variational inference (ICML 2018).
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import (
    AbstractModel,
    AbstractPair,
    AbstractProposal,
    Datum,
    DistributionProposal,
    InputError,
    as_proposal,
    host_seed,
    key_of_row,
    option,
    particles_at,
)
from taut.core.compiling import steady_jit
from taut.evidence.abstract import AbstractMethod, Claims
from taut.evidence.draws import RowDraws, fit_of, kl_of
from taut.evidence.few_runs import evidence_of_runs
from taut.evidence.importance import COLUMNS, Evidence, assembled, averages, proposal_of
from taut.evidence.sweep import Sweep, run, sweep
from taut.evidence.weights import summarize
from taut.transforms import Transformed

__all__ = ["QuasiMonteCarlo"]

_BLOCK_ROWS = 16
_EDGE = 1e-7  # the smallest u, and 1 - u, in float32


@dataclass(frozen=True)
class QuasiMonteCarlo(AbstractMethod):
    """Importance sampling from a Gaussian guide at randomised Sobol points.

    Attributes:
        num_particles: points of a row over all randomisations; each takes the power of two below its
            share.
        randomisations: R, with which the error is found.
    """

    name: ClassVar[str] = "quasi-monte-carlo"
    claims: ClassVar[Claims] = Claims(side="lower", unbiased=True, latents="continuous")

    num_particles: int = 4096
    randomisations: int = 16

    def __post_init__(self):
        if self.randomisations < 2:
            raise InputError(
                "at least 2 randomisations, which an error needs", f"{self.randomisations}", "16",
                where="randomisations",
            )  # fmt: skip
        if self.num_particles < self.randomisations:
            raise InputError(
                f"a point for each of {self.randomisations} randomisations", f"{self.num_particles}",
                "4096", where=option("num_particles"),
            )  # fmt: skip

    def __call__(self, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray) -> Evidence:
        return run(self.sweep(pair, rows, key=key))

    def sweep(self, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray) -> Sweep:
        """The same block by block, for what saves its progress."""
        from scipy.stats.qmc import Sobol  # takes half as long to import as JAX

        model, guide = pair.bind()
        size = _dimensions(proposal_of(guide, rows))
        sequence_key, row_key = jax.random.split(key)
        sobol = Sobol(size, scramble=True, rng=host_seed(sequence_key))
        power = int(math.log2(self.num_particles // self.randomisations))
        points = jnp.asarray(sobol.random_base2(power), float)
        shape = (self.randomisations, 2**power)

        def program(block: Datum, numbers: Any) -> dict[str, Any]:
            draws = _at_points(model, guide, block, numbers, row_key, points, shape[0])
            return _columns(draws, shape)

        def finish(columns: dict[str, np.ndarray]) -> Evidence:
            return assembled(columns, rows, num_particles=math.prod(shape))

        return sweep(program, rows, width=_BLOCK_ROWS, columns=COLUMNS, finish=finish)


def _columns(draws: RowDraws, shape: tuple[int, int]) -> dict[str, Any]:
    """The numbers of the rows of a block: errors between randomisations, tails over all points."""
    draws = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), draws)
    rows = draws.log_w.shape[0]
    within = summarize(draws.log_w.reshape(-1, shape[1])) if shape[1] > 1 else None
    means = draws.log_w if within is None else within.log_evidence
    between = evidence_of_runs(means.reshape(rows, shape[0]))
    columns = averages(draws)
    return {
        **columns,
        "log_evidence": between.log_evidence,
        "log_evidence_error": between.error,
        "halves": between.halves,
    }


def _dimensions(q: AbstractProposal) -> int:
    """Of the Gaussian that a guide is, or that its layers are over; refused where there is none."""
    inner = _gaussian(q)
    if isinstance(inner, dist.Independent):
        inner = inner.base_dist
    if not isinstance(inner, dist.MultivariateNormal | dist.Normal):
        raise InputError(
            "continuous latents with a Gaussian guide, or layers over one", type(q).__name__,
            "importance", where=QuasiMonteCarlo.name,
        )  # fmt: skip
    return math.prod(_gaussian(q).event_shape)


def _gaussian(q: AbstractProposal) -> Any:
    base = as_proposal(q.base) if isinstance(q, Transformed) else q
    return base.distribution if isinstance(base, DistributionProposal) else None


def _pushed(q: AbstractProposal, e: Float[Array, " d"]) -> Any:
    """m + L e for standard normal e, through the layers of a flow."""
    gaussian = _gaussian(q)
    if isinstance(gaussian, dist.MultivariateNormal):
        z: Any = gaussian.loc + jnp.asarray(gaussian.scale_tril) @ e
    else:
        inner: Any = gaussian.base_dist if isinstance(gaussian, dist.Independent) else gaussian
        z = inner.loc + inner.scale * e.reshape(gaussian.event_shape)
    return q.chain.decode_and_log_det(z, q.condition)[0] if isinstance(q, Transformed) else z


@steady_jit
def _at_points(
    model: AbstractModel,
    guide: Any,
    block: Datum,
    numbers: Any,
    key: PRNGKeyArray,
    points: Float[Array, "n d"],
    randomisations: int,
) -> RowDraws:
    """Log-weights of each row of a block, randomisation by randomisation, (B, R n)."""

    def one(datum: Datum, number: Any) -> RowDraws:
        q = as_proposal(guide(datum))
        row_key = key_of_row(key, datum, number)

        def randomised(index: Any) -> tuple[Array, Array, Array]:
            own = jax.random.fold_in(row_key, index)
            shift = jax.random.uniform(own, points.shape[1:], points.dtype)
            u = jnp.clip(jnp.mod(points + shift, 1.0), _EDGE, 1 - _EDGE)
            z = jax.vmap(lambda at: _pushed(q, jax.scipy.special.ndtri(at)))(u)
            made = particles_at(model, lambda _: q, datum, z)
            made.refuse_subsampled("the evidence")
            return made.log_w, fit_of(made), kl_of(model, lambda _: q, datum, made)

        log_w, fit, kl = jax.lax.map(randomised, jnp.arange(randomisations))
        kl = jnp.mean(kl) if kl.ndim == 1 else kl.reshape(-1)
        return RowDraws(log_w.reshape(-1), fit.reshape(-1), None, kl)

    return jax.vmap(one)(block, numbers)
