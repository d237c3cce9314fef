"""The latent-variable model with a decoder network.

    z ~ p(z),        x ~ p(x | decoder(z))

With an amortized guide this is the variational autoencoder (Kingma and Welling 2014; Rezende, Mohamed
and Wierstra 2014). The KL from a guide to the prior is in closed form where a rule exists, per latent
dimension where both factorize.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from taut.core import (
    LOG_LIKELIHOOD,
    LOG_MASK,
    LOG_PRIOR,
    AbstractModel,
    AbstractProposal,
    Datum,
    Measure,
    Terms,
    as_proposal,
    total,
)
from taut.distributions import entropy_of, proposal_kl
from taut.models.latent_decoder import LatentDecoder
from taut.models.likelihoods import AbstractLikelihood
from taut.models.priors import AbstractPrior
from taut.models.self_masking import SelfMasking
from taut.models.units import Units

__all__ = ["LatentVariableModel"]


class LatentVariableModel(AbstractModel):
    """p(z) p(x | z) with any prior, decoder and likelihood.

    Attributes:
        prior_family: p(z).
        decoder: maps z to the likelihood's outputs, any shape with as many elements as
            (num_outputs, *data_shape).
        likelihood: p(x | outputs), cell by cell.
        data_shape: shape of x, static.
        units: standardisation of x; None where the decoder works in the data's units.
        masking: p(s | x) of which cells are observed; None where that is left out, which is exact where
            a cell's value does not decide it. With it the evidence is log p(x_o, s).
    """

    prior_family: AbstractPrior
    decoder: Any
    likelihood: AbstractLikelihood
    data_shape: tuple[int, ...] = eqx.field(static=True)
    units: Units | None = None
    masking: SelfMasking | None = None

    def terms(self, datum: Datum, z: Any) -> Terms:
        x = datum.x if self.units is None else self.units.standardize(datum.x)
        outputs = self.outputs(z)
        log_likelihood = self.likelihood.log_prob(x, outputs, datum.mask)
        if self.units is not None:
            log_likelihood = log_likelihood + self.units.log_volume(datum.mask)
        log_prior = -_only(as_proposal(self.prior()).terms(z))
        terms = {LOG_LIKELIHOOD: log_likelihood, LOG_PRIOR: log_prior}
        if self.masking is None:
            return terms
        return terms | {LOG_MASK: self.masking.log_prob(x, datum.mask, self.likelihood(outputs))}

    @property
    def measure(self) -> Measure:
        return Measure(self.likelihood.measures, masked=self.masking is not None)

    def kl(self, datum: Datum, q: AbstractProposal, z: Any) -> Float[Array, " G"] | None:
        own = self.prior_family.kl(q, z)
        return proposal_kl(q, as_proposal(self.prior()), z) if own is None else own

    def control(self, datum: Datum, q: AbstractProposal, z: Any) -> Float[Array, ""] | None:
        kl = self.kl(datum, q, z)
        if kl is None:
            return None
        log_ratio = total(as_proposal(self.prior()).terms(z)) - total(q.terms(z))
        return log_ratio - jnp.sum(kl)

    def code(self, z: Any) -> Any:
        """What the decoder reads of z: as one vector where it takes latents of any form."""
        return self.decoder.read(z) if isinstance(self.decoder, LatentDecoder) else z

    def prior(self) -> Any:
        return self.prior_family()

    def outputs(self, z: Any) -> Float[Array, "..."]:
        """The likelihood's parameters at z, (num_outputs, *data_shape), before its link function."""
        return self.decoder(z).reshape(self.likelihood.num_outputs, *self.data_shape)

    def mean(self, z: Any) -> Float[Array, "..."]:
        """E[x | z], of the data's shape and in its units; differentiable in z."""
        mean = self.likelihood.mean(self.outputs(z))
        return mean if self.units is None else self.units.restore(mean)

    def sample(self, z: Any, key: Any) -> Array:
        """One x ~ p(x | z), of the data's shape and in its units."""
        x = jnp.asarray(self.likelihood(self.outputs(z)).sample(key))
        return x if self.units is None else self.units.restore(x)

    def sample_like(self, datum: Datum, z: Any, key: Any) -> Array:
        """One x ~ p(x | z) as `sample`; of counts that are judged given the total of their row at that
        of another row, over its observed cells."""
        if not self.likelihood.given_totals:
            return self.sample(z, key)
        counts = datum.x if datum.mask is None else jnp.where(datum.mask, datum.x, 0)
        return jnp.asarray(self.likelihood.given(self.outputs(z), counts, datum.mask).sample(key))

    def mean_like(self, datum: Datum, z: Any) -> Float[Array, "..."]:
        """E[x | z] as `mean`; of counts that are judged given the total of their row over all its cells,
        as its observed ones tell it."""
        if not self.likelihood.given_totals:
            return self.mean(z)
        outputs = self.outputs(z)
        return self.likelihood.of_row(outputs, *_observed(datum)).mean(outputs)

    def total_like(self, datum: Datum, z: Any) -> Float[Array, ""]:
        """The total at which `mean_like` is; of counts that are judged given the total of their row."""
        return self.likelihood.total_of(self.outputs(z), *_observed(datum))

    def at_total(self, total: Float[Array, ""]) -> "LatentVariableModel":
        """The model of rows of counts of a total, as its likelihood has it, judged given that."""
        return eqx.tree_at(lambda model: model.likelihood, self, self.likelihood.at_total(total))

    def seen(self, x: Any, key: Any) -> Bool[Array, "..."] | None:
        """Which cells of rows in the data's units are observed, s ~ p(s | x); None where p is silent."""
        if self.masking is None:
            return None
        return self.masking.seen(x if self.units is None else self.units.standardize(x), key)

    def hidden_mean(self, datum: Datum, z: Any) -> Float[Array, "..."]:
        """E[x_d | z] of each cell were it missing from the row, in the data's units."""
        outputs = self.outputs(z)
        likelihood = self._of_row(datum, outputs)
        if self.masking is None:
            mean = likelihood.mean(outputs)
        else:
            mean = self.masking.mean(likelihood(outputs))
        return mean if self.units is None else self.units.restore(mean)

    def hidden_sample(self, datum: Datum, z: Any, key: Any) -> Array:
        """One draw of each cell given z, were it missing from the row, in the data's units."""
        outputs = self.outputs(z)
        cells = self._of_row(datum, outputs)(outputs)
        x = cells.sample(key) if self.masking is None else self.masking.sample(cells, key)
        x = jnp.asarray(x)
        return x if self.units is None else self.units.restore(x)

    def entropy(self, z: Any, *, most: int) -> Float[Array, ""] | None:
        if self.likelihood.given_totals:  # rows are not judged by the law that draws them
            return None
        within = entropy_of(self.likelihood(self.outputs(z)), most=most)
        if within is None or self.units is None:
            return within
        return within - self.units.log_volume()

    def _of_row(self, datum: Datum, outputs: Float[Array, "..."]) -> AbstractLikelihood:
        """The likelihood of what is missing from a row; as it is where nothing is."""
        if datum.mask is None:
            return self.likelihood
        x = datum.x if self.units is None else self.units.standardize(datum.x)
        return self.likelihood.of_row(outputs, x, datum.mask)


def _observed(datum: Datum) -> tuple[Array, Bool[Array, "..."]]:
    """A row that is finite everywhere, and its observed cells."""
    x = jnp.asarray(datum.x)
    mask = jnp.ones(x.shape, bool) if datum.mask is None else datum.mask
    return jnp.where(mask, x, 0), mask


def _only(terms: Terms) -> Float[Array, "..."]:
    """The one term of a prior, by layers or parts where it has them; the sum of several."""
    return next(iter(terms.values())) if len(terms) == 1 else total(terms)
