"""Evidence by importance sampling from the guide.

    log p(x) ~ log (1/K) sum_k p(x, z_k) / q(z_k | x),        z_k ~ q(z | x)

The mean of the weights is unbiased for p(x) where q covers the posterior; its logarithm is a lower
bound in expectation that tightens with K (Burda, Grosse and Salakhutdinov 2016). Enumerated and Dirac
guides leave nothing to chance: the sum over their draws is exact where they cover the support, and a
lower bound where they do not. Of discrete guides with no more outcomes than K all are summed. The
replicates of a stratified guide count as K draws.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.core import (
    AbstractModel,
    AbstractPair,
    AbstractProposal,
    Datum,
    Estimate,
    FarRows,
    Side,
    as_proposal,
    check_count,
    far_rows_of,
    num_rows,
    option,
)
from taut.core.kept_rows import kept_rows
from taut.evidence.draws import RowDraws, weighted_draws
from taut.evidence.weights import RowWeights, khat_threshold, mean_and_error, summarize
from taut.guides import every_outcome

__all__ = [
    "COLUMNS",
    "Evidence",
    "assembled",
    "averages",
    "importance_sampling",
    "proposal_of",
    "weigh",
]

COLUMNS = (
    "log_evidence", "log_evidence_error", "elbo", "elbo_error", "reconstruction",
    "reconstruction_error", "kl", "kl_error", "ess", "khat", "halves", "log_w_variance",
)  # fmt: skip
"""The numbers of every row that `averages` gives and `assembled` takes."""

_TRUSTED_SHARE = 0.05  # of rows above the threshold; a few in a hundred are there by chance


@dataclass(frozen=True)
class Evidence:
    """Log-evidence with what tells how far to trust it.

    Attributes:
        log_evidence: nats per row; lower bound in expectation, or exact.
        elbo: nats per row, from the same draws; its KL is the closed one where there is one.
        reconstruction: E_q of every term but the prior and -log q, nats per row.
        kl: KL(q to prior), nats per row.
        num_particles: draws per row behind the log-evidence; None where none is at random, as where it
            is exact.
        ess: effective sample size of each row, (N,); None likewise.
        khat: Pareto shape of each row, (N,); NaN where unknown, -inf where no tail matters (`weights`).
        halves: difference between the log-evidences of two halves of each row's draws, nats, (N,).
        khat_threshold: above it a row's estimate cannot be trusted.
        index: the rows' numbers in their data set, (N,).
        acceptance: mean acceptance of the transitions of each row's draws, (N,); None where there are
            no transitions.
        errors: Monte Carlo standard error of each row's log-evidence, nats, (N,).
        log_w_variance: variance of each row's log-weights, nats squared, (N,).
        upper: an upper end for `log_evidence`, where the method has one; its side says what it is.
        notes: what a reader should know of the upper end, or of what was missed, a sentence each.
        converged: whether the fit of each row's own guide met its tolerance, (N,); None where no guide
            was fitted.
        missed: whether draws from elsewhere found more of a row's posterior (`agreement`), (N,); None
            where none were made.
    """

    log_evidence: Estimate
    elbo: Estimate
    reconstruction: Estimate
    kl: Estimate
    num_particles: int | None
    ess: np.ndarray | None
    khat: np.ndarray
    halves: np.ndarray
    khat_threshold: float
    index: np.ndarray
    acceptance: np.ndarray | None = None
    errors: np.ndarray | None = None
    log_w_variance: np.ndarray | None = None
    upper: Estimate | None = None
    notes: tuple[str, ...] = ()
    converged: np.ndarray | None = None
    missed: np.ndarray | None = None
    harder: bool = False

    @property
    def at_random(self) -> bool:
        """Whether log-weights are draws, so that how far they can be trusted is a question."""
        return self.num_particles is not None

    @property
    def above_threshold(self) -> np.ndarray:
        """The rows whose k-hat is not known to be at most the threshold, (N,)."""
        return ~(self.khat <= self.khat_threshold)

    @property
    def unreliable(self) -> np.ndarray:
        """These, and the rows of whose posterior a part was missed, (N,)."""
        return self.above_threshold if self.missed is None else self.above_threshold | self.missed

    @property
    def share_unreliable(self) -> float:
        """The share of unreliable rows."""
        return float(np.mean(self.unreliable))

    def judged(self) -> "Evidence":
        """The same, its mean flagged where more rows are unreliable than chance makes."""
        if self.share_unreliable <= _TRUSTED_SHARE:
            return self
        return replace(self, log_evidence=self.log_evidence.flagged("unreliable"))

    def without_bound(self) -> "Evidence":
        """The same of a density without a bound."""
        return self._with(Estimate.without_bound)

    def noted(self, *notes: str, flag: str) -> "Evidence":
        """The same with more notes, and a flag on both ends of the log-evidence."""
        flagged = self._with(lambda end: end.flagged(flag))
        return replace(flagged, notes=(*self.notes, *notes))

    def _with(self, changed: Callable[[Estimate], Estimate]) -> "Evidence":
        upper = self.upper and changed(self.upper)
        return replace(self, log_evidence=changed(self.log_evidence), upper=upper)

    @property
    def far_rows(self) -> dict[str, FarRows]:
        """The rows that alone move a mean by more than its error, by the name of the mean."""
        return far_rows_of({"elbo": self.elbo, "log_evidence": self.log_evidence})

    @property
    def known_ess(self) -> np.ndarray:
        """The effective sample sizes that are known, (n,)."""
        return np.zeros(0) if self.ess is None else self.ess[np.isfinite(self.ess)]

    def worst_rows(self, count: int = 5) -> list[tuple[int, float]]:
        """The rows with the largest k-hat, unknown ones first: their numbers in the data set, k-hats."""
        count = check_count(count, "a number of rows of at least 0", "5", where="count", least=0)
        order = np.lexsort((-self.khat, ~np.isnan(self.khat)))[:count]
        return [(int(self.index[i]), float(self.khat[i])) for i in order]


def importance_sampling(
    pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray, num_particles: int = 5000
) -> Evidence:
    """Log-evidence of each row by importance sampling from the pair's guide.

    Exact where the guide is discrete with no more outcomes than draws.

    Arguments:
        pair: model and guide.
        rows: a batched datum.
        key: random key.
        num_particles: K, draws per row.

    Raises:
        InputError: fewer than two particles, or log-weights subsampled over a plate.
    """
    model, guide = pair.bind()
    guide = every_outcome(guide, rows, num_particles) or guide
    return weigh(model, guide, rows, key=key, num_particles=num_particles)


def weigh(
    model: AbstractModel, guide: Any, rows: Datum, *, key: PRNGKeyArray, num_particles: int
) -> Evidence:
    """The same for any model and guide, bound to each other."""
    wish, where = "at least two particles, which an error needs", option("num_particles")
    num_particles = check_count(num_particles, wish, "100 or more", where=where, least=2)

    def blocks(begin: int) -> Iterator[dict[str, Any]]:
        for draws in weighted_draws(
            model, guide, rows, key=key, num_particles=num_particles, begin=begin
        ):
            yield averages(draws)

    columns = kept_rows(blocks, num_rows(rows))
    q = proposal_of(guide, rows)
    return assembled(
        columns, rows, num_particles=num_particles, exhaustive=q.exhaustive, covering=q.covering
    )


def proposal_of(guide: Any, rows: Datum) -> AbstractProposal:
    """The guide's proposal for the first row, in shapes alone."""
    example = jax.tree.map(lambda leaf: leaf[0], rows)
    return eqx.filter_eval_shape(lambda g, d: as_proposal(g(d)), guide, example)


def assembled(
    columns: dict[str, Any],
    rows: Datum,
    *,
    num_particles: int,
    exhaustive: bool = False,
    covering: bool = True,
) -> Evidence:
    """The evidence from the numbers of every row, as `averages` gives them.

    Arguments:
        columns: each (N,).
        rows: a batched datum.
        num_particles: K, draws behind each number.
        exhaustive: whether the draws are all that the guide can draw, each with its mass.
        covering: whether the guide's support holds that of the posterior.
    """
    index = np.arange(num_rows(rows)) if rows.index is None else np.asarray(rows.index)
    threshold = khat_threshold(num_particles)

    def estimate(name: str, side: Side) -> Estimate:
        errors = columns[f"{name}_error"]
        return Estimate.from_rows(columns[name], side=side, mc_errors=errors, index=index)

    free_of_draws = not columns["kl_error"].any()
    return Evidence(
        log_evidence=estimate("log_evidence", "exact" if exhaustive and covering else "lower"),
        elbo=estimate("elbo", "lower"),
        reconstruction=estimate("reconstruction", "exact" if exhaustive else "unbiased"),
        kl=estimate("kl", "exact" if free_of_draws else "unbiased"),
        num_particles=None if exhaustive else num_particles,
        ess=None if exhaustive else columns["ess"],
        khat=columns["khat"],
        halves=columns["halves"],
        khat_threshold=threshold,
        index=index,
        acceptance=columns.get("acceptance"),
        errors=columns["log_evidence_error"],
        log_w_variance=columns["log_w_variance"],
    ).judged()


def averages(draws: RowDraws) -> dict[str, Any]:
    """Per-row numbers of one block."""
    weights: RowWeights = summarize(draws.log_w, draws.log_mass)
    reconstruction, reconstruction_error = mean_and_error(draws.fit, draws.log_mass)
    if np.ndim(draws.kl) > 1:
        elbo, elbo_error = mean_and_error(draws.fit - draws.kl, draws.log_mass)
        kl, kl_error = mean_and_error(draws.kl, draws.log_mass)
    else:
        kl, kl_error = draws.kl, np.zeros_like(draws.kl)
        elbo, elbo_error = reconstruction - kl, reconstruction_error
    with np.errstate(invalid="ignore"):  # infinite log-weights have no variance
        log_w_variance = np.var(np.asarray(draws.log_w, np.float64), axis=1)
    return {
        "log_evidence": weights.log_evidence,
        "log_evidence_error": weights.error,
        "elbo": elbo,
        "elbo_error": elbo_error,
        "reconstruction": reconstruction,
        "reconstruction_error": reconstruction_error,
        "kl": kl,
        "kl_error": kl_error,
        "ess": weights.ess,
        "khat": weights.khat,
        "halves": weights.halves,
        "log_w_variance": log_w_variance,
    }
