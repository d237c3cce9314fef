"""`AbstractMixture`: x drawn from one of K components.

    z ~ Categorical(pi), one-hot,        x | z = e_k ~ p_k(x)

    log p(x) = logsumexp_k(log pi_k + log p_k(x)),    p(z = e_k | x) = pi_k p_k(x) / p(x)

Evidence and posterior are sums over K terms, hence exact.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.special import log_softmax

from taut.core import LOG_LIKELIHOOD, LOG_PRIOR, Datum, Enumerated, InputError, Terms
from taut.models.exact.abstract import AbstractExactModel
from taut.models.exact.one_hot import OneHotCategorical, one_hot_log_prob

__all__ = ["AbstractMixture", "log_weights", "pooled_mixture"]


class AbstractMixture(AbstractExactModel):
    """A mixture of K components with latent one-hot z, (K,)."""

    statistics_depend_on_model: ClassVar[bool] = True

    logits: eqx.AbstractVar[Float[Array, " K"]]

    @abstractmethod
    def log_components(self, datum: Datum) -> Float[Array, " K"]:
        """log p_k(x) of the observed cells for each component, (K,); nats."""

    @abstractmethod
    def assigned(self, x: Float[Array, "N ..."], r: Float[Array, "N K"]) -> Any:
        """Statistics of rows whose responsibilities are given, as `expected` returns them.

        Their log-evidence is not known and set to NaN.
        """

    @property
    def num_components(self) -> int:
        return self.logits.shape[0]

    @property
    def log_pi(self) -> Float[Array, " K"]:
        """Logarithms of the components' weights, (K,)."""
        return jax.nn.log_softmax(self.logits)

    def terms(self, datum: Datum, z: Any) -> Terms:
        return {
            LOG_LIKELIHOOD: one_hot_log_prob(z, self.log_components(datum)),
            LOG_PRIOR: one_hot_log_prob(z, self.log_pi),
        }

    def prior(self) -> Any:
        return OneHotCategorical(self.log_pi)

    def log_evidence(self, datum: Datum) -> Float[Array, ""]:
        return jax.nn.logsumexp(self.log_pi + self.log_components(datum))

    def posterior(self, datum: Datum) -> Any:
        log_q = jax.nn.log_softmax(self.log_pi + self.log_components(datum))
        return Enumerated(jnp.eye(self.num_components, dtype=log_q.dtype), log_q)

    def responsibilities(self, datum: Datum) -> Float[Array, " K"]:
        """p(z = e_k | x) of the observed cells, (K,)."""
        return jax.nn.softmax(self.log_pi + self.log_components(datum))

    def drawn_component(self, datum: Datum, key: PRNGKeyArray) -> Float[Array, " K"]:
        """One-hot z ~ p(z | x)."""
        log_joint = self.log_pi + self.log_components(datum)
        return jax.nn.one_hot(jax.random.categorical(key, log_joint), len(log_joint))

    def log_evidence_of(self, statistics: Any) -> Float[Array, ""]:
        return statistics.log_evidence


def log_weights(count: Float[Array, " K"]) -> Float[Array, " K"]:
    """The M-step of the weights: log(n_k / sum n); -inf for a component that holds nothing."""
    return jnp.log(count) - jnp.log(jnp.sum(count))


def pooled_mixture(models: Sequence[AbstractMixture]) -> AbstractMixture:
    """(1/M) sum_m p_m(x): the components of M mixtures of one form, each with 1/M of its weight.

    Raises:
        InputError: mixtures of different forms, or with a parameter that all components share.
    """
    forms = {jax.tree.structure(model) for model in models}
    apart = all(
        leaf.ndim and leaf.shape[0] == model.num_components
        for model in models
        for leaf in jax.tree.leaves(model)
    )
    if len(forms) > 1 or not apart or getattr(models[0], "kind", "") == "tied":
        raise InputError(
            "mixtures of one form, whose components have parameters of their own",
            "one covariance for all" if len(forms) == 1 else "others",
            "fits that differ in key and number of components alone", where="pool",
        )  # fmt: skip
    # By NumPy: JAX would compile each operation by itself.
    log_pi = [log_softmax(np.asarray(model.logits)) for model in models]
    logits = np.concatenate(log_pi) - np.log(len(models))
    together = jax.tree.map(lambda *leaves: np.concatenate(leaves), *models)
    return eqx.tree_at(lambda model: model.logits, together, logits)
