"""Whether an estimate has missed a part of the posterior that another one finds.

    missed    log p2(x) - log p1(x) > 4 sqrt(error1^2 + error2^2)

of a row, which chance makes of one in a few hundred, whatever the tails of the weights; and of all rows
together where their mean difference is above 5 of its errors. Where hardly any draw carries the other
estimate, as of discrete latents that the prior seldom hits, its error says nothing: an estimate that is
unbiased for p(x) is e^6 = 400 times too large once in 400 rows at most, by Markov's inequality, and the
difference must be above 6 nats.

Draws that never visit a part of the posterior have no large weights that would tell: k-hat and error are
those of the part that they see. Draws from elsewhere do tell, by finding more. Only the lower of the two
is doubted: weights are skewed, and a mean that is too high by chance has the draw in it that makes its
error large.

The prior's draws are everywhere, but few. The guide's share of the prior is exp(-KL(q to p)): where K
draws do not find that of the guide, they find no other part of its size either, and are not made. What
neither guide nor prior visits, a spike in a corner of many dimensions, is not seen here; it is seen on
rows that the model makes, whose latents are known (`known_latents`, `bidirectional`).
"""

import math
from dataclasses import replace

import jax
import numpy as np
from jaxtyping import Bool, Float, PRNGKeyArray

from taut.core import AbstractPair, Datum, InputError, counted
from taut.evidence.importance import Evidence
from taut.evidence.monte_carlo import naive_monte_carlo

__all__ = ["beside_the_prior", "doubted", "missed"]

_ERRORS = 4.0
_ERRORS_TOGETHER = 5.0
_FEW = 0.5  # nats: an error above it is that of an estimate which fewer than four draws carry
_MARKOV = 6.0  # nats
_DRAWS = 1000  # of the prior: a fifth of the guide's usual number, and of tempered chains far less
_STREAM = 2**32 - 2  # a number that no row has


def missed(
    log_evidence: Float[np.ndarray, " N"],
    error: Float[np.ndarray, " N"],
    other: Float[np.ndarray, " N"],
    other_error: Float[np.ndarray, " N"],
) -> Bool[np.ndarray, " N"]:
    """The rows of which another estimate finds more than both can be off, (N,).

    Arguments:
        log_evidence: of estimates that are unbiased for p(x), nats.
        error: their standard errors, nats.
        other: of other estimates of the same rows, nats.
        other_error: theirs, nats.
    """
    with np.errstate(invalid="ignore"):  # rows without a finite number are doubted by k-hat
        gain, both = other - log_evidence, np.hypot(error, other_error)
        together = gain.sum() > _ERRORS_TOGETHER * math.sqrt(np.sum(both**2))
        chance = np.where(other_error > _FEW, np.maximum(_ERRORS * both, _MARKOV), _ERRORS * both)
        return gain > (0.0 if together else chance)


def doubted(found: Evidence, other: Evidence, *, where: str) -> Evidence:
    """The same numbers; rows of which another estimate finds more are unreliable.

    Arguments:
        found: with a number and an error for each row.
        other: of the same rows, the same.
        where: where the other one looked, for the note.
    """
    (first, error), (second, other_error) = (
        (np.asarray(e.log_evidence.values, float), np.asarray(e.errors, float))
        for e in (found, other)
    )
    rows = missed(first, error, second, other_error)
    if not rows.any():
        return found
    gain = np.mean((second - first)[rows])
    note = (
        f"{where} find more on {rows.sum()} of {counted(len(rows), 'row')}, by {gain:.2g} nats: a part "
        "of the posterior is missed"
    )
    return replace(
        found, missed=rows if found.missed is None else rows | found.missed,
        notes=(*found.notes, note),
    ).judged()  # fmt: skip


def beside_the_prior(
    found: Evidence, pair: AbstractPair, rows: Datum, *, key: PRNGKeyArray
) -> Evidence:
    """The same numbers, doubted where draws of the prior find more.

    What is exact or doubted already, or out of reach of so few draws, stays as it is, and so does what
    has no prior to draw from.

    Arguments:
        found: from draws of the guide, or of what began there.
        pair: model and guide.
        rows: a batched datum.
        key: that of `found`.
    """
    evidence = found.log_evidence
    done = evidence.side == "exact" or "unreliable" in evidence.flags
    if done or not found.kl.value <= math.log(_DRAWS):
        return found
    own = jax.random.fold_in(key, _STREAM)
    try:
        other = naive_monte_carlo(pair, rows, key=own, num_particles=_DRAWS)
    except InputError:
        return found
    return doubted(found, other, where="draws of the prior")
