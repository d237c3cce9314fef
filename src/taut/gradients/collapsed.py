"""The ELBO with one factor a of z = (a, b) summed over, and the rest b left to an estimator.

    nothing below a    E_{q(b)} F(b),   F(b) = sum_a q(a | b) [log p(x, a, b) - log q(a | b)] - log q(b)
    b below a          sum_a q(a) E_{q(b | a)}[log p(x, a, b) - log q(a) - log q(b | a)]

The first is the ELBO of a guide q(b) and of a model whose log-density at b is a sum over a, live in the
parameters of both sides; an estimator is asked for its gradient once. In the second it is asked for that
of each q(b | a), with the same key, and the masses q(a) move by the objectives that it reports. The
gradient in the factor's logits is exact given the draws of b; that in the rest's is what the estimator
makes of a signal averaged over a (Rao-Blackwell). Unbiased as far as the estimator is.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import (
    LOG_PRIOR,
    AbstractDiscreteProposal,
    AbstractModel,
    AbstractProposal,
    Datum,
    InputError,
    Terms,
)
from taut.gradients.abstract import AbstractEstimator, Surrogate
from taut.gradients.discrete_elbo import DiscreteELBO, discrete_proposal
from taut.gradients.factor import Factor

__all__ = ["RestGuide", "collapsed_surrogate"]


class RestGuide(eqx.Module):
    """q of the rest as a guide, the factor being at its first outcome where some of it is below.

    Attributes:
        guide: q(z | x).
        factor: what is taken out.
        name: of the estimator that asks.
    """

    guide: Any
    factor: Factor = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __call__(self, datum: Datum) -> AbstractDiscreteProposal:
        q = discrete_proposal(self.guide, datum, name=self.name)
        self.factor.check(q)
        return rest_proposal(q, self.factor)


def rest_proposal(q: AbstractDiscreteProposal, factor: Factor) -> AbstractDiscreteProposal:
    """q of the rest, given the first outcome of a factor that it depends on."""
    if factor.last(q):
        return factor.rest(q)
    own = factor.of(q)
    return factor.rest(q, own.from_numbers(jnp.zeros(own.unit_shape[0], int)))


def collapsed_surrogate(
    rest: AbstractEstimator,
    elbo: DiscreteELBO,
    factor: Factor,
    key: PRNGKeyArray,
    aux: Any,
) -> Surrogate:
    """The surrogate of one datum.

    Arguments:
        rest: the estimator of what is drawn.
        elbo: what is differentiated.
        factor: what is summed over; one that q has.
        key: random key of this datum.
        aux: the state of `rest`.
    """
    q, step = elbo.q, elbo.step

    def of(model: AbstractModel, proposal: AbstractProposal) -> Surrogate:
        return rest(elbo.bound, model, lambda _: proposal, elbo.datum, key, step=step, aux=aux)

    if factor.last(q):
        return of(_Summed(elbo.model, q, factor), factor.rest(q))
    every = factor.of(q).enumerated(most=factor.count(q))

    def given(at: Any, log_q: Float[Array, ""]) -> Surrogate:
        return of(_Given(elbo.model, q, factor, at, log_q), factor.rest(q, at))

    by_outcome = jax.vmap(given)(every.support, every.log_q)
    mass = jnp.exp(every.log_q)
    mean = jax.tree.map(lambda leaf: _average(mass, leaf), by_outcome)
    through_masses = _through(mass, by_outcome.objective)
    return mean._replace(surrogate=mean.surrogate + through_masses)


def _through(mass: Float[Array, " M"], objectives: Float[Array, " M"] | None) -> Float[Array, ""]:
    """0, with the gradient of the mean objective in the masses."""
    if objectives is None:
        raise InputError(
            "an estimator that reports the objective at its draws, by which outcomes are weighed",
            "one that does not", "`Surrogate(..., objective=...)`, or rest=LeaveOneOut()",
            where="enumeration",
        )  # fmt: skip
    return (mass - jax.lax.stop_gradient(mass)) @ jax.lax.stop_gradient(objectives)


def _average(mass: Float[Array, " M"], values: Float[Array, "M ..."]) -> Float[Array, "..."]:
    """At masses that hold no gradient."""
    return jnp.tensordot(jax.lax.stop_gradient(mass), values, axes=1)


class _Summed(AbstractModel):
    """F as a model of b.

    Attributes:
        model: p(x, z).
        q: q(z | x), whose factor's share is this model's.
        factor: what is summed over.
    """

    model: AbstractModel
    q: AbstractDiscreteProposal
    factor: Factor = eqx.field(static=True)

    @property
    def subsampled(self) -> bool:
        return self.model.subsampled

    def terms(self, datum: Datum, z: Any) -> Terms:
        every = self.factor.of(self.q, z).enumerated(most=self.factor.count(self.q))

        def at(a: Any, log_q: Float[Array, ""]) -> Terms:
            return _less(self.model.terms(datum, self.factor.joined(self.q, a, z)), log_q)

        mass = jnp.exp(every.log_q)
        return {
            name: mass @ term for name, term in jax.vmap(at)(every.support, every.log_q).items()
        }

    def kl(self, datum: Datum, q: AbstractProposal, z: Any) -> Float[Array, " G"] | None:
        if self.q.num_layers > 1:
            return None  # a KL given b would stand for one that is the same for all b
        own = self.factor.of(self.q)
        some = own.from_numbers(jnp.zeros(own.unit_shape[0], int))
        return self.model.kl(datum, self.q, self.factor.joined(self.q, some, z))


class _Given(AbstractModel):
    """p(x, a, b) / q(a) as a model of b.

    Attributes:
        model: p(x, z).
        q: q(z | x).
        factor: what is given.
        at: its outcome.
        log_q: of this outcome, nats.
    """

    model: AbstractModel
    q: AbstractDiscreteProposal
    factor: Factor = eqx.field(static=True)
    at: Any
    log_q: Float[Array, ""]

    @property
    def subsampled(self) -> bool:
        return self.model.subsampled

    def terms(self, datum: Datum, z: Any) -> Terms:
        return _less(self.model.terms(datum, self.factor.joined(self.q, self.at, z)), self.log_q)

    def kl(self, datum: Datum, q: AbstractProposal, z: Any) -> Float[Array, " G"] | None:
        return self.model.kl(datum, self.q, self.factor.joined(self.q, self.at, z))


def _less(terms: Terms, log_q: Float[Array, ""]) -> Terms:
    """The terms of a model, each (), with log q of a factor taken from that of the prior."""
    summed = {name: jnp.sum(term) for name, term in terms.items()}
    return {**summed, LOG_PRIOR: summed.get(LOG_PRIOR, jnp.zeros(())) - log_q}
