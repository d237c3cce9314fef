"""The aggressive encoder: E-steps until they stop paying, before each M-step.

An encoder that lags behind the posterior makes a decoder ignore z, and then there is nothing left for
the encoder to follow: posterior collapse. Algorithm 1 of He, Spokoyny, Neubig and Berg-Kirkpatrick
(2019) trains the encoder until the bound stops rising before each step of the decoder, for as long as
the mutual information between x and z grows; then both move together. Here, by the state alone:

    an M-step is due     when a window's mean bound is no higher than the window's before, or at a limit
    both move together   from the first look at which I[x, z] on the probe has not grown
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from taut.core import Datum, InputError, as_proposal, num_rows, total
from taut.core.independent_draws import one_draw
from taut.inference.amortized.alternation import (
    BOTH,
    E_STEP,
    M_STEP,
    AbstractAlternation,
    at_least_one,
)
from taut.inference.amortized.batch_surrogate import Prepare, row_key

__all__ = ["Aggressive", "AggressiveState", "mutual_information"]


class AggressiveState(NamedTuple):
    """State of `Aggressive`; each is ().

    Attributes:
        aggressive: False once both sides move together, for good.
        due: whether the next step is an M-step.
        e_steps: E-steps since the last M-step.
        window_sum: sum of the bound over the current window, nats per row.
        last_window: mean of the bound over the window before, nats per row; -inf before there is one.
        m_steps: M-steps since the mutual information was last looked at.
        information: the mutual information then, nats; -inf before the first look.
    """

    aggressive: Bool[Array, ""]
    due: Bool[Array, ""]
    e_steps: Int[Array, ""]
    window_sum: Float[Array, ""]
    last_window: Float[Array, ""]
    m_steps: Int[Array, ""]
    information: Float[Array, ""]


class Aggressive(AbstractAlternation):
    """E-steps until the bound stops rising, then one M-step, while the mutual information grows.

    Attributes:
        probe: rows on which the mutual information is estimated, a batched datum. The estimate cannot
            exceed the logarithm of their number, and costs its square in densities of q.
        window: E-steps whose mean bound is compared with that of as many before.
        most_e_steps: E-steps before an M-step at most.
        look_every: M-steps between two looks at the mutual information.
        seed: of the draws behind the mutual information, the same at every look.
        prepare: from a stored row of the probe to what the model sees of it (dynamic binarization).
    """

    probe: Datum
    window: int = eqx.field(static=True, default=10)
    most_e_steps: int = eqx.field(static=True, default=100)
    look_every: int = eqx.field(static=True, default=100)
    seed: int = eqx.field(static=True, default=0)
    prepare: Prepare | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        for name in ("window", "most_e_steps", "look_every"):
            at_least_one(getattr(self, name), name)
        if num_rows(self.probe) < 2:
            raise InputError(
                "at least two rows, between which there can be information",
                f"{num_rows(self.probe)}", "64 rows of the validation part", where="probe",
            )  # fmt: skip

    def init(self) -> AggressiveState:
        never = jnp.full((), -jnp.inf)
        none = jnp.zeros((), jnp.int32)
        yes, no = jnp.ones((), bool), jnp.zeros((), bool)
        return AggressiveState(yes, no, none, jnp.zeros(()), never, none, never)

    def phase(self, state: Any) -> Int[Array, ""]:
        return jnp.where(state.aggressive, jnp.where(state.due, M_STEP, E_STEP), BOTH)

    def advance(self, state: Any, bound: Float[Array, ""], guide: Any) -> AggressiveState:
        branches: list[Callable[[], AggressiveState]] = [
            lambda: self._after_e_step(state, bound),
            lambda: self._after_m_step(state, guide),
            lambda: state,
        ]
        return jax.lax.switch(self.phase(state), branches)

    def _after_e_step(self, state: AggressiveState, bound: Float[Array, ""]) -> AggressiveState:
        e_steps = state.e_steps + 1
        window_sum = state.window_sum + bound.astype(state.window_sum.dtype)
        full = e_steps % self.window == 0
        mean = window_sum / self.window
        stalled = full & (mean <= state.last_window)
        return state._replace(
            due=stalled | (e_steps >= self.most_e_steps),
            e_steps=e_steps,
            window_sum=jnp.where(full, 0.0, window_sum),
            last_window=jnp.where(full, mean, state.last_window),
        )

    def _after_m_step(self, state: AggressiveState, guide: Any) -> AggressiveState:
        m_steps = state.m_steps + 1
        look = m_steps >= self.look_every

        def looked() -> tuple[Array, Array]:
            key = jax.random.key(self.seed)
            found = mutual_information(guide, self.probe, key=key, prepare=self.prepare)
            found = found.astype(state.information.dtype)
            return found > state.information, found

        aggressive, information = jax.lax.cond(
            look, looked, lambda: (state.aggressive, state.information)
        )
        start = self.init()
        return state._replace(
            aggressive=aggressive,
            due=start.due,
            e_steps=start.e_steps,
            window_sum=start.window_sum,
            last_window=start.last_window,
            m_steps=jnp.where(look, 0, m_steps),
            information=information,
        )


def mutual_information(
    guide: Any, rows: Datum, *, key: PRNGKeyArray, prepare: Prepare | None = None
) -> Float[Array, ""]:
    """I[x, z] under q(z | x) and the given rows, from one draw for each row; nats.

    Where the model sees another draw of a stored row each time, the rows are one draw of each.

    The mean over rows i of log q(z_i | x_i) - log (1/N) sum_j q(z_i | x_j), z_i ~ q(z | x_i):
    unbiased for the information when x is one of the N rows with equal chance, at most log N.

    Raises:
        InputError: a Dirac guide, whose draws have no density.
    """
    count = num_rows(rows)

    def draw(datum: Datum, row_key: PRNGKeyArray) -> Any:
        q = as_proposal(guide(datum))
        if q.dirac or q.exhaustive:
            raise InputError(
                "a guide that draws z from a density",
                f"{type(q).__name__}, which does not",
                "`Alternate` with a number of E-steps",
                where="mutual_information",
            )
        return one_draw(q, row_key)

    def log_q(z: Any, datum: Datum) -> Float[Array, ""]:
        return -total(as_proposal(guide(datum)).terms(z))

    keys = jax.random.split(key, count)
    rows, keys = jax.vmap(lambda row, own: row_key(row, own, prepare=prepare))(rows, keys)
    z = jax.vmap(draw)(rows, keys)
    log_density = jax.vmap(lambda one: jax.vmap(lambda datum: log_q(one, datum))(rows))(z)
    mixture = jax.nn.logsumexp(log_density, axis=1) - jnp.log(1.0 * count)
    return jnp.mean(jnp.diagonal(log_density) - mixture)
