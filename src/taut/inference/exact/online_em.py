"""Online EM: one M-step per batch, for data larger than memory.

    s     <- (1 - gamma) s + gamma (mean over the batch of E[s(x, z)])
    gamma  = f (t + f - 1 + t_0)^-kappa
    theta  = argmax of the expected log-joint at N s

t is how many batches' worth of rows were taken before, and f is 1 but for the last batch of a pass,
which has the rows that are left: their share of a batch. So each row of a pass counts alike: with
kappa = 1, s is the mean over all rows so far and t_0 - 1 batches' worth of those of the start.

With 1/2 < kappa <= 1 it converges to a stationary point of the expected log-evidence (Cappe and Moulines
2009, theorem 1); no step need raise it. Rows that are near in a file may be alike, so a batch is put
together from runs of rows at random places; a pass takes every row once.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from taut.core import Datum, InputError, RunError, num_rows, option
from taut.core.compiling import shared_jit
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
        taken: batches' worth of rows taken.
    """

    model: AbstractExactModel
    statistics: Any
    taken: Float[Array, ""]


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
        Batches have one size, one with fewer rows being filled up with rows of weight 0.

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
        return OnlineState(start.model, average, jnp.zeros(()))

    def step(state: OnlineState, batch: Datum) -> tuple[OnlineState, Metrics]:
        weight = jnp.ones(num_rows(batch)) if batch.weight is None else batch.weight
        gathered = state.model.expected(batch.x, weight, holes_in(batch, most_missing))
        total = jnp.sum(weight)
        share = total / len(weight)
        taken = state.taken + share
        gamma = share * (taken - 1 + delay) ** -kappa
        blended = jax.tree.map(
            lambda old, new: (1 - gamma) * old + gamma * new / total, state.statistics, gathered
        )
        whole = jax.tree.map(lambda s: num_rows_in_all * s, blended)
        moved = state.model.maximized(whole, floor)
        average = state.model.rebased(blended, moved)
        bound = state.model.log_evidence_of(gathered) / total
        return OnlineState(moved, average, taken), {"bound": bound}

    return Algorithm(init, step, lambda state: ExactPair(state.model))


def run_online_em(
    model: AbstractExactModel,
    rows: RowBlocks,
    floor: Any,
    *,
    sample: RowBlocks,
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
        batch_size: rows a batch; shrinks to the number of rows. The last one of a pass has what is left.
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
    batch = min(batch_size, rows.num_rows)
    cells = batch * model.width
    with jax.enable_x64(True):
        algorithm = online_em(
            expectation_step(model, sample),
            floor,
            num_rows_in_all=rows.num_rows,
            kappa=kappa,
            delay=delay,
            most_missing=rows.most_missing if rows.holes else None,
        )
        like = (algorithm.init(), np.zeros(0))

        def compute() -> tuple[OnlineState, Float[np.ndarray, " T"]]:
            step, begun = shared_jit(algorithm.step), stages.begun(lambda: like)
            state, before = like if begun is None else begun
            bounds: list[float] = before.tolist()
            for x in _batches(rows, batch, passes, seed, first=len(bounds)):
                number = len(bounds)
                state, metrics = step(state, _datum(x, batch, holes=rows.holes))
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
    rows: RowBlocks, batch: int, passes: float | int, seed: int, *, first: int
) -> Iterator[Float[np.ndarray, "B ..."]]:
    """Batches from number `first` on, each of runs from random places; a pass takes every row once.

    The order is new in every pass, whose last batch has the rows that are left.
    """
    length = max(1, batch // _RUNS)
    begins = np.arange(0, rows.num_rows, length)
    per_pass = -(-rows.num_rows // batch)
    generator, order, taken = np.random.default_rng(seed), begins, begins
    for number in range(max(1, round(passes * per_pass))):
        if number % per_pass == 0:
            order = generator.permutation(begins)
            taken = np.cumsum(
                np.minimum(rows.num_rows - order, length)
            )  # rows up to each run's end
        if number < first:
            continue
        low = number % per_pass * batch
        high = min(low + batch, rows.num_rows)
        begin, end = np.searchsorted(taken, [low, high - 1], side="right")
        own, ends = order[begin : end + 1], taken[begin : end + 1]
        sizes = np.minimum(rows.num_rows - own, length)
        # A run may begin in one batch and end in the next.
        starts = own + np.maximum(low - (ends - sizes), 0)
        stops = own + sizes - np.maximum(ends - high, 0)
        pieces = sorted(zip(starts.tolist(), stops.tolist(), strict=True))
        yield np.concatenate([rows.read(*piece) for piece in pieces])


def _datum(x: Float[np.ndarray, "n ..."], size: int, *, holes: bool) -> Datum:
    """Rows as a batch of one size, filled up with rows of weight 0; a mask where rows may have holes."""
    weight = np.arange(size) < len(x)
    x = np.concatenate([x, np.broadcast_to(x[:1], (size - len(x), *x.shape[1:]))])
    mask = ~np.isnan(x) if holes else None
    x = x if mask is None else np.where(mask, x, 0.0)
    return jax.tree.map(jnp.asarray, Datum(x, mask, weight=weight.astype(x.dtype)))


def starting_rows(rows: RowBlocks, *, seed: int) -> RowBlocks:
    """Random rows that online EM starts from, in order of position: at most 20,000."""
    if rows.num_rows <= _SAMPLE:
        chosen, x = np.arange(rows.num_rows), rows.read(0, rows.num_rows)
    else:
        generator = np.random.default_rng(seed)
        chosen = np.sort(generator.choice(rows.num_rows, _SAMPLE, replace=False))
        x = rows.take(chosen)
    return RowBlocks(x, rows.where, holes=rows.holes, numbers=rows.numbers(chosen))


def _count(statistics: Any) -> Array:
    """The number of rows behind statistics."""
    return jnp.sum(statistics.total)
