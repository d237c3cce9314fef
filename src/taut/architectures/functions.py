"""A model that was trained elsewhere, as functions of one row and of one latent.

    q(z | x) = encode(x)        p(x, z) = p(z) p(x | decode(z))

What the functions return says what they are: `encode` the mean and the scales of independent Gaussians
or a NumPyro distribution; `decode` the outputs of a likelihood that is named, or a NumPyro distribution
over a row.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import PRNGKeyArray

from taut.architectures.abstract import AbstractArchitecture
from taut.core import (
    AbstractPair,
    AbstractProposal,
    Datum,
    InputError,
    Pair,
    as_proposal,
    counted,
    option,
)
from taut.core.compiling import kept_jit
from taut.data import Schema
from taut.guides import EncodedGuide
from taut.models import (
    AbstractLikelihood,
    AbstractPrior,
    DecodedModel,
    FixedPrior,
    LatentVariableModel,
    StandardNormal,
    make_likelihood,
)
from taut.networks import TorchFunction

__all__ = ["Functions", "check_support"]

_LOOKED_AT = 16  # rows whose values are looked at


@dataclass(frozen=True)
class Functions(AbstractArchitecture):
    """Encoder and decoder as functions.

    Attributes:
        encode: from one row, of the data's shape and in its units, to (mean, scale), each (d,), or to a
            NumPyro distribution over (d,). A callable pytree of arrays, or any function.
        decode: from one z, (d,), to the outputs of the likelihood for one row, or to a NumPyro
            distribution over one row.
        prior: p(z), a NumPyro distribution or a `taut.models.AbstractPrior`; N(0, I) when None.
        likelihood: name or `AbstractLikelihood` whose outputs, before its link, `decode` returns: logits
            of `bernoulli`. None where `decode` returns a distribution.
    """

    name: ClassVar[str] = "functions"

    encode: Callable[..., Any]
    decode: Callable[..., Any]
    prior: Any = field(default=None, metadata={"flag": None})
    likelihood: Any = None

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        guide = EncodedGuide(self.encode)
        dim = _latent_dim(guide, schema)
        prior = self._prior(dim)
        decoded = _shaped(
            self.decode, jax.ShapeDtypeStruct((dim,), jnp.result_type(float)),
            "decode", f"one z of shape ({dim},), as encode gives",
        )  # fmt: skip
        if isinstance(decoded, dist.Distribution):
            return Pair(DecodedModel(prior, self.decode, self._discrete(decoded, schema)), guide)
        likelihood = self._likelihood(schema)
        wanted = (likelihood.num_outputs, *schema.shape)
        shape = getattr(decoded, "shape", None)
        if shape is None or math.prod(shape) != math.prod(wanted):
            found = type(decoded).__name__ if shape is None else f"shape {shape}"
            raise InputError(
                f"a `decode` whose outputs have the shape {wanted}: {likelihood.num_outputs} for each "
                f"cell of a row of shape {schema.shape} that encode takes",
                found, "another likelihood, or a NumPyro distribution over a row from `decode`",
                where="decode",
            )  # fmt: skip
        return Pair(LatentVariableModel(prior, self.decode, likelihood, schema.shape), guide)

    def check(self, schema: Schema, x: np.ndarray, *, where: str) -> None:
        """Refuse rows outside the support, and functions whose values are not what they are taken for.

        Raises:
            InputError: a row without a density; scales that are not positive; numbers that are not
                finite; probabilities in place of logits.
        """
        model, guide = self.init(schema, jax.random.key(0)).bind()
        few = jnp.asarray(x[:_LOOKED_AT], jnp.result_type(float))
        gaussian, decoded = _looked_at(model, guide, few)
        if gaussian is not None:
            mean, scale = gaussian
            _check_gaussian(mean, scale, self.encode)
        if isinstance(model, LatentVariableModel):
            model.likelihood.check(np.asarray(x), where=where)
            outputs = np.asarray(decoded)
            _check_finite(outputs, "decode", f"shape {outputs.shape[1:]}")
            _check_logits(model.likelihood, outputs, np.asarray(few))
        else:
            check_support(decoded, np.asarray(x), where=where)

    def _prior(self, dim: int) -> AbstractPrior:
        if self.prior is None:
            return StandardNormal(dim)
        prior = self.prior
        if isinstance(prior, dist.Distribution):
            prior = FixedPrior(prior.to_event(len(prior.batch_shape)))
        shape = getattr(prior(), "event_shape", (dim,))
        if shape != (dim,):
            raise InputError(
                f"a prior over the shape ({dim},), as encode gives", f"one over {shape}",
                f"dist.Normal(0, 1).expand([{dim}]).to_event(1), or no {option('prior')}", where="prior",
            )  # fmt: skip
        return prior

    def _likelihood(self, schema: Schema) -> AbstractLikelihood:
        if isinstance(self.likelihood, AbstractLikelihood):
            return self.likelihood
        if self.likelihood is None:
            raise InputError(
                "what the numbers from `decode` are the parameters of", "no likelihood",
                f"{option('likelihood', 'bernoulli')} for logits, or a NumPyro distribution over a row "
                "from `decode`", where="likelihood",
            )  # fmt: skip
        return make_likelihood(self.likelihood, shape=schema.shape, levels=schema.levels)

    def _discrete(self, row: dist.Distribution, schema: Schema) -> bool:
        """Whether a decoded distribution has masses; refuses one that is not over a row."""
        shape = (*row.batch_shape, *row.event_shape)
        if self.likelihood is not None:
            raise InputError(
                "one place that says what a row's distribution is",
                f"a {type(row).__name__} from `decode` and {option('likelihood', self.likelihood)}",
                f"leaving out {option('likelihood')}", where="likelihood",
            )  # fmt: skip
        if shape != schema.shape:
            raise InputError(
                f"a `decode` that returns a distribution over {schema.shape}, the shape of a row that "
                "encode takes", f"a {type(row).__name__} over {shape}",
                "rows of that shape, or a distribution of the rows' shape", where="decode",
            )  # fmt: skip
        support: Any = row.support
        return bool(support.is_discrete)


def _latent_dim(guide: EncodedGuide, schema: Schema) -> int:
    """d, from the shape of what `encode` returns."""
    row = jax.ShapeDtypeStruct(schema.shape, jnp.result_type(float))
    q = _shaped(guide.encode, row, "encode", f"one row of shape {schema.shape}")
    if isinstance(q, AbstractProposal):
        return math.prod(eqx.filter_eval_shape(_first, q).shape)
    if isinstance(q, dist.Distribution):
        shapes: tuple[Any, ...] = ((*q.batch_shape, *q.event_shape),)
    elif isinstance(q, tuple | list) and len(q) == 2:
        shapes = tuple(getattr(part, "shape", None) for part in q)
    else:
        found = counted(len(q), "value") if isinstance(q, tuple | list) else f"a {type(q).__name__}"
        raise InputError(
            "an `encode` that returns (mean, scale) or a NumPyro distribution", found,
            "lambda x: (mean(x), scale(x))", where="encode",
        )  # fmt: skip
    if len(set(shapes)) != 1 or shapes[0] is None or len(shapes[0]) != 1:
        raise InputError(
            "an `encode` whose mean and scale have one shape (d,), for one row without a batch axis",
            f"{' and '.join(map(str, shapes))}", "[0] of each where the function takes a batch of rows",
            where="encode",
        )  # fmt: skip
    return shapes[0][0]


def _first(q: AbstractProposal) -> Any:
    return q.draw(jax.random.key(0), 1).z[0]


def _shaped(function: Callable[..., Any], given: Any, name: str, takes: str) -> Any:
    """The shapes of what a user's function returns; its own failure in one line."""
    try:
        return eqx.filter_eval_shape(function, given)
    except InputError:
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(
            f"a JAX function `{name}` that takes {takes}", f"{type(error).__name__}: {reason}",
            "rows of the shape that it takes, or a function of one row without a batch axis",
            where=name,
        ) from error  # fmt: skip


@kept_jit
def _looked_at(model: Any, guide: EncodedGuide, rows: Any) -> tuple[Any, Any]:
    """Means and scales of rows where `encode` returns these, else None; and what `decode` makes of a
    draw for each row, or of that for the first one where it is a distribution."""

    def one(row: Any) -> tuple[Any, Any]:
        q = guide.encode(row)
        return tuple(q) if isinstance(q, tuple | list) else None, _first(
            as_proposal(guide(Datum(row)))
        )

    gaussian, z = jax.vmap(one)(rows)
    if isinstance(model, DecodedModel):
        return gaussian, model.decode(z[0])
    return gaussian, jax.vmap(model.outputs)(z)


def _check_gaussian(mean: Any, scale: Any, encode: Any) -> None:
    for values, name in ((mean, "means"), (scale, "scales")):
        _check_finite(np.asarray(values), "encode", name)
    least = float(np.min(scale))
    if least <= 0:
        raise InputError(
            "positive scales, standard deviations of z, beside the means from `encode`", f"{least:.3g}",
            "taut.from_torch(module, read=lambda out: (out[0], (0.5 * out[1]).exp())) where it gives "
            "log-variances" if isinstance(encode, TorchFunction)
            else "jnp.exp(0.5 * log_variance) where the network gives log-variances", where="encode",
        )  # fmt: skip


def _check_finite(values: np.ndarray, where: str, what: str) -> None:
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values).reshape(len(values), -1).all(axis=1)))
        raise InputError(
            f"finite numbers, {what}, for every row", f"some that are not, of row {row}",
            "data in the units that the model was trained on", where=where,
        )  # fmt: skip


def _check_logits(likelihood: AbstractLikelihood, outputs: np.ndarray, x: np.ndarray) -> None:
    """Refuse what can only be probabilities: logits within [0, 1] would make no cell less likely than
    not, though most of the data are zeros or the model's numbers go down to 0."""
    inside = likelihood.name == "bernoulli" and outputs.min() >= 0 and outputs.max() <= 1
    if inside and (outputs.min() < 0.1 or x.mean() < 0.5):
        raise InputError(
            "logits, as the outputs of a Bernoulli are before its link",
            f"numbers between {outputs.min():.2g} and {outputs.max():.2g}, as probabilities are",
            "decode=lambda z: dist.BernoulliProbs(decode(z))", where="decode",
        )  # fmt: skip


def check_support(row: dist.Distribution, x: np.ndarray, *, where: str) -> None:
    """Refuse rows outside the support of a distribution over a row, or over all of them."""
    while isinstance(row, dist.Independent):
        row = row.base_dist
    inside: Any = row.support
    bad = ~np.asarray(inside(jnp.asarray(x)))
    if bad.any():
        at = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))
        value = np.asarray(x)[at]
        raise InputError(
            f"values in the support of the {type(row).__name__} of the model",
            f"{value:g}" if np.ndim(value) == 0 else "a row outside of it",
            "the data that the model was trained on", where=f"{where}, row {at[0]}",
        )  # fmt: skip
