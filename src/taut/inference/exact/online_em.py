"""Online EM: one M-step per batch, for data larger than memory.

    s_t     = (1 - gamma_t) s_{t-1} + gamma_t (mean over the batch of E[s(x, z)])
    gamma_t = (t + t_0)^-kappa
    theta_t = argmax of the expected log-joint at N s_t

With 1/2 < kappa <= 1 it converges to a stationary point of the expected log-evidence (Cappe and Moulines
2009, theorem 1); no step need raise it. Rows that are near in a file may be alike, so a batch is put
together from runs of rows at random places.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from taut.core import Datum, InputError, RunError, num_rows, option
from taut.core.compiling import kept_jit
from taut.guides import ExactPair
from taut.inference.algorithm import Algorithm, Metrics
from taut.inference.exact.em import EMState, expectation_step, holes_in
from taut.inference.exact.row_blocks import RowBlocks
from taut.inference.stages import UNKEPT, AbstractStages
from taut.models import AbstractExactModel

__all__ = ["OnlineState", "online_em", "run_online_em", "starting_rows"]

_SAMPLE = 20_000  # rows of the start, enough to find any component worth its name
_RUNS = 16  # places in the file that a batch comes from


class OnlineState(NamedTuple):
    """State of online EM.

    Attributes:
        model: current parameters.
        statistics: running average per row, about the reference of `model`.
        step: batches taken.
    """

    model: AbstractExactModel
    statistics: Any
    step: Int[Array, ""]


def online_em(
    start: EMState,
    floor: Any,
    *,
    num_rows_in_all: int,
    kappa: float = 0.6,
    delay: float = 10.0,
    most_missing: int | None = None,
) -> Algorithm:
    """Online EM as an algorithm: `step` is an E-step on a batch, a blend and an M-step.

    Arguments:
        start: a model with the statistics of the rows that it was fitted to.
        floor: what `model.floor` returned for all N rows.
        num_rows_in_all: N.
        kappa: decay of the step size, in (1/2, 1].
        delay: t_0, which keeps the first batches from overwriting the start.
        most_missing: cells of a row that may be missing where batches have a mask; any number if None.

    Returns:
        an `Algorithm` whose metric `bound` is the batch's mean log-evidence before the update; nats.

    Raises:
        InputError: a step size that does not decay as it must.
    """
    if not 0.5 < kappa <= 1:
        raise InputError("a decay in (0.5, 1]", f"{kappa}", "0.6", where="kappa")
    if not delay >= 1:
        raise InputError("a delay of at least 1 batch", f"{delay}", "10", where="delay")

    def init() -> OnlineState:
        count = _count(start.statistics)
        average = jax.tree.map(lambda s: s / count, start.statistics)
        return OnlineState(start.model, average, jnp.zeros((), jnp.int32))

    def step(state: OnlineState, batch: Datum) -> tuple[OnlineState, Metrics]:
        weight = jnp.ones(num_rows(batch)) if batch.weight is None else batch.weight
        gathered = state.model.expected(batch.x, weight, holes_in(batch, most_missing))
        total = jnp.sum(weight)
        gamma = (state.step + delay) ** -kappa
        blended = jax.tree.map(
            lambda old, new: (1 - gamma) * old + gamma * new / total, state.statistics, gathered
        )
        whole = jax.tree.map(lambda s: num_rows_in_all * s, blended)
        moved = state.model.maximized(whole, floor)
        average = state.model.rebased(blended, moved)
        bound = state.model.log_evidence_of(gathered) / total
        return OnlineState(moved, average, state.step + 1), {"bound": bound}

    return Algorithm(init, step, lambda state: ExactPair(state.model))


def run_online_em(
    model: AbstractExactModel,
    rows: RowBlocks,
    floor: Any,
    *,
    sample: Float[np.ndarray, "n ..."],
    batch_size: int = 10_000,
    passes: float | int = 1,
    kappa: float = 0.6,
    delay: float = 10.0,
    seed: int = 0,
    on_step: Callable[[int, float], None] | None = None,
    stages: AbstractStages = UNKEPT,
) -> tuple[AbstractExactModel, Float[np.ndarray, " T"]]:
    """Go through the rows in random batches.

    Arguments:
        model: where to start, fitted to `sample`.
        rows: in memory or on disk; one batch of them is held at a time.
        floor: what `model.floor` returned for all rows.
        sample: rows whose statistics the running average starts from.
        batch_size: rows a batch; shrinks to the number of rows.
        passes: how often to go through all rows.
        kappa: see `online_em`.
        delay: see `online_em`.
        seed: of the order.
        on_step: called after each batch with its number and its mean log-evidence before the update.
        stages: of which this is one.

    Returns:
        the last model, and each batch's mean log-evidence before its update, (T,); nats.

    Raises:
        RunError: the evidence stopped being finite.
    """
    cells = min(batch_size, rows.num_rows) * model.width
    with jax.enable_x64(True):
        algorithm = online_em(
            expectation_step(model, RowBlocks(sample, holes=rows.holes)),
            floor,
            num_rows_in_all=rows.num_rows,
            kappa=kappa,
            delay=delay,
            most_missing=rows.most_missing if rows.holes else None,
        )
        like = (algorithm.init(), np.zeros(0))

        def compute() -> tuple[OnlineState, Float[np.ndarray, " T"]]:
            step, begun = kept_jit(algorithm.step), stages.begun(like)
            state, before = like if begun is None else begun
            bounds: list[float] = before.tolist()
            for x in _batches(rows, batch_size, passes, seed, first=len(bounds)):
                number = len(bounds)
                state, metrics = step(state, _datum(x, rows.holes))
                bounds.append(float(metrics["bound"]))
                if not np.isfinite(bounds[-1]):
                    raise RunError(
                        "a finite log-evidence", f"{bounds[-1]} at batch {number}",
                        f"a larger {option('floor')}, larger batches, or fewer components",
                        where="online em",
                    )  # fmt: skip
                if on_step:
                    on_step(number, bounds[-1])
                stages.reached(lambda state=state: (state, np.asarray(bounds)), cells)
            return state, np.asarray(bounds)

        state, bounds = stages.once(like, compute)
    return state.model, bounds


def _batches(
    rows: RowBlocks, batch_size: int, passes: float | int, seed: int, *, first: int
) -> Iterator[Float[np.ndarray, "B ..."]]:
    """Batches of equal size from number `first` on, each of runs from random places.

    The order is new in every pass.
    """
    batch = min(batch_size, rows.num_rows)
    length = max(1, batch // _RUNS)
    runs = batch // length
    places = rows.num_rows // length
    per_pass = places // runs
    generator, order = np.random.default_rng(seed), np.zeros(0, int)
    for number in range(max(1, round(passes * per_pass))):
        if number % per_pass == 0:
            order = generator.permutation(places)
        if number < first:
            continue
        at = number % per_pass * runs
        starts = np.sort(order[at : at + runs]) * length
        yield np.concatenate([rows.read(s, s + length) for s in starts.tolist()])


def _datum(x: Float[np.ndarray, "B ..."], holes: bool) -> Datum:
    """A batch, with a mask where rows may have holes."""
    if not holes:
        return Datum(jnp.asarray(x))
    mask = ~np.isnan(x)
    return Datum(jnp.asarray(np.where(mask, x, 0.0)), jnp.asarray(mask))


def starting_rows(rows: RowBlocks, *, seed: int) -> Float[np.ndarray, "n ..."]:
    """Random rows that online EM starts from, in order of position: at most 20,000; NaN is a hole."""
    if rows.num_rows <= _SAMPLE:
        return rows.read(0, rows.num_rows)
    chosen = np.random.default_rng(seed).choice(rows.num_rows, _SAMPLE, replace=False)
    return rows.take(np.sort(chosen))


def _count(statistics: Any) -> Array:
    """The number of rows behind statistics."""
    return jnp.sum(statistics.total)
