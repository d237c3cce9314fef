"""A run goes on with all that it was when it stopped, and with nothing else than it began with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import taut
from taut.core import Estimate, InputError
from taut.inference import Algorithm
from taut.recipe import Recipe
from taut.runs import save_checkpoint
from taut.training import TrainingOptions, TrainingState, start
from taut.training.resuming import begin, fingerprint

ROWS = np.random.default_rng(0).normal(size=(60, 3))
DATA = taut.load_data(ROWS)
SETTINGS = Recipe().to_dict()
STEP = 3
ALGORITHM = Algorithm(
    init=lambda: {"w": jnp.arange(4.0), "t": jnp.zeros((), jnp.int32), "key": jax.random.key(0)},
    step=lambda state, _: (state, {"bound": jnp.zeros(())}),
    pair=lambda state: state["w"],
)


def _moved(leaf: Any) -> Any:
    """An array or a key of the same form and another value."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key(9)
    other = np.full(np.shape(leaf), STEP, leaf.dtype)
    return other if isinstance(leaf, np.ndarray) else jnp.asarray(other)


def _bits(leaf: Any) -> Any:
    is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


def _begin(out: Path | None, data: Any = DATA, settings: Any = SETTINGS, *, resume: bool) -> Any:
    return begin(out, settings, ALGORITHM, data, force=False, resume=resume)


@pytest.fixture
def stopped(tmp_path) -> tuple[Path, TrainingState, list[dict[str, Any]]]:
    """A run that stopped behind its third step, its state and its records."""
    out = tmp_path / "run"
    run, records, state, notes = _begin(out, resume=False)
    assert (records, state, notes) == ([], None, ())
    looked = Estimate(-1.5, "lower", 0.25, 0.5, 20)
    run.append_steps(0, {"bound": np.array([-3.0, np.nan])}, looked)
    run.append_steps(
        2, {"bound": np.array([-2.0, -1.0])}, None
    )  # the last one behind the checkpoint
    state = jax.tree.map(_moved, start(ALGORITHM))
    save_checkpoint(run.checkpoints, state, fingerprint=fingerprint(DATA, SETTINGS))
    records = [
        {"step": 0, "bound": -3.0},
        {"step": 1, "bound": None, "validation": looked.to_dict()},
        {"step": 2, "bound": -2.0},
    ]
    return out, state, records


def test_every_part_of_the_state_is_that_of_the_stop(stopped):
    out, state, _ = stopped
    found = _begin(out, resume=True)[2]
    for name in TrainingState._fields:
        fresh, wanted, have = (
            [_bits(leaf) for leaf in jax.tree.leaves(getattr(s, name))]
            for s in (start(ALGORITHM), state, found)
        )
        assert [a.tobytes() for a in have] == [a.tobytes() for a in wanted], name
        assert not any(np.array_equal(a, b) for a, b in zip(have, fresh, strict=True)), name


def test_the_records_are_those_before_the_stop(stopped):
    out, _, records = stopped
    run, found, _, notes = _begin(out, resume=True)
    assert found == records == run.read_steps()
    assert notes == (f"resumed from step {STEP}",)


def test_a_record_of_another_form_is_damage(stopped):
    out, _, _ = stopped
    path = out / "metrics.jsonl"
    path.write_text(path.read_text().replace("bound", "bounc", 1))
    with pytest.raises(InputError, match=f"a line for each of the {STEP} steps"):
        _begin(out, resume=True)


def _other(part: str) -> Any:
    rows = getattr(DATA, part)
    x = np.array(rows.x)
    x[-1, -1] += 0.5
    return replace(DATA, **{part: replace(rows, cells=x)})


OTHERS = {
    "a training row": lambda: (_other("train"), SETTINGS),
    "a validation row": lambda: (_other("validation"), SETTINGS),
    "one training row less": lambda: (replace(DATA, train=DATA.train[:-1]), SETTINGS),
    "units": lambda: (replace(DATA, schema=replace(DATA.schema, scale=(1.0, 2.0, 3.0))), SETTINGS),
    "an option": lambda: (DATA, Recipe(training=TrainingOptions(ema=0.5)).to_dict()),
}


@pytest.mark.parametrize("what", OTHERS)
def test_with_other_rows_or_options_it_does_not_go_on(what, stopped):
    data, settings = OTHERS[what]()
    assert fingerprint(data, settings) != fingerprint(DATA, SETTINGS)
    with pytest.raises(InputError, match=r"as the run began|that the run began with"):
        _begin(stopped[0], data, settings, resume=True)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_labels_count_where_they_are_to_be_predicted(part):
    def relabelled(data: Any) -> Any:
        rows = getattr(data, part)
        return replace(data, **{part: replace(rows, label=np.ones(len(rows), np.int32))})

    told: Any = taut.load_data((ROWS, np.arange(60) % 2), target="y")
    assert fingerprint(relabelled(told), SETTINGS) != fingerprint(told, SETTINGS)
    assert fingerprint(relabelled(DATA), SETTINGS) == fingerprint(DATA, SETTINGS)


def test_a_fit_goes_on_with_the_random_key_and_the_labels_that_it_began_with(tmp_path, monkeypatch):
    """A key that is no whole number is in no config.toml."""

    class Stop(Exception):
        pass

    def stop(*_: Any, **__: Any) -> None:
        raise Stop

    def fit(label: Any, number: int, *, resume: bool = True) -> None:
        taut.fit(
            (ROWS, label), target="y", key=jax.random.key(number), out=tmp_path / "run",
            resume=resume, latent_dim=1, hidden=(4,), epochs=1,
        )  # fmt: skip

    monkeypatch.setattr("taut.api.amortized.measure", stop)
    label = np.arange(60) % 2
    with pytest.raises(Stop):
        fit(label, 3, resume=False)
    for other in ((label, 4), (1 - label, 3)):
        with pytest.raises(InputError, match="the data and options that the run began with"):
            fit(*other)
    with pytest.raises(Stop):
        fit(label, 3)


def _clipped(norm: float, draws: int = 1000) -> dict[str, Any]:
    training = {**SETTINGS["training"], "clip_norm": norm}
    return {**SETTINGS, "training": training, "evidence": {"evidence_particles": draws}}


@pytest.mark.parametrize(("began", "again"), [(1, 1.0), (1.0, 1)])
def test_a_number_is_the_same_with_a_point_and_without(began, again, tmp_path):
    """Also after a first going on, which may rewrite what the folder says."""
    run, *_ = _begin(tmp_path / "run", settings=_clipped(began), resume=False)
    run.append_steps(0, {"bound": np.zeros(STEP)}, None)
    state = jax.tree.map(_moved, start(ALGORITHM))
    save_checkpoint(run.checkpoints, state, fingerprint=fingerprint(DATA, _clipped(began)))
    for draws in (1000, 50, 20):
        *_, found, _ = _begin(tmp_path / "run", settings=_clipped(again, draws), resume=True)
        assert int(found.step) == STEP
    with pytest.raises(InputError, match="clip_norm"):
        _begin(tmp_path / "run", settings=_clipped(2), resume=True)
