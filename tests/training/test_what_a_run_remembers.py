"""What the loop keeps of a run: step sizes, the best parameters, when to stop; and in a checkpoint, all.

The algorithm is a point that Adam or plain ascent moves, cheap enough to be stopped at every checkpoint.
What is expected is counted from the whole list of validation values, not step by step.
"""

import itertools
import math
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from taut.core import AbstractPair, Datum, Estimate, RunError
from taut.inference import Algorithm, compiled_steps
from taut.inference.algorithm import Inspection
from taut.inference.amortized import averaged
from taut.inference.amortized.ascent_steps import moved, rescaled, taken
from taut.runs import restore_checkpoint, save_checkpoint
from taut.training import (
    SCHEDULES,
    Loop,
    Plateau,
    Recorder,
    TrainingOptions,
    TrainingState,
    schedule,
    start,
    train,
)

ROWS = Datum(np.random.default_rng(0).normal(size=(12, 2)))
STEPS, EVERY, RATE = 96, 4, 0.1


@pytest.fixture(autouse=True)
def one_program(monkeypatch) -> Iterator[None]:
    """Float64, and each algorithm compiled once however often it is run."""
    monkeypatch.setattr("taut.training.loop.compiled_steps", cache(compiled_steps))
    with jax.enable_x64(True):
        yield


class Point(AbstractPair):
    """A pair of which only the parameters are of interest."""

    w: Any

    def bind(self) -> Any:
        raise NotImplementedError


class State(NamedTuple):
    """Where the point is and what moves it."""

    parameters: Point
    optimizer: Any
    aux: Any
    scale: Any
    step: Any


@cache
def _point(
    optimizer: optax.GradientTransformation, pull: float = 0.0, bad: tuple[int, int] = (0, 0)
) -> Algorithm:
    """A point with the constant gradient (3, 4), or drawn to the batch's mean; NaN in `bad` steps."""

    def init() -> State:
        point = Point(jnp.zeros(2))
        zero = jnp.zeros((), jnp.int32)
        return State(point, optimizer.init(point), jnp.zeros(2), jnp.ones(()), zero)

    def gradient(state: State, batch: Datum) -> Any:
        towards = state.parameters.w - jnp.mean(batch.x, axis=0) + state.aux
        return jnp.where(pull > 0, pull * towards, jnp.asarray([3.0, 4.0]))

    def step(state: State, batch: Datum) -> tuple[State, Any]:
        found = Point(gradient(state, batch))
        broken = (bad[0] <= state.step) & (state.step < bad[1])
        value = jnp.where(broken, jnp.nan, -jnp.sum(found.w**2))

        def accepted() -> State:
            point, moments = moved(
                optimizer, found, state.optimizer, state.parameters, state.parameters,
                scale=state.scale, step=state.step,
            )  # fmt: skip
            aux = 0.9 * state.aux + 0.1 * found.w
            return state._replace(parameters=point, optimizer=moments, aux=aux)

        kept, value = taken(state, value, found, accepted)
        kept = kept._replace(step=state.step + 1)
        return kept, {"bound": value, "w": kept.parameters.w[0]}

    def inspect(state: State, batch: Datum) -> Inspection:
        return Inspection({"term": jnp.zeros((len(batch.x), 1))}, jnp.ones(len(batch.x)))

    return Algorithm(init, step, lambda s: s.parameters, rescale=rescaled, inspect=inspect)


def _loop(**options: Any) -> Loop:
    return Loop(
        **{"num_steps": STEPS, "batch_size": 4, "seed": 5, "validate_every": EVERY} | options
    )


def _path(algorithm: Algorithm, loop: Loop, **more: Any) -> np.ndarray:
    """The point's first coordinate after each step, the start before it, (T + 1,)."""
    seen = [0.0]

    def record(first: int, metrics: dict[str, np.ndarray], validation: Any) -> None:
        seen.extend(metrics["w"].tolist())

    train(algorithm, ROWS, loop, recorder=Recorder(record), **more)
    return np.asarray(seen)


# ---- step sizes ------------------------------------------------------------------------------------

WARM = 7
SIZES = {
    "constant": lambda t: 1.0,
    "plateau": lambda t: 1.0,
    "cosine": lambda t: (1 + math.cos(math.pi * max(t - WARM, 0) / (STEPS - WARM))) / 2,
}


def _moves(options: TrainingOptions) -> np.ndarray:
    """Lengths of the steps of plain ascent along a gradient of length 5, as the options make it."""
    rate = schedule(
        options.learning_rate_schedule, options.learning_rate,
        num_steps=STEPS, warmup_steps=options.learning_rate_warmup,
    )  # fmt: skip
    path = _path(_point(options.transformation(rate)), _loop())
    return -np.diff(path) * 5 / 3  # the first coordinate is 3 of 5


@pytest.mark.parametrize("clip", [None, 10.0, 1.0])
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_step_has_the_size_of_the_formula(name, clip):
    options = TrainingOptions(
        optimizer="sgd", learning_rate=RATE, learning_rate_schedule=name, learning_rate_warmup=WARM,
        clip_norm=clip,
    )  # fmt: skip
    norm = 1.0 if clip == 1.0 else 5.0  # a gradient shorter than the limit stays as it is
    wanted = [RATE * norm * min(1, (t + 1) / WARM) * SIZES[name](t) for t in range(STEPS)]
    # Positions of order 50 are rounded in float64; a step is their difference.
    allowed = 4 * np.finfo(float).eps * 5 * RATE * STEPS
    np.testing.assert_allclose(_moves(options), wanted, rtol=1e-12, atol=allowed)


def test_the_warm_up_is_left_out_where_there_is_none():
    options = TrainingOptions(optimizer="sgd", learning_rate=RATE)
    np.testing.assert_allclose(_moves(options), 5 * RATE, rtol=0, atol=1e-12)


# ---- validation values decide ----------------------------------------------------------------------


class Expected(NamedTuple):
    """What follows from a list of validation values."""

    looks: int
    best: int
    scales: list[float]


def _expected(values: list[float], patience: int, plateau: Plateau | None) -> Expected:
    """Counted from the end: how long ago the first of the largest values so far was."""
    ago = [i - values.index(max(values[: i + 1])) for i in range(len(values))]
    stops = [i for i, a in enumerate(ago) if patience and a >= patience]
    looks = min([s + 1 for s in stops] + [len(values)])
    scales = [1.0]
    for a in ago[:looks]:
        halved = plateau is not None and a > 0 and a % plateau.patience == 0
        scales.append(max(plateau.least, scales[-1] * plateau.factor) if halved else scales[-1])
    return Expected(looks, values.index(max(values[:looks])), scales)


def _values(seed: int) -> list[float]:
    """Falling and rising, with ties."""
    return np.random.default_rng(seed).integers(0, 9, STEPS // EVERY).astype(float).tolist()


SEQUENCES = {
    "rises": [float(i) for i in range(24)],
    "falls": [-float(i) for i in range(24)],
    "level": [0.0] * 24,
    "rises late": [0.0] * 7 + [1.0] + [0.5] * 16,
    "last look": [0.0] * 5 + [1.0] + [0.0] * 18,
    **{f"drawn {seed}": _values(seed) for seed in range(3)},
}


def _scripted(values: list[float]) -> Any:
    script = iter(values)
    return lambda _: Estimate.from_rows([next(script)], side="lower")


@pytest.mark.parametrize("plateau", [None, Plateau()], ids=["constant", "plateau"])
@pytest.mark.parametrize("patience", [0, 1, 4, 5, 6])
@pytest.mark.parametrize("name", SEQUENCES)
def test_a_run_stops_halves_and_keeps_as_its_values_say(name, patience, plateau):
    values = SEQUENCES[name]
    wanted = _expected(values, patience, plateau)
    algorithm = _point(optax.sgd(RATE))
    path: list[float] = [0.0]
    state = train(
        algorithm, ROWS, _loop(patience=patience, plateau=plateau), validate=_scripted(values),
        recorder=Recorder(lambda _, metrics, __: path.extend(metrics["w"].tolist())),
    )  # fmt: skip
    assert int(state.step) == wanted.looks * EVERY == len(path) - 1
    assert int(state.best_step) == (wanted.best + 1) * EVERY
    assert float(state.best.w[0]) == path[int(state.best_step)]
    assert float(state.best_value) == max(values[: wanted.looks])
    assert float(state.scale) == wanted.scales[-1]
    steps = -np.diff(path) / (3 * RATE)
    np.testing.assert_allclose(steps, np.repeat(wanted.scales[:-1], EVERY)[: len(steps)], atol=1e-9)


def test_a_plateau_stops_at_the_least_scale_and_halves_after_five():
    assert (Plateau().patience, Plateau().factor) == (5, 0.5)
    values = [0.0] * 24
    assert _expected(values, 0, Plateau()).scales[5:8] == [1.0, 0.5, 0.5]
    low = Plateau(patience=1, least=0.2)
    state = train(_point(optax.sgd(RATE)), ROWS, _loop(plateau=low), validate=_scripted(values))
    assert float(state.scale) == 0.2


# ---- steps that are not finite ---------------------------------------------------------------------


@pytest.mark.parametrize("most_steps", [512, 4, 1])
@pytest.mark.parametrize("begins", [0, 3, 11])
def test_nine_bad_steps_are_passed_over_and_ten_end_the_run(begins, most_steps, monkeypatch):
    monkeypatch.setattr("taut.training.feeds.MOST_STEPS", most_steps)
    loop = _loop(num_steps=30)
    path = _path(_point(optax.sgd(RATE), 0.0, (begins, begins + 9)), loop)
    assert (np.diff(path) == 0).sum() == 9
    with pytest.raises(RunError, match=f"none from step {begins} on"):
        train(_point(optax.sgd(RATE), 0.0, (begins, begins + 10)), ROWS, loop)


def test_bad_steps_before_a_checkpoint_count_after_it():
    algorithm = _point(optax.sgd(RATE), 0.0, (3, 13))
    state = train(algorithm, ROWS, _loop(num_steps=8))
    assert int(state.rejected) == 5
    with pytest.raises(RunError, match="none from step 3 on"):
        train(algorithm, ROWS, _loop(num_steps=30), state=state)
    forgetful = state._replace(rejected=np.zeros((), np.int32))
    assert int(train(algorithm, ROWS, _loop(num_steps=30), state=forgetful).step) == 30


# ---- checkpoints -----------------------------------------------------------------------------------


def _restless(pair: Any) -> Estimate:
    """A value that looks random and follows from the parameters alone, so that looks go stale."""
    value = zlib.crc32(np.asarray(pair.w).tobytes()) / 2**32
    return Estimate.from_rows([value], side="lower")


@cache
def _moving(name: str, ema: float) -> Algorithm:
    rate = schedule(name, RATE, num_steps=STEPS, warmup_steps=WARM)
    algorithm = _point(optax.adam(rate), 1.0, (37, 41))
    return averaged(algorithm, ema) if ema else algorithm


def _whole(name: str, ema: float, patience: int, loop: Loop) -> tuple[TrainingState, list[Any]]:
    states: list[TrainingState] = []
    recorder = Recorder(checkpoint=states.append)
    end = train(_moving(name, ema), ROWS, loop, validate=_restless, recorder=recorder)
    return end, states


def _bytes(state: TrainingState) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]


COMBINATIONS = list(itertools.product(SCHEDULES, (0.0, 0.9), (0, 7)))


def _length(name: str, patience: int) -> Loop:
    plateau = Plateau(patience=2) if name == "plateau" else None
    return _loop(patience=patience, plateau=plateau, checkpoint_every=3)


@pytest.mark.parametrize(("name", "ema", "patience"), COMBINATIONS)
def test_a_run_cut_at_any_checkpoint_ends_with_the_same_bytes(name, ema, patience, tmp_path):
    loop = _length(name, patience)
    end, states = _whole(name, ema, patience, loop)
    assert any(int(s.stale) > 1 for s in states)  # some cut lies within a stale streak
    assert name != "plateau" or float(end.scale) < 1
    for cut in states[:-1]:
        save_checkpoint(tmp_path, cut, fingerprint="x")
        like = start(_moving(name, ema))
        found = restore_checkpoint(tmp_path, like, fingerprint="x").state
        resumed = train(_moving(name, ema), ROWS, loop, validate=_restless, state=found)
        assert _bytes(resumed) == _bytes(end), int(cut.step)


@pytest.mark.parametrize("field", TrainingState._fields)
def test_a_checkpoint_that_forgets_anything_is_caught(field):
    """Planted: each field in turn as at the start; some cut must end elsewhere."""
    loop = _length("plateau", 7)
    end, states = _whole("plateau", 0.9, 7, loop)
    algorithm = _moving("plateau", 0.9)
    fresh = getattr(start(algorithm), field)

    def ends(cut: TrainingState) -> bool:
        forgot = cut._replace(**{field: fresh})
        return _bytes(train(algorithm, ROWS, loop, validate=_restless, state=forgot)) == _bytes(end)

    if field == "rejected":  # counts toward an end that this run does not reach
        cut = next(s for s in states if int(s.rejected))
        assert ends(cut)
        return
    assert not all(ends(cut) for cut in states[:-1])


@pytest.mark.parametrize("part", ["inner", "average", "step"])
def test_a_moving_average_that_forgets_anything_is_caught(part):
    loop = _length("plateau", 0)
    end, states = _whole("plateau", 0.9, 0, loop)
    algorithm = _moving("plateau", 0.9)
    cut = states[4]
    fresh = getattr(start(algorithm).inference, part)
    forgot = cut._replace(inference=cut.inference._replace(**{part: fresh}))
    assert _bytes(train(algorithm, ROWS, loop, validate=_restless, state=forgot)) != _bytes(end)


@pytest.mark.parametrize("part", [n for n in State._fields if n != "step"])
def test_a_state_of_an_algorithm_that_forgets_anything_is_caught(part):
    loop = _length("plateau", 0)
    end, states = _whole("plateau", 0.0, 0, loop)
    algorithm = _moving("plateau", 0.0)
    cut = next(s for s in states if float(s.scale) < 1)
    fresh = getattr(start(algorithm).inference, part)
    forgot = cut._replace(inference=cut.inference._replace(**{part: fresh}))
    assert _bytes(train(algorithm, ROWS, loop, validate=_restless, state=forgot)) != _bytes(end)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_what_is_kept_is_what_was_validated(ema):
    """The average where there is one, at the step with the best value, not the last."""
    looked: list[Any] = []

    def validate(pair: Any) -> Estimate:
        looked.append((np.asarray(pair.w).copy(), _restless(pair).value))
        return _restless(pair)

    state = train(_moving("constant", ema), ROWS, _loop(), validate=validate)
    best = max(range(len(looked)), key=lambda i: looked[i][1])
    assert best != len(looked) - 1
    assert np.asarray(state.best.w).tobytes() == looked[best][0].tobytes()
    assert int(state.best_step) == (best + 1) * EVERY
    plain = _moving("constant", 0.0)
    own = train(plain, ROWS, _loop(num_steps=int(state.best_step)), validate=_restless)
    same = np.array_equal(np.asarray(own.inference.parameters.w), looked[best][0])
    assert same == (ema == 0.0)
