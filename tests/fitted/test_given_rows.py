"""Rows that a fit is given are read as its own data were."""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pytest

import taut
from taut.core import Datum
from taut.data import DataOptions, load_data, load_rows
from taut.fitted.given_rows import as_datum

RNG = np.random.default_rng(4)
TINY: dict[str, Any] = {"latent_dim": 2, "hidden": (8,), "epochs": 2, "evidence_particles": 4}
GREY = RNG.integers(0, 256, (80, 4, 4)).astype(np.uint8)
IMAGES = {
    "grey of bytes": (GREY, {}),
    "few grey levels": (RNG.integers(0, 17, (80, 4, 4)), {}),
    "0 and 255": (np.where(GREY > 128, 255, 0).astype(np.uint8), {}),
    "drawn": (GREY, {"binarize": "static"}),
    "at one half": (GREY, {"binarize": "threshold"}),
}


@pytest.fixture(scope="module", params=IMAGES)
def of_whole_numbers(request):
    values, options = IMAGES[request.param]
    return taut.fit(load_data(values, **options), **TINY), values[:12]


def test_whole_numbers_of_the_source_are_mapped_onto_the_support(of_whole_numbers):
    fitted, values = of_whole_numbers
    own = load_rows(values, fitted.schema)
    wanted = fitted.evidence(own).values
    assert np.isfinite(wanted).all()
    with_hole = np.where(np.arange(16).reshape(4, 4) == 3, np.nan, values)
    for given in (values, values.astype(np.int64), values.astype(float), jnp.asarray(values)):
        np.testing.assert_array_equal(fitted.evidence(given).values, wanted)
        np.testing.assert_array_equal(fitted.encode(given), fitted.encode(own))
        scores = fitted.score(given).score.values
        np.testing.assert_array_equal(scores, fitted.score(own).score.values)
    np.testing.assert_array_equal(fitted.encode(values[0]), fitted.encode(own.x[0]))
    assert np.asarray(fitted.reconstruct(values[0])).shape == (4, 4)
    assert np.isfinite(fitted.evidence(with_hole).values).all()


def test_rows_on_the_support_stay_as_they_are(of_whole_numbers):
    fitted, values = of_whole_numbers
    x = load_rows(values, fitted.schema).x
    wanted = fitted.evidence(load_rows(values, fitted.schema)).values
    for given in (x, x.astype(np.float64), jnp.asarray(x)):
        np.testing.assert_array_equal(fitted.evidence(given).values, wanted)
    if fitted.schema.support == "binary":
        for given in (x.astype(bool), x.astype(np.int8)):
            np.testing.assert_array_equal(fitted.evidence(given).values, wanted)
    assert np.isfinite(fitted.encode(np.asarray(fitted.reconstruct(x)) * 1.01)).all()


def test_whole_numbers_off_the_grid_are_refused(of_whole_numbers):
    fitted, values = of_whole_numbers
    beyond = values.astype(np.int64)
    beyond[3, 2, 1] = 999
    with pytest.raises(taut.InputError, match=r"row 3.*got 999"):
        fitted.evidence(beyond)


TABLE = RNG.normal(size=(60, 3)).round(2)
SEX = RNG.choice(["m", "f"], 60)


def with_codes(rows: np.ndarray, code: float) -> np.ndarray:
    rows = rows.copy()
    rows[::7, 1] = code
    return rows


def in_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(frame.to_dict(as_series=False))


@pytest.fixture(scope="module")
def of_coded_table():
    frame = pl.DataFrame(with_codes(TABLE, -999.9), schema=["a", "b", "c"])
    return taut.em(load_data(frame, missing_codes=-999.9), model="ppca", components=1)


def test_codes_of_missing_cells_are_those_of_the_fit(of_coded_table):
    fitted, coded = of_coded_table, with_codes(TABLE, -999.9)
    frame = pl.DataFrame(coded, schema=["a", "b", "c"])
    holes = with_codes(TABLE, np.nan)
    wanted, filled = fitted.evidence(holes).values, fitted.impute(holes).mean
    for given in (coded, coded.tolist(), jnp.asarray(coded), frame, in_pandas(frame)):
        np.testing.assert_allclose(fitted.evidence(given).values, wanted, rtol=1e-5)
        np.testing.assert_allclose(fitted.score(given).score.values, -wanted, rtol=1e-5)
        np.testing.assert_allclose(fitted.impute(given).mean, filled, rtol=1e-5)
        np.testing.assert_allclose(fitted.encode(given), fitted.encode(holes), rtol=1e-4)


def test_codes_are_those_of_the_fit_where_columns_have_kinds():
    frame = pl.DataFrame({"n": with_codes(TABLE, 1.0)[:, 1], "sex": SEX, "m": TABLE[:, 0]})
    data = load_data(frame, missing_codes=-9, kind={"m": {"missing": [7.5]}})
    fitted = taut.em(data, model="mixed", components=2, restarts=1)
    x = load_rows(frame, fitted.schema).x
    coded = frame.with_columns(n=pl.lit(-9.0), m=pl.lit(7.5))
    wanted = fitted.evidence(frame.with_columns(n=pl.lit(None), m=pl.lit(None))).values
    np.testing.assert_array_equal(fitted.evidence(coded).values, wanted)
    x[:, [0, 2]] = [-9.0, np.nan]
    np.testing.assert_array_equal(fitted.evidence(x).values, wanted)


def test_codes_of_images_are_those_of_the_fit():
    coded = GREY.astype(np.int64)
    coded[:, 1, 2] = -1
    shares = np.where(coded < 0, -1, coded / 255)
    for own in (coded, shares):
        fitted = taut.fit(load_data(own, missing_codes=-1), **TINY)
        wanted = fitted.evidence(np.where(coded < 0, np.nan, shares)).values
        for given in (coded, shares):
            np.testing.assert_array_equal(fitted.evidence(given).values, wanted)


def test_categories_have_no_codes_in_arrays():
    frame = pl.DataFrame({"n": TABLE[:, 1], "sex": SEX})
    fitted = taut.em(frame, model="mixed", components=2, restarts=1)
    fitted = replace(fitted, recipe=replace(fitted.recipe, data=DataOptions(missing_codes=(1.0,))))
    x = load_rows(frame, fitted.schema).x
    assert not np.isnan(np.asarray(fitted.impute(x).mean)).any()
    np.testing.assert_array_equal(fitted.impute(x).mean, x)


def test_a_prediction_knows_the_codes_too():
    frame = pl.DataFrame(
        {"a": with_codes(TABLE, -99)[:, 1], "b": TABLE[:, 0], "sex": SEX, "y": TABLE[:, 2] > 0}
    )
    options: dict[str, Any] = {"missing_codes": -99, "target": "y"}
    fitted = taut.em(load_data(frame, **options), model="mixed", components=2, restarts=1)
    rows = frame.drop("y")
    hidden = rows.with_columns(a=pl.when(pl.col("a") == -99).then(None).otherwise(pl.col("a")))
    for given, same in ((rows, hidden), (in_pandas(rows), in_pandas(hidden))):
        found, wanted = fitted.predict(given), fitted.predict(same)
        np.testing.assert_array_equal(found.probabilities, wanted.probabilities)


@pytest.mark.parametrize("column", ["unit", "decimal comma", "nullable", "text of one column"])
def test_frames_of_numbers_as_text_are_read_as_they_were_fitted(column):
    frame = pd.DataFrame(TABLE, columns=["a", "b", "c"])
    own = {
        "unit": frame.assign(b=[f"{v} kg" for v in TABLE[:, 1]]),
        "decimal comma": frame.assign(b=[f"{v:.2f}".replace(".", ",") for v in TABLE[:, 1]]),
        "nullable": frame.assign(
            b=pd.array(np.rint(TABLE[:, 1] * 9).astype(int), dtype="Int64"), label="x"
        ),
        "text of one column": frame.astype({"a": str}).assign(label=[None, "x"] * 30),
    }[column]
    if column == "nullable":
        own.loc[3, "b"] = pd.NA
    data = load_data(own.drop(columns="label", errors="ignore"), dtype=np.float64)
    fitted = taut.em(data, model="ppca", components=1)
    assert fitted.schema.kinds is None
    plain = np.concatenate([part.x for part in (data.train, data.validation, data.test)])
    order = np.argsort(np.concatenate([p.index for p in (data.train, data.validation, data.test)]))
    for given, x in ((own, plain[order]), (own[["c", "b", "a"]].head(7), plain[order][:7])):
        np.testing.assert_array_equal(fitted.evidence(given).values, fitted.evidence(x).values)
        np.testing.assert_array_equal(fitted.score(given).score.values, -fitted.evidence(x).values)
        np.testing.assert_array_equal(fitted.encode(given), fitted.encode(x))


def test_a_frame_without_a_label_has_the_columns_of_a_fit_with_one():
    frame = pl.DataFrame({"a": TABLE[:, 0], "b": [f"{v} kg" for v in TABLE[:, 1]], "y": SEX})
    fitted = taut.em(load_data(frame, label="y"), model="ppca", components=1)
    wanted = fitted.evidence(np.round(TABLE[:, :2], 9).astype(np.float32)).values
    unknown = frame.with_columns(y=pl.lit(None, dtype=pl.String))
    for given in (frame, frame.drop("y"), unknown):
        np.testing.assert_allclose(fitted.evidence(given).values, wanted, rtol=1e-6)


def test_labels_of_a_datum_are_codes_of_the_target_s_classes():
    frame = pl.DataFrame({"a": TABLE[:, 0], "b": TABLE[:, 1], "y": SEX})
    data = load_data(frame, target="y")
    fitted: Any = taut.em(data, model="ppca", components=1)
    x = data.test.x[:2]
    for label in ([1.7, 0.0], [2, 0], [-2, 1], [np.nan, 1.0]):
        with pytest.raises(
            taut.InputError, match="label: expected codes of classes from 0 to 1, or"
        ):
            as_datum(Datum(x, label=np.array(label)), fitted)
    given = as_datum(Datum(x, label=np.array([1.0, -1.0])), fitted).label
    assert (given.dtype, given.tolist()) == (np.int32, [1, -1])


NONE_AT_ALL: dict[str, Any] = {
    "evidence": lambda fitted, rows: fitted.evidence(rows),
    "bracket": lambda fitted, rows: fitted.bracket(rows),
    "bound": lambda fitted, rows: fitted.bound(rows, "elbo"),
    "encode": lambda fitted, rows: fitted.encode(rows),
    "reconstruct": lambda fitted, rows: fitted.reconstruct(rows),
    "impute": lambda fitted, rows: fitted.impute(rows),
    "score": lambda fitted, rows: fitted.score(rows),
    "predict": lambda fitted, rows: fitted.predict(rows),
    "interpolate": lambda fitted, rows: fitted.interpolate(rows, rows),
    "aggregated posterior": lambda fitted, rows: fitted.aggregated_posterior(rows),
}


@pytest.fixture(scope="module")
def with_target():
    frame = pl.DataFrame(TABLE, schema=["a", "b", "c"]).with_columns(y=pl.Series(SEX))
    return frame, taut.em(load_data(frame, target="y"), model="ppca", components=1)


@pytest.mark.parametrize("asked", NONE_AT_ALL)
def test_no_rows_are_refused_in_one_line(asked, with_target):
    frame, fitted = with_target
    some = load_rows(frame, fitted.schema)
    for rows in (np.zeros((0, 3)), [], frame.head(0), some[:0], some[:0].datum()):
        if isinstance(rows, Datum) and asked in ("encode", "reconstruct", "predict", "interpolate"):
            continue
        with pytest.raises(taut.InputError, match="expected at least one row, got none"):
            NONE_AT_ALL[asked](fitted, rows)


@pytest.fixture(scope="module")
def of_words():
    frame = pl.DataFrame({"n": TABLE[:, 0], "sex": SEX, "y": TABLE[:, 1]})
    data = load_data(frame, target="y", target_as="column")
    return frame, taut.em(data, model="mixed", components=1, restarts=1, max_iterations=2)


NO_NUMBERS: dict[str, Any] = {
    "objects": lambda frame: frame.to_numpy(),
    "a row of pandas": lambda frame: in_pandas(frame).iloc[0],
    "text": lambda frame: frame.to_numpy().astype(str),
    "dates": lambda frame: np.full((2, 3), np.datetime64("2020-01-01")),
    "complex numbers": lambda frame: np.full((2, 3), 1j),
    "masked objects": lambda frame: np.ma.masked_equal(frame.to_numpy(), "m"),
}
ASKED = ("evidence", "encode", "reconstruct", "impute", "score", "predict")


@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_arrays_of_other_things_than_numbers_are_refused_in_one_line(kind, of_words):
    frame, fitted = of_words
    for asked in ASKED:
        with pytest.raises(taut.InputError, match=r"rows: expected numbers, .* Try a data frame"):
            NONE_AT_ALL[asked](fitted, NO_NUMBERS[kind](frame))


def test_arrays_of_objects_that_are_numbers_are_taken(of_words):
    _, fitted = of_words
    x = np.array([[1.5, 0, 2.0], [0.5, 1, None]], object)
    wanted = fitted.evidence(x.astype(float)).values
    np.testing.assert_array_equal(fitted.evidence(x).values, wanted)


def test_a_row_without_a_value_is_the_same_alone_and_beside_others(of_words):
    frame, fitted = of_words
    none = frame.head(1).select(pl.lit(None).cast(frame.schema[n]).alias(n) for n in frame.columns)
    both = pl.concat([frame.head(1), none])
    for rows in (none, in_pandas(none)):
        np.testing.assert_allclose(fitted.evidence(rows).values, [0.0], atol=1e-12)
        assert fitted.predict(rows).mean[0] == fitted.predict(both).mean[1]
        assert fitted.impute(rows).mean[0, 2] == fitted.impute(both).mean[1, 2]
