"""The ELBO of a guide over a finite support, in the form that estimators of its logits' gradient take.

    grad_l E_q[f(z)],   f(z) = log p(x, z) - log q(z | x), or log p(x | z) where the KL is in closed form

f is held fixed: the direct derivative of -log q has mean zero, and a closed KL is differentiated as it
stands. An estimator of the gradient in the logits l is local, of the shape of l, and reaches the guide's
parameters through

    surrogate = objective at hard draws + sum over layers of <stop(estimate), l>

so that the model is evaluated as often as the estimator says and never for the guide's network.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from taut.bounds import ELBO, AbstractBound
from taut.core import (
    NEG_LOG_Q,
    AbstractDiscreteProposal,
    AbstractModel,
    AbstractProposal,
    Datum,
    InputError,
    Particles,
    as_proposal,
    equal_mass,
    frozen,
    option,
)
from taut.gradients.abstract import Surrogate

__all__ = ["DiscreteELBO", "discrete_elbo", "discrete_proposal"]


class DiscreteELBO(eqx.Module):
    """One datum's ELBO over a discrete latent.

    Attributes:
        bound: the ELBO.
        model: p(x, z), live.
        q: the proposal, live.
        datum: one row.
        step: number of the step, by which the objective's KL may be warmed up.
    """

    bound: ELBO
    model: AbstractModel
    q: AbstractDiscreteProposal
    datum: Datum
    step: Int[Array, ""] | int

    @property
    def still_q(self) -> Any:
        """The proposal with no gradient through its parameters."""
        return frozen(self.q)

    def particles(self, z: Any, log_mass: Float[Array, " K"] | None = None) -> Particles:
        """Particles at given z: the model live, the density of q frozen, a closed KL live.

        Arguments:
            z: latents with leading axis K.
            log_mass: of each outcome where z is the whole support, (K,); equal when None.
        """
        return _particles(self.model, self.q, self.still_q, self.datum, z, log_mass)

    def signal(self, z: Any) -> Float[Array, ""]:
        """f at one z, hard or soft, differentiable in z alone; nats."""
        model, q = frozen(self.model), self.still_q
        one = jax.tree.map(lambda leaf: leaf[None], z)
        return self._alone(_particles(model, q, q, self.datum, one, None))

    def signals(self, particles: Particles) -> Float[Array, " K"]:
        """f at each of these particles, (K,), without a second evaluation and without a gradient."""

        def alone(terms: Any, kl: Any) -> Float[Array, ""]:
            terms, kl = jax.tree.map(lambda leaf: leaf[None], (terms, kl))
            return self._alone(Particles(None, jnp.zeros(1), terms, kl))

        return jax.lax.stop_gradient(jax.vmap(alone)(particles.terms, particles.kl))

    def surrogate(
        self, particles: Particles, local: Any, draws: Any, *, aux: Float[Array, ""] | float = 0.0
    ) -> Surrogate:
        """The surrogate of a local estimate.

        Arguments:
            particles: hard draws, at which the value is taken and the model differentiated.
            local: for each layer the estimate in its logits at every draw, (L, *logits).
            draws: the latents above which the layers' logits stand, with leading axis L.
            aux: minimised in the estimator's own state.
        """

        def linear(z: Any, estimates: Any) -> Float[Array, ""]:
            above = self.q.layers_of(z)
            return sum(
                (
                    jnp.sum(jax.lax.stop_gradient(g) * self.q.layer(above[:i]).logits)
                    for i, g in enumerate(estimates)
                ),
                start=jnp.zeros(()),
            )

        through_logits = jnp.mean(jax.vmap(linear)(draws, local))
        objective = self.bound.objective(particles, self.step)
        return Surrogate(
            self.bound(particles), objective + through_logits, aux, objective=objective
        )

    def _alone(self, one: Particles) -> Float[Array, ""]:
        """f of a single particle: its objective, without a KL that is the same for all."""
        closed = one.kl is not None and self.bound.kl != "sampled"
        if closed and self.q.num_layers == 1:
            return self.bound.parts(one)[0]
        return self.bound.objective(one, self.step)


def discrete_elbo(
    bound: AbstractBound,
    model: AbstractModel,
    guide: Any,
    datum: Datum,
    step: Int[Array, ""] | int,
    *,
    name: str,
) -> DiscreteELBO:
    """What an estimator named `name` differentiates.

    Raises:
        InputError: another bound than the ELBO; a guide that is not over a finite support; free bits
            where the KL depends on the draws of a layer above.
    """
    where = f"{name} gradient"
    if not isinstance(bound, ELBO):
        raise InputError(
            "the ELBO",
            f"the bound '{bound.name}'",
            f"{option('gradient', 'vimco')}, which serves it, or {option('bound', 'elbo')}",
            where=where,
        )
    q = discrete_proposal(guide, datum, name=name)
    if q.num_layers > 1 and bound.free_bits > 0:
        raise InputError(
            "a KL that is the same for all draws, which free bits clip",
            "two layers, whose KL depends on the draws of the first",
            option("free_bits", 0),
            where=where,
        )
    return DiscreteELBO(bound, model, q, datum, step)


def discrete_proposal(guide: Any, datum: Datum, *, name: str) -> AbstractDiscreteProposal:
    """The guide's proposal for a datum, which must be over a finite support."""
    q = as_proposal(guide(datum))
    if isinstance(q, AbstractDiscreteProposal):
        return q
    raise InputError(
        "a guide that returns a BernoulliProposal, a CategoricalProposal or layers of them",
        type(q).__name__,
        f"a discrete latent, or {option('gradient', 'reparameterized')} for this guide",
        where=f"{name} gradient",
    )


def _particles(
    model: AbstractModel,
    q: AbstractProposal,
    density_q: AbstractProposal,
    datum: Datum,
    z: Any,
    log_mass: Float[Array, " K"] | None,
) -> Particles:
    terms = jax.vmap(lambda at: {**model.terms(datum, at), **density_q.terms(at)})(z)
    kl = jax.vmap(lambda at: model.kl(datum, q, at))(z)
    mass = equal_mass(terms[NEG_LOG_Q].shape[0]) if log_mass is None else log_mass
    return Particles(
        z=z,
        log_mass=mass,
        terms=terms,
        kl=kl,
        subsampled=model.subsampled,
        exhaustive=log_mass is not None,
    )
