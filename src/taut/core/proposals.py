"""`AbstractProposal`: q(z | x) at one datum, and the forms that draws take.

    distribution   z_k ~ q independently, mass 1/K                         terms: -log_q
    Dirac          z = f(x) for certain, mass 1                            terms: log_volume
    enumerated     every z in a finite support, mass q(z | x)              terms: -log_q
    stratified     K draws in each of C strata, mass q(stratum | x) / K    terms: -log_q

A guide maps a datum to a proposal; a NumPyro distribution is accepted as one.
"""

from abc import abstractmethod
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core.particles import LOG_VOLUME, NEG_LOG_Q, Terms
from taut.errors import InputError

__all__ = [
    "AbstractProposal",
    "Companion",
    "Dirac",
    "DistributionProposal",
    "Draws",
    "Enumerated",
    "as_proposal",
    "equal_mass",
]


class Draws(NamedTuple):
    """What a proposal hands to the mint.

    Attributes:
        z: draws, a pytree with leading axis K.
        log_mass: log of their mass, (K,).
        terms: the proposal's own terms at these draws, each (K,) or (K, G), where drawing yields
            them for less than a second evaluation (a flow); None otherwise.
        companion: draws of a simpler proposal close by, one beside each of these; None without one.
    """

    z: Any
    log_mass: Float[Array, " K"]
    terms: Terms | None = None
    companion: "Companion | None" = None


class Companion(NamedTuple):
    """A simpler proposal and its draws, made of the noise of those they stand beside.

    Where the KL of the simpler one is known, what its draws say of it beside what it is tells how far
    the noise has moved the KL of the other one: a control variate.

    Attributes:
        q: the simpler proposal.
        z: its draws, a pytree with leading axis K.
    """

    q: "AbstractProposal"
    z: Any


class AbstractProposal(eqx.Module):
    """q(z | x) for one datum."""

    @property
    @abstractmethod
    def reparameterized(self) -> bool:
        """True when the draws are differentiable functions of the parameters."""

    @property
    def dirac(self) -> bool:
        """True when z is a function of x, so that q has no density."""
        return False

    @property
    def exhaustive(self) -> bool:
        """True when `draw` returns the whole support, so that nothing is left to chance."""
        return False

    @property
    def covering(self) -> bool:
        """True when the support of q holds that of every posterior, as the design of q has it.

        Sums over a support that leaves out some of the posterior's are lower bounds.
        """
        return True

    @property
    def strata(self) -> int:
        """How many consecutive draws stand for q together, one in each stratum; 1 without strata."""
        return 1

    @property
    def one_hot(self) -> Any:
        """Whether the entries along the last axis of z mark the outcome of one variable: of all of z, or
        a tuple that says so of each of its parts."""
        return False

    @abstractmethod
    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        """Draws with their mass. Enumerated and Dirac proposals fix their own number; stratified
        ones return `num_particles` replicates of all strata."""

    @abstractmethod
    def terms(self, z: Any) -> Terms:
        """The proposal's signed terms of the log-weight at one z, each () or (G,); nats."""

    def mean(self) -> Any:
        """E_q[z], exact.

        Raises:
            InputError: there is no closed form.
        """
        raise InputError(
            "a proposal with a mean in closed form",
            type(self).__name__,
            "averaging draws",
            where="mean",
        )

    def center(self) -> Any:
        """One z that stands for q: its mean, or what the proposal documents where that is unknown."""
        return self.mean()

    def entropy(self) -> Float[Array, ""]:
        """H[q] = -E_q log q in nats, exact.

        Raises:
            InputError: there is no closed form, or q is Dirac.
        """
        raise InputError(
            "a proposal with an entropy in closed form",
            type(self).__name__,
            "averaging the term '-log_q' over draws, if q draws at random",
            where="entropy",
        )


class DistributionProposal(AbstractProposal):
    """A NumPyro distribution over z with independent draws of equal mass."""

    distribution: dist.Distribution

    @property
    def reparameterized(self) -> bool:
        return bool(self.distribution.has_rsample)

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        z = self.distribution.sample(key, (num_particles,))
        return Draws(z, equal_mass(num_particles))

    def terms(self, z: Any) -> Terms:
        return {NEG_LOG_Q: -jnp.asarray(self.distribution.log_prob(z))}

    def mean(self) -> Any:
        return self.distribution.mean

    def entropy(self) -> Float[Array, ""]:
        try:
            return self.distribution.entropy()
        except NotImplementedError:
            return super().entropy()


class Dirac(AbstractProposal):
    """The deterministic proposal of a flow or surjection: all mass on z = f(x).

    Attributes:
        z: f(x).
        log_volume: what stands for log p(x | z) - log q(z | x) in the log-weight, () or (G,):
            log |det df/dx| for a bijection; nats.
    """

    z: Any
    log_volume: Float[Array, "..."]

    @property
    def reparameterized(self) -> bool:
        return True

    @property
    def dirac(self) -> bool:
        return True

    @property
    def exhaustive(self) -> bool:
        return True

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        z = jax.tree.map(lambda leaf: leaf[None], self.z)
        return Draws(z, jnp.zeros(1))

    def terms(self, z: Any) -> Terms:
        return {LOG_VOLUME: self.log_volume}

    def mean(self) -> Any:
        return self.z


class Enumerated(AbstractProposal):
    """Every outcome of a finite support once, with its probability as mass.

    Attributes:
        support: all outcomes, a pytree with leading axis M.
        log_q: their log-probabilities, (M,); -inf where q gives none.
    """

    support: Any
    log_q: Float[Array, " M"]

    @property
    def reparameterized(self) -> bool:
        return True  # nothing is drawn: the masses carry the gradient

    @property
    def exhaustive(self) -> bool:
        return True

    def draw(self, key: PRNGKeyArray, num_particles: int) -> Draws:
        return Draws(self.support, self.log_q, self._terms_at_support())

    def terms(self, z: Any) -> Terms:
        equal = jax.tree.map(
            lambda s, leaf: jnp.all((s == leaf).reshape(s.shape[0], -1), axis=1), self.support, z
        )
        hit = jnp.all(jnp.stack(jax.tree.leaves(equal)), axis=0)
        found = -jax.nn.logsumexp(jnp.where(hit, self.log_q, -jnp.inf))
        return {NEG_LOG_Q: jnp.where(jnp.any(hit), found, jnp.inf)}

    def mean(self) -> Any:
        q = jnp.exp(self.log_q)
        return jax.tree.map(lambda s: jnp.tensordot(q, s, axes=1), self.support)

    def entropy(self) -> Float[Array, ""]:
        covered = self.log_q > -jnp.inf
        log_q = jnp.where(covered, self.log_q, 0.0)
        return -jnp.sum(jnp.where(covered, jnp.exp(log_q) * log_q, 0.0))

    def _terms_at_support(self) -> Terms:
        # An outcome of no mass has no weight to speak of; a finite stand-in keeps sums defined.
        return {NEG_LOG_Q: jnp.where(self.log_q > -jnp.inf, -self.log_q, 0.0)}


def as_proposal(q: Any) -> AbstractProposal:
    """Accept a proposal or a NumPyro distribution with an empty batch shape."""
    if isinstance(q, AbstractProposal):
        return q
    if isinstance(q, dist.Distribution):
        if q.batch_shape != ():
            raise InputError(
                "a distribution over one latent (batch shape ())",
                f"batch shape {q.batch_shape}",
                "`.to_event()` on the guide's distribution",
                where="guide",
            )
        return DistributionProposal(q)
    raise InputError(
        "a guide that returns a proposal or a NumPyro distribution",
        type(q).__name__,
        "returning a `numpyro.distributions` object",
        where="guide",
    )


def equal_mass(num_particles: int) -> Float[Array, " K"]:
    """-log K for each of K independent draws."""
    return jnp.full((num_particles,), -jnp.log(float(num_particles)))
