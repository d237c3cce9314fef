"""The semi-amortized guide: an encoder's guess, then gradient ascent on each datum's own bound.

    lambda_0     = encoder(x)
    lambda_{t+1} = lambda_t + optimizer(grad_lambda of the bound of family(lambda) at x)
    q(z | x)     = family(lambda_T)

The refinement's own draws come from a fixed key, so that q(z | x) is one distribution and every bound
under it is valid. It reads the model: the pair hands the same model to both sides. With `through`,
gradients pass through all T steps into the encoder and the model (Kim, Wiseman, Miller, Sontag and Rush
2018; here by reverse-mode differentiation of the steps themselves); without, lambda_T is a constant.
"""

from typing import Any

import equinox as eqx
import jax
import numpyro.distributions as dist
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from taut.bounds import ELBO, AbstractBound
from taut.core import AbstractModel, AbstractPair, Datum, InputError
from taut.gradients import AbstractEstimator, Reparameterized
from taut.guides.abstract import AbstractFamily
from taut.guides.amortized import AmortizedGuide
from taut.guides.at_features import AtFeatures

__all__ = ["RefinedGuide", "RefinedPair", "Refinement", "encoder_features"]


class Refinement(eqx.Module):
    """How features are refined.

    Attributes:
        num_steps: T, from 0.
        optimizer: any Optax transformation that minimises; `optax.sgd` is plain ascent, and a chain
            with `optax.clip_by_global_norm` bounds each step.
        bound: what is raised, nats.
        estimator: how it is differentiated; one without a state of its own.
        through: whether gradients pass through the steps.
        seed: of the fixed draws.
    """

    num_steps: int = eqx.field(static=True, default=8)
    optimizer: optax.GradientTransformation = eqx.field(static=True, default=optax.sgd(0.1))
    bound: AbstractBound = eqx.field(default_factory=ELBO)
    estimator: AbstractEstimator = eqx.field(default_factory=Reparameterized)
    through: bool = eqx.field(static=True, default=True)
    seed: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if self.num_steps < 0:
            raise InputError("at least 0 steps", f"{self.num_steps}", "8", where="num_steps")

    def __call__(
        self,
        model: AbstractModel,
        family: AbstractFamily,
        features: Float[Array, " F"],
        datum: Datum,
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, " F"]:
        """Features after the steps.

        Arguments:
            model: p(x, z).
            family: variational family.
            features: lambda_0, (F,).
            datum: one row.
            key: of the draws; None for the fixed ones.

        Returns:
            lambda_T, (F,).
        """
        key = jax.random.key(self.seed) if key is None else key

        def loss(features: Float[Array, " F"], step_key: PRNGKeyArray) -> Float[Array, ""]:
            guide = AtFeatures(features, family)
            out = self.estimator(self.bound, model, guide, datum, step_key)
            return -out.surrogate

        def body(carry: tuple[Any, Any], step_key: PRNGKeyArray) -> tuple[tuple[Any, Any], None]:
            features, state = carry
            updates, state = self.optimizer.update(
                jax.grad(loss)(features, step_key), state, features
            )
            return (optax.apply_updates(features, updates), state), None

        start = (features, self.optimizer.init(features))
        (refined, _), _ = jax.lax.scan(body, start, jax.random.split(key, self.num_steps))
        return refined if self.through else jax.lax.stop_gradient(refined)


class RefinedGuide(eqx.Module):
    """q(z | x) = family(lambda_T).

    Attributes:
        model: p(x, z), the same arrays as the pair's model.
        amortized: the guide that is refined.
        refinement: how.
        key: of the refinement's draws; None for the fixed ones.
    """

    model: AbstractModel
    amortized: AmortizedGuide
    refinement: Refinement
    key: PRNGKeyArray | None = None

    def __call__(self, datum: Datum) -> Any:
        """q(z | x) with event shape (latent_dim,)."""
        return self.family(self.features(datum))

    @property
    def family(self) -> AbstractFamily:
        """That of the guide that is refined."""
        return self.amortized.family

    def features(self, datum: Datum) -> Float[Array, " F"]:
        """lambda_T, (num_features,)."""
        start = encoder_features(self.amortized, datum)
        return self.refinement(self.model, self.family, start, datum, key=self.key)


class RefinedPair(AbstractPair):
    """A model and an encoder, and the refinement that uses both.

    Attributes:
        pair: parameters of both sides, whose guide is amortized.
        refinement: how its features are refined.
    """

    pair: AbstractPair
    refinement: Refinement = eqx.field(default_factory=Refinement)

    def bind(self) -> tuple[AbstractModel, Any]:
        model, amortized = self.pair.bind()
        return model, RefinedGuide(model, amortized, self.refinement)


def encoder_features(guide: AmortizedGuide, datum: Datum) -> Float[Array, " F"]:
    """The features that an amortized guide's encoder gives its family, (F,)."""
    # A point mass at the features, in place of the family, lets the guide prepare x in its own way.
    at_features: Any = eqx.tree_at(lambda g: g.family, guide, _PointMass())(datum)
    return at_features.v


class _PointMass(eqx.Module):
    """Features to the distribution that holds nothing else."""

    def __call__(self, features: Float[Array, " F"]) -> dist.Delta:
        return dist.Delta(features, event_dim=1)
