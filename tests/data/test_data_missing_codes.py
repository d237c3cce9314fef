"""Numbers that stand for a missing cell: noted where suspected, missing where they are named."""

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

import taut
from taut.cli.main import main
from taut.core import InputError
from taut.data import load_rows
from taut.data.streams import Stream, distinct, philox

RNG = np.random.default_rng(0)
X = RNG.normal(5, 2, size=(200, 3)).round(2)


def _with(code: float, count: int, rows: np.ndarray = X) -> np.ndarray:
    rows = rows.copy()
    rows[RNG.choice(len(rows), count, replace=False), 1] = code
    return rows


def _suspicions(rows: np.ndarray, **options) -> list[str]:
    notes = taut.load_data(rows, **options).notes
    return [note for note in notes if "reads it as missing" in note]


@pytest.mark.parametrize(
    ("code", "count"),
    [(-999, 17), (-200, 3), (-9.99, 5), (-99, 1), (9999, 4), (99.9, 2), (-1e6, 3), (-9, 2)],
)
def test_a_code_is_noted_with_its_number_and_its_distance(code, count):
    rows = _with(code, count)
    (note,) = _suspicions(rows)
    others = rows[:, 1][rows[:, 1] != code]
    distance = abs(code - others.mean()) / others.std()
    times = "once" if count == 1 else f"{count} times"
    assert note == (
        f"{code:.6g} occurs {times} in column 1, counted from 0, up to {distance:.0f} standard "
        f"deviations from the rest (missing_codes {code:.6g} reads it as missing)"
    )


@pytest.mark.parametrize("first", [0, 100, 197])
@pytest.mark.parametrize("code", [-999, -200, 9999, -1e12, None])
@pytest.mark.parametrize("size", [3, 60, 600])
def test_training_rows_on_disk_are_looked_at_as_those_in_memory_are(
    tmp_path, monkeypatch, first, code, size
):
    rows, held_out = X.copy(), distinct(philox(0, Stream.HELD_OUT), 40, len(X))
    trained = np.setdiff1d(np.arange(len(X)), held_out)
    rows[trained[trained >= min(first, trained[-3])][:3], 1] = np.nan if code is None else code
    rows[[3, 190], 0] = 99
    rows[:, 2] = np.nan
    rows[7, 2] = -999
    np.save(tmp_path / "a.npy", rows)
    monkeypatch.setattr("taut.data.survey._PART_CELLS", size)
    found = _suspicions(tmp_path / "a.npy", stream="yes", missing="model")
    assert found == _suspicions(rows, stream="no", missing="model")
    assert len(found) == 2 - (code is None)


def test_ordinary_tables_have_no_suspects():
    tables = [load(return_X_y=True)[0] for load in (load_iris, load_wine, load_breast_cancer)]
    tables += [
        load_diabetes(scaled=False).data,
        X,
        RNG.poisson(2, (300, 4)),
        RNG.exponential(size=(300, 2)),
    ]
    tables += [RNG.standard_t(3, size=(300, 4)), np.clip(RNG.normal(80, 30, (300, 2)), None, 100)]
    for table in tables:
        assert _suspicions(table) == []


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int16"])
@pytest.mark.parametrize("how", ["no", "yes"])
@pytest.mark.parametrize("codes", [(-999,), (-999, -77, 555)], ids=["one", "three"])
def test_named_codes_are_missing_cells(tmp_path, dtype, how, codes):
    """In memory and streamed: the rows are those of the table without them."""
    rows = (10 * X).astype(dtype)
    for number, code in enumerate(codes):  # each in rows of its own
        rows[10 * number : 10 * number + 4, 1] = code
    np.save(tmp_path / "a.npy", rows)
    count = 4 * len(codes)
    with pytest.raises(
        InputError,
        match=rf'{count} missing or infinite cells in {count} rows.*missing="drop-rows"',
    ):
        taut.load_data(tmp_path / "a.npy", missing_codes=codes, missing="refuse", stream=how)
    data = taut.load_data(tmp_path / "a.npy", missing_codes=codes, missing="drop-rows", stream=how)
    assert (
        _suspicions(tmp_path / "a.npy", missing_codes=codes, missing="drop-rows", stream=how) == []
    )
    x = np.concatenate([data.train[:].x, data.validation.x, data.test.x])
    index = np.concatenate([data.train[:].index, data.validation.index, data.test.index])
    kept = np.flatnonzero(~np.isin(rows, codes).any(axis=1))
    np.testing.assert_array_equal(np.sort(index), kept)
    np.testing.assert_array_equal(x[np.argsort(index)], rows[kept].astype(np.float32))
    assert data.options.load().checksum == data.checksum


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pl.DataFrame(_with(-9.99, 6), schema=["a", "b", "c"]).write_csv("a.csv")
    quick = ["--model", "ppca", "--components", "1", "--closed-form", "--out"]
    assert main(["em", "a.csv", *quick, "noted"]) == 0
    assert "-9.99 occurs 6 times in column 'b'" in " ".join(capsys.readouterr().out.split())
    codes = ["--missing-codes=-9.99", "--missing", "drop-rows"]
    assert main(["em", "a.csv", *quick, "run", *codes]) == 0
    assert "occurs" not in capsys.readouterr().out
    assert taut.load("run").facts.rows.train < 160
    # Other rows are read in the same way.
    pl.DataFrame(_with(-9.99, 6, X + 0.01), schema=["a", "b", "c"]).write_csv("b.csv")
    assert main(["encode", "run", "b.csv", "--out", "z.npy"]) == 0
    assert len(np.load("z.npy")) == 194


@pytest.mark.parametrize("code", [np.inf, np.nan, 1e23, -1e39])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32])
def test_a_code_that_the_type_of_the_file_cannot_hold_is_nowhere(tmp_path, code, dtype):
    rows = np.arange(60).reshape(30, 2).astype(dtype)
    np.save(tmp_path / "rows.npy", rows)
    data = taut.load_data(str(tmp_path / "rows.npy"), missing_codes=(code,), missing="drop-rows")
    assert sum(len(part.x) for part in (data.train, data.validation, data.test)) == 30


@pytest.mark.parametrize("how", ["frame", "csv", "parquet"])
def test_a_code_of_a_column_is_rounded_as_its_type_does(tmp_path, how):
    cells = np.array([-9.99, 0.1, 1.5, -np.inf] * 15, np.float32)
    frame = pl.DataFrame({"a": RNG.normal(size=60), "b": cells})
    (tmp_path / "t.csv").write_text(frame.write_csv())
    frame.write_parquet(tmp_path / "t.parquet")
    source = frame if how == "frame" else tmp_path / f"t.{how}"
    for codes, empty in (([-9.99, "-inf"], [1, 0, 0, 1]), ([-9.99, "-inf", -1e300], [1, 0, 0, 1])):
        data = taut.load_data(source, kind={"b": {"missing": codes}}, columns="auto")
        for rows in (data.train[:], load_rows(source, data.schema)):
            np.testing.assert_array_equal(np.isnan(rows.x[:, 1]), np.array(empty)[rows.index % 4])
    with pytest.raises(InputError, match="infinite"):
        taut.load_data(source, kind={"b": {"missing": [-1e300]}}, columns="auto")


@pytest.mark.parametrize("missing", ["model", "drop-rows"])
@pytest.mark.parametrize("source", ["frame", "csv", "parquet"])
def test_a_code_is_no_category(tmp_path, source, missing):
    """Texts are numbered, and none of these numbers stands for a missing cell."""
    words = np.array(["left", "middle", "right"])[np.arange(60) % 3]
    number = np.where(np.arange(60) % 7 == 0, 1, np.arange(60) % 5 + 2)
    frame = pl.DataFrame({"real": X[:60, 0], "word": words, "number": number})
    given = frame
    if source != "frame":
        given = tmp_path / f"rows.{source}"
        getattr(frame, f"write_{source}")(given)
    options = {"missing_codes": (1, 2.5), "missing": missing}
    data = taut.load_data(given, stream="no", **options)
    loaded = [data.train[:], data.validation, data.test]
    later = taut.data.load_rows(given, data.schema, missing=missing, missing_codes=(1, 2.5))
    kept = np.arange(60) if missing == "model" else np.flatnonzero(number != 1)
    for parts in (loaded, [later]):
        x, index = (np.concatenate([getattr(part, n) for part in parts]) for n in ("x", "index"))
        x = x[np.argsort(index)]
        assert len(x) == len(kept)
        np.testing.assert_array_equal(x[:, 1], kept % 3)
        np.testing.assert_array_equal(np.isnan(x[:, 2]), number[kept] == 1)


@pytest.mark.parametrize("role", [{}, {"target": "id"}, {"target": "id", "target_as": "column"}])
@pytest.mark.parametrize("how", ["frame", "csv", "parquet"])
def test_a_code_that_a_text_spells_is_a_missing_cell(tmp_path, how, role):
    """Among words, and among numbers that are names for their zeros in front: as if it were empty."""
    words = ["red", "blue", "-999.0", "red", "green"] * 12
    names = ["007", "012", "012", "-999", "7"] * 12
    frame = pl.DataFrame({"a": X[:60, 0], "word": words, "id": names})
    empty = frame.with_columns(pl.col("word", "id").replace({"-999": None, "-999.0": None}))
    wish = {} if role else {"kind": {"id": "categorical"}}
    found = []
    for number, rows in enumerate((empty, frame)):
        source = rows if how == "frame" else tmp_path / f"{number}.{how}"
        if how != "frame":
            getattr(rows, f"write_{how}")(source)
        codes = (-999,) if rows is frame else ()
        data = taut.load_data(source, missing_codes=codes, name="t", **role, **wish)
        later = taut.data.load_rows(source, data.schema, missing_codes=codes)
        found.append((data, later))
    (known, known_later), (data, later) = found
    assert data.schema == known.schema
    for rows, wanted in ((data.train[:], known.train[:]), (later, known_later)):
        np.testing.assert_array_equal(rows.x, wanted.x)
        np.testing.assert_array_equal(rows.label, wanted.label)
    assert data.schema.classes == (("007", "012", "7") if role else None)
