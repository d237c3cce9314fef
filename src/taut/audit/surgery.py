"""ELBO surgery: what the average ELBO of rows is made of.

    mean ELBO = reconstruction - I_q[x, z] - KL(q_agg to p),        q_agg(z) = (1/N) sum_n q(z | x_n)

    I_q[x, z]       = E_n E_q log q(z | x_n) / q_agg(z),   of the N rows:   0 <= I_q <= log N
    KL(q_agg to p)  = E_n E_q log q_agg(z) / p(z)  =  total correlation + sum_j KL(q_agg,j to p_j)

the last where p(z) is a product over dimensions and the marginals of q(z | x) are known. With all N
components q_agg is exact and both averages are unbiased. With C others drawn at random beside the own
one, their density at z stands for that of all the others:

    (q(z | x_n) + sum_c q(z | x_c)) / (C + 1)                    I_q of a minibatch: a lower bound
    q(z | x_n) / N + (1 - 1/N) (1/C) sum_c q(z | x_c)            unbiased for q_agg: an upper bound

in expectation over the components; both are reversed for KL(q_agg to p), since the sum of the two is
the mean of KL(q(z | x_n) to p).

Errors over rows are of the mean over n. Rows enter through q_agg too, but to first order not at all:
the derivative of either average by the mass of a row m in q_agg is a constant, as the integral of
q(z | x_m) is one. They do not cover that N rows are not all rows: I_q of more rows is larger, and
KL(q_agg to p) smaller by as much.

Sources: Hoffman and Johnson, ELBO surgery (2016); Chen, Li, Grosse and Duvenaud (2018), for the total
correlation; Poole et al., On variational bounds of mutual information (2019), for the minibatch.
"""

import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import numpyro.distributions as dist
from jaxtyping import PRNGKeyArray

from taut.audit.among_rows import AmongRows, among_rows
from taut.audit.drawn_latents import DrawnLatents, drawn_latents, numbers_of
from taut.core import (
    AbstractModel,
    AbstractPair,
    Datum,
    DistributionProposal,
    Estimate,
    InputError,
    Side,
    as_proposal,
    check_count,
    num_rows,
)

__all__ = ["Surgery", "surgery"]

_WISH = "at least two rows, between which z can tell"
_SET_BY_N = 0.5  # nats below log N, where the components hardly overlap


@dataclass(frozen=True)
class Surgery:
    """The parts of the mean ELBO; all nats per row.

    Attributes:
        elbo: from the same draws.
        reconstruction: E_q of every term but the prior and -log q.
        mutual_information: I_q[x, z] of the N rows; its lower end where components were drawn.
        mutual_information_upper: its upper end; the same estimate where all components were taken.
        marginal_kl: KL(q_agg to p); its upper end where components were drawn.
        marginal_kl_lower: its lower end.
        ceiling: log N, which the mutual information cannot exceed.
        total_correlation: of q_agg; None without a product prior and known marginals.
        dimension_kls: KL(q_agg,j to p_j) of each dimension; None likewise.
        num_components: components of q_agg that were taken.
        drawn: the draws.
        among: what the components say of them.
    """

    elbo: Estimate
    reconstruction: Estimate
    mutual_information: Estimate
    mutual_information_upper: Estimate
    marginal_kl: Estimate
    marginal_kl_lower: Estimate
    ceiling: float
    total_correlation: Estimate | None
    dimension_kls: tuple[Estimate, ...] | None
    num_components: int
    drawn: DrawnLatents
    among: AmongRows

    @property
    def set_by_rows(self) -> bool:
        """Whether N alone decides how the KL splits: hardly any two posteriors overlap."""
        return self.mutual_information.value > self.ceiling - _SET_BY_N


def surgery(
    pair: AbstractPair,
    rows: Datum,
    *,
    key: PRNGKeyArray,
    num_drawn: int = 1000,
    num_components: int | None = None,
    num_draws: int = 8,
) -> Surgery:
    """Split the mean ELBO of rows.

    Arguments:
        pair: model and guide.
        rows: the N rows whose posteriors make up q_agg, batched.
        key: random key.
        num_drawn: rows that z is drawn for, at random; all where there are fewer.
        num_components: rows that stand for all of q_agg; None takes all.
        num_draws: S, draws of each row.

    Raises:
        InputError: fewer than two rows or components, or latents without a density.
    """
    total = num_rows(rows)
    if total < 2:
        raise InputError(_WISH, f"{total}", "more rows", where="rows")
    num_drawn = check_count(num_drawn, _WISH, "1000", where="num_drawn", least=2)
    if num_components is not None:
        where = "num_components"
        num_components = check_count(num_components, _WISH, f"{total}", where=where, least=2)
    model, guide = pair.bind()
    row_key, component_key, draw_key = jax.random.split(key, 3)
    chosen = _chosen(total, num_drawn, row_key)
    named = Datum(rows.x, rows.mask, None, numbers_of(rows), rows.weight)
    looked = _taken(named, chosen)
    drawn = drawn_latents(model, guide, looked, key=draw_key, num_draws=num_draws)
    components = named
    if num_components is not None and num_components < total:
        components = _taken(named, _chosen(total, num_components, component_key))
    # Of some components alone nothing is said of each dimension, whose densities take the most time.
    factors = _factors(model) if components is named else None
    marginals_at = None if factors is None else looked
    among = among_rows(guide, drawn, components, own=True, marginals_at=marginals_at)
    return _split(drawn, among, total, factors)


def _split(drawn: DrawnLatents, among: AmongRows, total: int, factors: Any) -> Surgery:
    """The estimates from the densities at the draws."""
    others = among.num_others[:, None]
    whole = bool(np.all(among.num_others == total - 1))
    log_batch = np.logaddexp(drawn.log_q, among.log_sum) - np.log1p(others)
    log_all = np.logaddexp(
        drawn.log_q - math.log(total),
        among.log_sum - np.log(others) + math.log1p(-1 / total),
    )
    sides: tuple[Side, Side] = ("unbiased", "unbiased") if whole else ("lower", "upper")

    def estimate(values: np.ndarray, side: Side) -> Estimate:
        means, errors = drawn.averaged(values)
        exact = side == "unbiased" and drawn.exhaustive
        return Estimate.from_rows(
            means, side="exact" if exact else side, mc_errors=errors, index=drawn.numbers
        )

    correlation = each = None
    if factors is not None and among.log_sum_marginals is not None:
        log_p = np.asarray(factors.log_prob(drawn.z), np.float64)
        log_marginals = among.log_sum_marginals - math.log(total)
        correlation = estimate(log_all - log_marginals.sum(axis=2), "unbiased")
        each = tuple(
            estimate(log_marginals[..., j] - log_p[..., j], "unbiased")
            for j in range(log_p.shape[2])
        )
    return Surgery(
        elbo=estimate(drawn.fit + drawn.log_prior - drawn.log_q, "lower"),
        reconstruction=estimate(drawn.fit, "unbiased"),
        mutual_information=estimate(drawn.log_q - log_batch, sides[0]),
        mutual_information_upper=estimate(drawn.log_q - log_all, sides[1]),
        marginal_kl=estimate(log_batch - drawn.log_prior, sides[1]),
        marginal_kl_lower=estimate(log_all - drawn.log_prior, sides[0]),
        ceiling=math.log(total),
        total_correlation=correlation,
        dimension_kls=each,
        num_components=int(among.num_others.max()) + (1 if whole else 0),
        drawn=drawn,
        among=among,
    )


def _factors(model: AbstractModel) -> dist.Distribution | None:
    """p(z) with its dimensions as a batch, where it is a product over them; else None."""
    try:
        p = as_proposal(model.prior())
    except InputError:
        return None
    if not isinstance(p, DistributionProposal) or not isinstance(p.distribution, dist.Independent):
        return None
    inside, shape = p.distribution.base_dist, p.distribution.event_shape
    return inside if inside.batch_shape == shape and len(shape) == 1 else None


def _chosen(total: int, number: int, key: PRNGKeyArray) -> np.ndarray:
    """Numbers of a random part, in order; all where there are fewer."""
    return np.sort(np.asarray(jax.random.permutation(key, total))[:number])


def _taken(rows: Datum, chosen: np.ndarray) -> Datum:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], rows)
