"""Cells hidden at random: how many, of which rows, and what a fit makes of them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

import taut
from taut.api import preparing
from taut.core import Datum, InputError
from taut.training.hiding import hidden_at_random

ROWS = np.arange(4.0)


def _masks(share: float, mask: Any = None, count: int = 20_000) -> np.ndarray:
    keys = jax.random.split(jax.random.key(0), count)
    return np.asarray(
        jax.vmap(lambda key: hidden_at_random(Datum(ROWS, mask), key, share=share).mask)(keys)
    )  # fmt: skip


def test_half_the_cells_of_a_share_of_the_rows_are_hidden():
    """Of whole rows there are 1 - h, and of the others E[(1 - s)^4] = 1/5."""
    seen = _masks(0.5)
    whole, error = seen.all(axis=1).mean(), 0.5 / np.sqrt(len(seen))
    assert whole == pytest.approx(0.5 + 0.5 / 5, abs=5 * error)
    assert seen.mean() == pytest.approx(0.75, abs=5 * error)


def test_every_pattern_comes_up_and_none_where_nothing_is_hidden():
    assert len(np.unique(_masks(1.0), axis=0)) == 16
    assert _masks(0.0).all()


def test_what_is_missing_stays_missing():
    mask = np.array([True, False, True, True])
    seen = _masks(1.0, mask, 500)
    assert not seen[:, 1].any()
    assert seen[:, 0].any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hide": 1.5}, "a share between 0 and 1, got 1.5"),
        ({"hide": 0.5, "model": "flow"}, 'takes missing cells with `hide`, got model="flow"'),
    ],
)
def test_what_cannot_be_hidden_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        taut.fit(np.random.default_rng(0).normal(size=(40, 2)), epochs=1, **options)


def test_a_target_among_the_columns_is_hidden_by_default():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.normal(size=80), "y": ["p", "q"] * 40})
    options: dict[str, Any] = {
        "latent_dim": 1, "hidden": (4,), "epochs": 1, "evidence_particles": 2,
        "target": "y", "target_as": "column",
    }  # fmt: skip
    fitted = taut.fit(frame, **options)
    assert fitted.schema.holes
    assert "50% of the rows" in fitted.facts.objective_departure
    assert "of the rows" not in taut.fit(frame, hide=0, **options).facts.objective_departure


def test_none_are_hidden_by_default_where_cells_hide_themselves():
    """A cell hidden at random would count as one that hid itself; what was asked for is refused."""
    rng = np.random.default_rng(0)
    a, y = rng.normal(size=(2, 80))
    frame = pl.DataFrame({"a": np.where(a > 1, np.nan, a), "y": y}, nan_to_null=True)
    options: dict[str, Any] = {
        "latent_dim": 1, "hidden": (4,), "epochs": 1, "evidence_particles": 2, "columns": "alike",
        "likelihood": "gaussian", "missingness": "self-masking",
    }  # fmt: skip
    column = {"target": "y", "target_as": "column"}
    note = "no cells are hidden in training"
    fitted = taut.fit(frame, **options, **column)
    assert [told for told in fitted.facts.notes if told.startswith(note)]
    assert "of the rows" not in fitted.facts.objective_departure
    for others in ({**column, "hide": 0}, {}):
        told = taut.fit(frame, **options, **others).facts.notes
        assert not [line for line in told if line.startswith(note)]
        assert any(
            "densities are of the observed cells and of which are missing" in t for t in told
        )
    plain = {**options, "missingness": "at-random"}
    told = taut.fit(frame, **plain).facts.notes
    assert not any("densities are of the observed cells and of" in line for line in told)
    with pytest.raises(InputError, match='missingness="at-random", where cells are hidden'):
        taut.fit(frame, **options, **column, hide=0.5)


@pytest.mark.parametrize(("redraw", "hide"), [(True, 0.0), (False, 0.5), (True, 0.5)])
def test_what_a_step_sees_of_a_row_has_its_label_number_and_weight(redraw, hide):
    """Pixels that are drawn anew, cells that are hidden, and both."""
    seen: Any = preparing._seen(redraw=redraw, hide=hide)
    row = Datum(
        jnp.full(6, 0.5), jnp.arange(6) > 0, jnp.asarray(1), jnp.asarray(7), jnp.asarray(2.5)
    )
    found = seen(row, jax.random.key(0))
    assert set(np.unique(found.x)) <= ({0.0, 1.0} if redraw else {0.5})
    assert not found.mask[0]
    assert [float(part) for part in (found.label, found.index, found.weight)] == [1, 7, 2.5]
