"""What the mint needs of a model p(x, z) and of a guide q(z | x).

A user's own object need not inherit from the classes here to be a guide: any callable pytree that
maps a datum to a proposal or a NumPyro distribution is one. A model needs `terms`.
"""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core.datum import Datum
from taut.core.measure import Measure
from taut.core.particles import Terms, total
from taut.core.proposals import AbstractProposal
from taut.errors import InputError

__all__ = ["AbstractModel", "AbstractPair", "Pair", "frozen"]


class AbstractModel(eqx.Module):
    """p(x, z), unbatched."""

    @property
    def subsampled(self) -> bool:
        """True when `terms` holds minibatch sums over a plate, scaled up by N/B."""
        return False

    @property
    def measure(self) -> Measure | None:
        """What log p(x) is taken with respect to, column by column; None where that is not known."""
        return None

    @abstractmethod
    def terms(self, datum: Datum, z: Any) -> Terms:
        """The signed terms of log p(x, z) at one z, each () or (G,) over layers or groups; nats.

        Usually `log_likelihood` and `log_prior`. -inf where x or z lies outside the support.
        """

    def log_joint(self, datum: Datum, z: Any) -> Float[Array, ""]:
        """log p(x, z) in nats, constants included; also at soft z where the density extends."""
        return total(self.terms(datum, z))

    def kl(self, datum: Datum, q: AbstractProposal, z: Any) -> Float[Array, " G"] | None:
        """KL(q to p(z)) in closed form at one draw z, (G,) over groups in nats; None without a rule.

        It must stand for all the prior and -log q terms together. A hierarchical model conditions
        its lower groups on the draw of the upper ones.
        """
        return None

    def control(self, datum: Datum, q: AbstractProposal, z: Any) -> Float[Array, ""] | None:
        """log q(z) - log p(z) - KL(q to p(z)) at one draw z of q, nats; None without a rule.

        Of mean zero over the draws, for the KL is in closed form.
        """
        return None

    def prior(self) -> Any:
        """p(z) as a proposal or NumPyro distribution, for ancestral draws and naive Monte Carlo."""
        raise InputError(
            "a model that can draw from its prior",
            type(self).__name__,
            "importance sampling from the guide, or defining `prior`",
            where="prior",
        )

    def posterior(self, datum: Datum) -> Any:
        """p(z | x), exact, as a proposal or NumPyro distribution."""
        raise InputError(
            "a model whose posterior is known",
            type(self).__name__,
            "an approximate guide",
            where="posterior",
        )

    def code(self, z: Any) -> Any:
        """The part of a latent that `mean` and `sample` take: the last one of a chain, else all."""
        return z

    def mean(self, z: Any) -> Any:
        """E[x | z] in the data's shape and units, differentiable in z."""
        raise self._no_decoder("mean")

    def sample(self, z: Any, key: PRNGKeyArray) -> Any:
        """One draw x ~ p(x | z) in the data's shape and units."""
        raise self._no_decoder("sample")

    def entropy(self, z: Any, *, most: int) -> Float[Array, ""] | None:
        """H[p(x | z)] in nats of what `sample` draws; None where it is not known.

        Arguments:
            z: one latent.
            most: number above which counts have hardly any mass.
        """
        return None

    def _no_decoder(self, where: str) -> InputError:
        return InputError(
            "a model that makes rows from latents",
            type(self).__name__,
            f"defining `{where}(z)` in it",
            where=where,
        )


class AbstractPair(eqx.Module):
    """All parameters of a model and its guide, each array in one place.

    `bind` hands the parameters out to the two sides. What both sides use (a VampPrior's encoder, the
    shared top-down path of a ladder, the map of a flow) is one leaf here and appears on both sides
    there; estimators freeze the sides after binding, so they freeze slots, not owners.
    """

    @abstractmethod
    def bind(self) -> tuple[AbstractModel, Any]:
        """The model p(x, z) and the guide q(z | x), sharing this object's arrays."""


class Pair(AbstractPair):
    """A model and a guide without shared parameters."""

    model: AbstractModel
    guide: Any

    def bind(self) -> tuple[AbstractModel, Any]:
        return self.model, self.guide


def frozen(tree: Any) -> Any:
    """The same pytree with no gradient through any of its floating-point arrays."""
    arrays, rest = eqx.partition(tree, eqx.is_inexact_array)
    return eqx.combine(jax.tree.map(jax.lax.stop_gradient, arrays), rest)
