"""Generators: the map x = g(z) that counterfactuals move along, its inverse or encoder, and a density.

    flow                log p(x) = log p(z) - log |det dx/dz|        exact
    VAE, ladder, factor model                log p(z)                of the code, for x has none
    a user's functions                       what they give, or none

The rows of a flow that adds noise to whole numbers (`dequantize`) stand at the middle of their cells,
and what it decodes is not rounded: both are smooth, and a row is its own reconstruction. Counts that
are given the totals of their rows are decoded at that of the row that moves.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from taut.core import AbstractPair, Datum, InputError, as_proposal, option, total
from taut.fitted import Fit
from taut.fitted.coding import at_total
from taut.fitted.row_totals import is_given_totals, median_total
from taut.guides import ChainPair
from taut.models.exact.mixture import AbstractMixture
from taut.networks import jax_function
from taut.transforms import Chain, ColumnDequantization, Dequantization

__all__ = [
    "AbstractGenerator",
    "Coded",
    "Flowing",
    "Functions",
    "Identity",
    "as_generator",
]

_RATE = 0.05  # of the ascent that refines a code, posterior standard deviations being below 1


class AbstractGenerator(eqx.Module):
    """x = g(z), unbatched.

    Attributes:
        x_shape: of a row.
        density_of: what `log_density` is the logarithm of, in words; None where there is none.
    """

    x_shape: eqx.AbstractVar[tuple[int, ...]]
    density_of: eqx.AbstractVar[str | None]

    @abstractmethod
    def encode(self, x: Float[Array, "..."]) -> Float[Array, " d"]:
        """The code of a row."""

    @abstractmethod
    def decode_with_density(self, z: Float[Array, " d"]) -> tuple[Array, Float[Array, ""]]:
        """g(z) in the data's units, and its log-density in nats; 0 where there is none."""

    def decode(self, z: Float[Array, " d"]) -> Float[Array, "..."]:
        """g(z) in the data's units."""
        return self.decode_with_density(z)[0]

    def like(self, x: Float[Array, "..."]) -> "AbstractGenerator":
        """The map along which a row moves: itself, but for counts that are given the total of a row."""
        return self


class Identity(AbstractGenerator):
    """g(z) = z: ascent in the data's own space, which leaves the data.

    Attributes:
        scale: units of z in those of x, which broadcast against a row.
        judge: a generator whose density of x is reported; None for none.
    """

    x_shape: tuple[int, ...] = eqx.field(static=True)
    density_of: str | None = eqx.field(static=True)
    scale: Any
    judge: AbstractGenerator | None

    def __init__(
        self, x_shape: tuple[int, ...], scale: Any = 1.0, judge: AbstractGenerator | None = None
    ):
        self.x_shape, self.scale, self.judge = x_shape, scale, judge
        self.density_of = None if judge is None else judge.density_of

    def encode(self, x: Float[Array, "..."]) -> Float[Array, " d"]:
        return (x / self.scale).ravel()

    def decode_with_density(self, z: Float[Array, " d"]) -> tuple[Array, Float[Array, ""]]:
        x = z.reshape(self.x_shape) * self.scale
        if self.judge is None:
            return x, jnp.zeros((), x.dtype)
        return x, self.judge.decode_with_density(self.judge.encode(x))[1]


class Flowing(AbstractGenerator):
    """A chain of bijections over its base, after dequantization where the chain has one.

    Attributes:
        chain: from data to latent.
        base: p(z_T).
    """

    x_shape: tuple[int, ...] = eqx.field(static=True)
    density_of: str | None = eqx.field(static=True)
    chain: Chain
    base: Any

    def __init__(self, chain: Chain, base: Any):
        self.chain, self.base = chain, base
        self.x_shape, self.density_of = chain.x_shape, "row"

    def encode(self, x: Float[Array, "..."]) -> Float[Array, " d"]:
        first, rest = _parted(self.chain)
        return rest.encode_and_log_det(x if first is None else first.middle_of(x))[0]

    def decode_with_density(self, z: Float[Array, " d"]) -> tuple[Array, Float[Array, ""]]:
        first, rest = _parted(self.chain)
        x, log_det = rest.decode_and_log_det(z)
        log_density = -total(as_proposal(self.base()).terms(z)) - log_det
        return (x if first is None else first.relaxed(x)), log_density


class Coded(AbstractGenerator):
    """The decoder's mean at a code, whose log-density is the prior's.

    Attributes:
        pair: model and guide.
        x_shape: of a row.
        total: of rows of latents alone, of counts that are given theirs; None for the likelihood's own,
            or where it has none.
        row: whose total the rows have that are decoded, of such counts; None for `total`.
        refinements: steps of ascent of log p(x, z) from the guide's mean, towards the posterior's mode.
    """

    pair: AbstractPair
    x_shape: tuple[int, ...] = eqx.field(static=True)
    total: float | None = eqx.field(static=True, default=None)
    row: Array | None = None
    refinements: int = eqx.field(static=True, default=0)
    density_of: str | None = eqx.field(static=True, default="code")

    def encode(self, x: Float[Array, "..."]) -> Float[Array, " d"]:
        model, guide = self.pair.bind()
        z = model.code(as_proposal(guide(Datum(x))).center())
        optimizer = optax.adam(_RATE)

        def climb(_: Any, at: Any) -> Any:
            z, state = at
            slope = jax.grad(lambda z: -model.log_joint(Datum(x), z))(z)
            updates, state = optimizer.update(slope, state)
            return z + updates, state

        return jax.lax.fori_loop(0, self.refinements, climb, (z, optimizer.init(z)))[0]

    def decode_with_density(self, z: Float[Array, " d"]) -> tuple[Array, Float[Array, ""]]:
        model: Any = self.pair.bind()[0]
        if self.row is None:
            x = at_total(model, self.total).mean(z)
        else:
            x = model.mean_like(Datum(self.row), z)
        return x, -total(as_proposal(model.prior()).terms(z))

    def like(self, x: Float[Array, "..."]) -> "Coded":
        return replace(self, row=x) if is_given_totals(self.pair.bind()[0]) else self


class Functions(AbstractGenerator):
    """A user's functions of one row or code.

    Attributes:
        encoder: from x to z, (d,).
        decoder: from z to x, differentiable.
        log_density_of: from z to log p(g(z)), nats; None where it is not known.
    """

    x_shape: tuple[int, ...] = eqx.field(static=True)
    density_of: str | None = eqx.field(static=True)
    encoder: Callable[[Array], Array]
    decoder: Callable[[Array], Array]
    log_density_of: Callable[[Array], Array] | None

    def __init__(
        self,
        encoder: Callable[[Array], Array],
        decoder: Callable[[Array], Array],
        x_shape: tuple[int, ...],
        log_density_of: Callable[[Array], Array] | None = None,
    ):
        self.encoder, self.decoder, self.log_density_of = encoder, decoder, log_density_of
        self.x_shape, self.density_of = x_shape, None if log_density_of is None else "row"

    def encode(self, x: Float[Array, "..."]) -> Float[Array, " d"]:
        return jnp.asarray(self.encoder(x))

    def decode_with_density(self, z: Float[Array, " d"]) -> tuple[Array, Float[Array, ""]]:
        x = jnp.asarray(self.decoder(z))
        density = self.log_density_of
        return x, jnp.zeros((), x.dtype) if density is None else jnp.asarray(density(z))


def as_generator(
    given: Any, x_shape: tuple[int, ...], *, refinements: int = 0
) -> AbstractGenerator:
    """A generator from a fit, from functions (encode, decode[, log_density]), or itself.

    Arguments:
        given: any of these.
        x_shape: of a row.
        refinements: as of `Coded`.

    Raises:
        InputError: a model without a smooth map from a vector to rows; no generator; functions whose
            shapes do not fit.
    """
    if isinstance(given, Fit):
        made = _of_fit(given, refinements)
    elif isinstance(given, tuple) and len(given) in (2, 3) and all(map(callable, given)):
        encoder, decoder, *density = (jax_function(part, "generator") for part in given)
        made = Functions(
            encoder=encoder,
            decoder=decoder,
            x_shape=x_shape,
            log_density_of=next(iter(density), None),
        )
    else:
        made = given
    if not isinstance(made, AbstractGenerator):
        raise InputError(
            "a fit, or functions (encode, decode)", type(given).__name__,
            "what `taut.fit` or `taut.load` returned", where="generator",
        )  # fmt: skip
    z = jax.eval_shape(made.encode, jax.ShapeDtypeStruct(x_shape, jnp.result_type(float)))
    if len(z.shape) != 1:
        raise InputError(
            "codes that are vectors", f"shape {z.shape}", "`z.ravel()`", where="encode"
        )  # fmt: skip
    x = jax.eval_shape(made.decode, z)
    if x.shape != x_shape:
        raise InputError(
            f"rows of shape {x_shape}, as those to explain", f"shape {x.shape} from the generator",
            "rows that the generator was made for", where="decode",
        )  # fmt: skip
    return made


def _of_fit(fit: Fit, refinements: int) -> AbstractGenerator:
    # What was loaded holds NumPy's arrays.
    pair = jax.tree.map(lambda a: jnp.asarray(a) if isinstance(a, np.ndarray) else a, fit.pair)
    model = pair.bind()[0]
    if isinstance(pair, ChainPair):
        first, rest = _parted(pair.chain)
        if (pair.chain if first is None else rest).bijective:
            return Flowing(chain=pair.chain, base=pair.base)
    if not fit.recipe.inference.claims.serves_unseen:
        raise InputError(
            "a guide that encodes any row", "one that holds the codes of its own rows",
            f"a fit with {option('inference', 'joint')}", where="generator",
        )  # fmt: skip
    z = jax.eval_shape(lambda: as_proposal(model.prior()).draw(jax.random.key(0), 1).z)
    vector = isinstance(z, jax.ShapeDtypeStruct) and jnp.issubdtype(z.dtype, jnp.floating)
    if not vector or isinstance(model, AbstractMixture):
        raise InputError(
            "a model whose latents are a vector of real numbers, to move along",
            f"{fit.architecture.name}, which has discrete ones",
            f"{option('model', 'flow')} or {option('model', 'vae')}", where="generator",
        )  # fmt: skip
    return Coded(
        pair=pair, x_shape=fit.schema.shape, total=median_total(fit), refinements=refinements
    )  # fmt: skip


def _parted(chain: Chain) -> tuple[Any, Chain]:
    """Dequantization next to the data, where there is one, and the layers behind it."""
    first = chain.layers[0]
    if isinstance(first, Dequantization | ColumnDequantization) and len(chain.layers) > 1:
        return first, Chain(chain.layers[1:])
    return None, chain
