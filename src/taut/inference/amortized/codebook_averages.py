"""Training of a vector-quantized autoencoder: ascent for the networks, averages for the codebook.

    networks      gradient of  log p(x | e_k(x)) - P log N - beta |h(x) - sg(e_k(x))|^2
                  where dz/dh is taken to be 1 (straight through)
    codebook      n_k <- g n_k + (1 - g) (uses of code k in the batch)
                  s_k <- g s_k + (1 - g) (sum of the vectors h that went to it),     e_k = s_k / n_k

Source: van den Oord, Vinyals and Kavukcuoglu, Neural discrete representation learning (2017), eq. 3 and
appendix A.1. A code whose n_k has fallen below a threshold starts again at a vector h of the batch, as
in Dhariwal et al., Jukebox (2020); n starts at zero, so that the first batch makes the
codebook.

The straight-through gradient is biased and the codebook follows no objective; the bound that is reported
is exact for every codebook.
"""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from taut.bounds import AbstractBound
from taut.core import AbstractModel, AbstractPair, Datum, num_rows, particles
from taut.gradients import AbstractEstimator, Claim, Surrogate
from taut.guides import QuantizedPair, QuantizedProposal
from taut.inference.algorithm import Algorithm, Metrics
from taut.inference.amortized.batch_surrogate import Prepare, row_key
from taut.inference.amortized.joint import joint

__all__ = ["Committed", "QuantizedState", "quantized"]

_DEAD = 0.1  # average uses a batch below which a code starts again


class QuantizedState(NamedTuple):
    """State of the training.

    Attributes:
        inner: state of the ascent, whose parameters hold the codebook.
        uses: n, moving averages of the uses a batch, (N,).
        sums: s, moving averages of the vectors that went to each code, (N, d).
    """

    inner: Any
    uses: Float[Array, " N"]
    sums: Float[Array, "N d"]


class Committed(AbstractEstimator):
    """Straight through the nearest codes, less the commitment term.

    Attributes:
        commitment: beta, nats per squared distance.
    """

    name: ClassVar[str] = "straight-through to the nearest code"
    claims: ClassVar[tuple[Claim, ...]] = ()

    commitment: float = eqx.field(static=True, default=0.25)

    def __call__(
        self, bound: AbstractBound, model: AbstractModel, guide: Any, datum: Datum,
        key: PRNGKeyArray, *, step: Any = 0, aux: Any = None,
    ) -> Surrogate:  # fmt: skip
        minted = particles(model, guide, guide, datum, key, 1)
        commitment = self.commitment * guide(datum).commitment()
        return Surrogate(bound(minted), bound.objective(minted, step) - commitment)


def quantized(
    pair: QuantizedPair,
    bound: AbstractBound,
    optimizer: optax.GradientTransformation,
    *,
    commitment: float,
    decay: float,
    example: Datum,
    key: PRNGKeyArray,
    prepare: Prepare | None = None,
) -> Algorithm:
    """Maximise the bound in the networks and keep the codebook at what it stands for.

    Arguments:
        pair: initial parameters.
        bound: what is reported, nats per row; its objective is what is maximised.
        optimizer: of the networks.
        commitment: beta, nats per squared distance.
        decay: g.
        example: one row.
        key: random key of the run.
        prepare: from a stored datum to what the model sees this time.

    Returns:
        an `Algorithm` whose metric `bound` is the batch mean of the reported value.
    """
    ascent_key, restart_key = jax.random.split(key)
    ascent = joint(
        pair,
        bound,
        Committed(commitment),
        optimizer,
        example=example,
        key=ascent_key,
        prepare=prepare,
    )

    def init() -> QuantizedState:
        codebook = pair.codebook
        zero = jnp.zeros(codebook.shape[0], codebook.dtype)
        return QuantizedState(ascent.init(), zero, jnp.zeros_like(codebook))

    def step(state: QuantizedState, batch: Datum) -> tuple[QuantizedState, Metrics]:
        _, guide = ascent.pair(state.inner).bind()

        def encode(datum: Datum, datum_key: PRNGKeyArray) -> tuple[Array, Array]:
            q: QuantizedProposal = guide(row_key(datum, datum_key, prepare=prepare)[0])
            return q.encoded, q.codes

        # The keys of the ascent's own step, so that both see the same draw of a row.
        keys = jax.random.split(
            jax.random.fold_in(state.inner.key, state.inner.step), num_rows(batch)
        )
        h, codes = jax.vmap(encode)(batch, keys)
        h, codes = h.reshape(-1, h.shape[-1]), codes.reshape(-1)
        inner, metrics = ascent.step(state.inner, batch)

        draw = jax.random.fold_in(restart_key, state.inner.step)
        uses, sums = _averages(state, h, codes, decay=decay, key=draw)
        # A step whose bound is not finite moves nothing.
        finite = jnp.isfinite(metrics["bound"])
        uses, sums = jnp.where(finite, uses, state.uses), jnp.where(finite, sums, state.sums)
        codebook = sums / jnp.maximum(uses, _DEAD)[:, None]
        moved = eqx.tree_at(
            lambda p: p.codebook, inner.parameters,
            jnp.where(finite, codebook, inner.parameters.codebook),
        )  # fmt: skip
        return QuantizedState(inner._replace(parameters=moved), uses, sums), metrics

    def read(state: QuantizedState) -> AbstractPair:
        return ascent.pair(state.inner)

    def rescale(state: QuantizedState, factor: float) -> QuantizedState:
        assert ascent.rescale is not None
        return state._replace(inner=ascent.rescale(state.inner, factor))

    def inspect(state: QuantizedState, batch: Datum) -> Any:
        assert ascent.inspect is not None
        return ascent.inspect(state.inner, batch)

    return Algorithm(init, step, read, rescale=rescale, inspect=inspect)


def _averages(
    state: QuantizedState,
    h: Float[Array, "M d"],
    codes: Int[Array, " M"],
    *,
    decay: float,
    key: PRNGKeyArray,
) -> tuple[Float[Array, " N"], Float[Array, "N d"]]:
    """n and s after a batch, in which h went to the codes; a dead code starts again at one of them."""
    member = jax.nn.one_hot(codes, state.uses.shape[0], dtype=h.dtype)
    uses = decay * state.uses + (1 - decay) * jnp.sum(member, axis=0)
    sums = decay * state.sums + (1 - decay) * (member.T @ h)
    fresh = h[jax.random.randint(key, uses.shape, 0, h.shape[0])]
    dead = uses < _DEAD
    return jnp.where(dead, 1.0, uses), jnp.where(dead[:, None], fresh, sums)
