"""`DataOptions`: every option arrives in the data, and what was asked gives the same data again."""

import inspect
import json
import sys
import tomllib
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from taut.data import Data, DataOptions, load_data
from taut.errors import InputError
from taut.runs import to_toml

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, size=(60, 4, 3)).astype(np.uint8)
REAL = RNG.normal(5.0, 2.0, size=(60, 3))
KEYWORDS = {"split_seed": "seed"}  # of `load_data`, where it is not the field's own name


def _table(folder: Path) -> str:
    frame = pl.DataFrame(REAL, schema=["a", "b", "c"])
    frame.with_columns(pl.Series("kind", ["x", "y"] * 30)).write_csv(folder / "a.csv")
    return str(folder / "a.csv")


def _european(folder: Path) -> str:
    """Thousands with points between them, which look like fractions."""
    lines = [f"{1 + i}.234\t{i}" for i in range(60)]
    (folder / "a.csv").write_text("\n".join(["a\tb", *lines]))
    return str(folder / "a.csv")


def _array(rows: np.ndarray) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        np.save(folder / "a.npy", rows)
        return str(folder / "a.npy")

    return write


def _unfinished(folder: Path) -> str:
    rows = REAL.copy()
    rows[7, 1] = np.nan
    return _array(rows)(folder)


def _numbers(data: Data) -> set[int]:
    return set(data.train[:].index.tolist())


# For each option: the source, what else is asked, a value unlike the default, and what is seen of it.
SEEN: dict[str, tuple[Callable[[Path], str], dict[str, Any], Any, Callable[[Data], Any]]] = {
    "source": (lambda _: "digits", {}, "digits", lambda d: (d.schema.name, d.source)),
    "split": (_array(REAL), {}, (0.5, 0.2, 0.3), lambda d: (len(d.train), len(d.validation))),
    "split_seed": (_array(REAL), {}, 3, lambda d: frozenset(_numbers(d))),
    "label": (_table, {"drop": ("b",)}, "kind", lambda d: d.train[:].label is not None),
    "target": (_table, {"drop": ("b",)}, "kind", lambda d: d.train[:].label is not None),
    "target_as": (_table, {"target": "kind"}, "column", lambda d: d.schema.place_of_target),
    "drop": (_table, {"label": "kind"}, ("b",), lambda d: d.schema.columns),
    "missing": (_unfinished, {}, "drop-rows", lambda d: any("dropped 1" in n for n in d.notes)),
    "missing_codes": (
        _array(np.where(REAL[7, 1] == REAL, -999.0, REAL)),
        {"missing": "drop-rows"},
        (-999.0,),
        lambda d: any("dropped 1" in n for n in d.notes),
    ),
    "decimal": (_european, {}, ",", lambda d: d.train[:].x.max() > 1000),
    "binarize": (_array(GREY), {}, "threshold", lambda d: len(np.unique(d.test.x))),
    "standardize": (_array(REAL), {}, False, lambda d: d.schema.shift),
    "support": (_array(GREY), {}, "real", lambda d: d.schema.support),
    "columns": (_table, {"label": "kind"}, "auto", lambda d: d.schema.kinds is not None),
    "kind": (_table, {"label": "kind"}, ("b=real",), lambda d: d.schema.kinds is not None),
    "image_shape": (_array(GREY.reshape(60, 12)), {}, (4, 3), lambda d: d.schema.shape),
    "name": (_array(REAL), {}, "mine", lambda d: d.schema.name),
    "dtype": (_array(REAL), {}, "float64", lambda d: d.test.x.dtype.name),
    "stream": (_array(REAL), {}, "yes", lambda d: d.streamed),
}
EXPECTED = {
    "source": ("digits", "digits"),
    "split": (30, 12),
    "label": True,
    "target": True,
    "target_as": 3,
    "drop": ("a", "c"),
    "missing": True,
    "binarize": 2,
    "standardize": None,
    "support": "real",
    "columns": True,
    "kind": True,
    "image_shape": (4, 3),
    "name": "mine",
    "dtype": "float64",
    "stream": True,
}


def test_every_option_has_its_case():
    assert [field.name for field in fields(DataOptions)] == list(SEEN)
    for field in fields(DataOptions):
        assert SEEN[field.name][2] != field.default
        assert f"    {field.name}: " in inspect.cleandoc(DataOptions.__doc__ or "")


@pytest.mark.parametrize("name", SEEN)
def test_every_option_arrives_by_either_door(tmp_path, name: str):
    write, others, value, seen = SEEN[name]
    source = write(tmp_path)
    options = DataOptions(**{"source": source, **others, name: value})
    keywords = {KEYWORDS.get(n, n): v for n, v in {**others, name: value}.items() if n != "source"}
    one, two = options.load(), load_data(source, **keywords)
    assert seen(one) == seen(two)
    if name in EXPECTED:
        assert seen(one) == EXPECTED[name]
    if name not in ("source", "missing", "label"):  # without which these data do not load
        assert seen(one) != seen(DataOptions.from_dict(_without(options, name)).load())
    assert getattr(one.options, name) == getattr(two.options, name) == value
    assert one.options == replace(options, stream=one.options.stream)


def _without(options: DataOptions, name: str) -> dict[str, Any]:
    return {k: v for k, v in options.to_dict().items() if k != name}


def _folder(folder: Path) -> str:
    from PIL import Image

    (folder / "images").mkdir()
    for i, image in enumerate(GREY[:30]):
        Image.fromarray(image).save(folder / "images" / f"{i:02}.png")
    return str(folder / "images")


def _packed(folder: Path) -> str:
    np.savez(folder / "a.npz", x=REAL, y=np.arange(60) % 2)
    return f"{folder / 'a.npz'}:x"


def _matlab(folder: Path) -> str:
    import scipy.io

    scipy.io.savemat(folder / "a.mat", {"x": REAL})
    return f"{folder / 'a.mat'}:x"


def _market(folder: Path) -> str:
    import scipy.io

    scipy.io.mmwrite(folder / "a.mtx", scipy.sparse.coo_array(np.arange(180).reshape(60, 3) % 4))
    return str(folder / "a.mtx")


def _annotated(folder: Path) -> str:
    import h5py

    with h5py.File(folder / "a.h5ad", "w") as file:
        file["X"] = REAL
        for name, number in (("obs", 60), ("var", 3)):
            table = file.create_group(name)
            table.attrs["_index"] = "names"
            table["names"] = [f"{name}{i}" for i in range(number)]
    return str(folder / "a.h5ad")


def _parquet(folder: Path) -> str:
    pl.DataFrame(REAL, schema=["a", "b", "c"]).write_parquet(folder / "a.parquet")
    return str(folder / "a.parquet")


def _three(folder: Path) -> str:
    names = [str(folder / f"{name}.npy") for name in ("a", "b", "c")]
    for name, rows in zip(names, np.split(REAL, [40, 50]), strict=True):
        np.save(name, rows)
    return ",".join(names)


FORMS: dict[str, Callable[[Path], str]] = {
    "digits": lambda _: "digits",
    "npy": _array(REAL),
    "npz": _packed,
    "mat": _matlab,
    "mtx": _market,
    "h5ad": _annotated,
    "csv": _table,
    "parquet": _parquet,
    "folder": _folder,
    "three files": _three,
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{form: (form, {"drop": ("kind",)} if form == "csv" else {}) for form in FORMS},
    "label": ("csv", {"label": "kind"}),
    "split": ("npy", {"split": (0.6, 0.2, 0.2), "seed": 7}),
    "static": ("folder", {"binarize": "static", "seed": 2}),
    "dynamic": ("digits", {"binarize": "dynamic", "seed": 2}),
    "threshold": ("digits", {"binarize": "threshold"}),
    "float64": ("csv", {"dtype": np.float64, "drop": "kind", "standardize": False}),
    "streamed": ("npy", {"stream": "yes", "seed": 4}),
    "streamed, split": ("npy", {"stream": "yes", "split": (0.6, 0.2, 0.2)}),
    "streamed parquet": ("parquet", {"stream": "yes", "drop": ("b",), "name": "mine"}),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_was_asked_gives_the_same_bytes_again(tmp_path, variant):
    form, keywords = VARIANTS[variant]
    data = load_data(FORMS[form](tmp_path), **keywords)
    assert data.options.stream == ("yes" if data.streamed else "no")
    content = data.options.to_dict()
    assert json.loads(json.dumps(content)) == tomllib.loads(to_toml(content)) == content
    again = DataOptions.from_dict(content).load()
    assert (again.options, again.schema, again.notes) == (data.options, data.schema, data.notes)
    for one, two in zip(_parts(data), _parts(again), strict=True):
        assert one.x.dtype == two.x.dtype
        assert one.x.tobytes() == two.x.tobytes()
        assert one.index.tobytes() == two.index.tobytes()
        assert (one.label is None) == (two.label is None)
        if one.label is not None and two.label is not None:
            assert one.label.tobytes() == two.label.tobytes()


def _parts(data: Data) -> tuple:
    return data.train[:], data.validation, data.test


def test_every_form_of_file_is_there():
    """A form that `SOURCES` gains is named here, and so is one that needs files of its own."""
    from taut.data import SOURCES

    tried = {"digits", "FILE.npy", "FILE.npz[:KEY]", "FILE.mat[:KEY]", "FILE.parquet"}
    tried |= {"FILE.csv, .tsv, .txt, .data, .amat [.gz]", "a folder of PNG or JPEG images"}
    tried |= {"TRAIN,VALIDATION,TEST (three files)", "FILE.mtx [.gz]", "FILE.h5ad[:LAYER]"}
    assert {source.form for source in SOURCES} - tried == {"mnist:FOLDER", "FILE-idx3-ubyte[.gz]"}
    assert len(tried) == len(FORMS)


@pytest.mark.parametrize("form", FORMS)
def test_files_that_need_an_extra_name_it_where_it_is_not_installed(tmp_path, form, monkeypatch):
    """Tables as text and as Parquet alone need Polars."""
    source, drop = FORMS[form](tmp_path), ("kind",) if form == "csv" else ()
    wanted = load_data(source, drop=drop)
    monkeypatch.setitem(sys.modules, "polars", None)
    if form not in ("csv", "parquet"):
        found = load_data(source)
        assert found.test.x.tobytes() == wanted.test.x.tobytes()
        return
    for options in ({}, *([{"stream": "yes"}] if form == "parquet" else [])):
        with pytest.raises(InputError) as caught:
            load_data(source, drop=drop, **options)
        assert str(caught.value) == (
            f"{source}: expected Polars, which reads and writes tables, got none "
            "installed. Try `pip install 'taut[tables]'`."
        )


def test_idx_files_give_the_same_bytes_again(mnist_folder):
    for source in (f"mnist:{mnist_folder}", f"{mnist_folder}/train-images-idx3-ubyte"):
        data = load_data(source, seed=3)
        for one, two in zip(_parts(data), _parts(data.options.load()), strict=True):
            np.testing.assert_array_equal(one.index, two.index)
            np.testing.assert_array_equal(one.x, two.x)


@pytest.mark.parametrize("stream", ["yes", "no"])
def test_what_came_out_is_asked_for_again_on_another_machine(tmp_path, monkeypatch, stream):
    """`auto` is resolved: memory decides once, and a larger machine holds out the same rows."""
    from taut.data import load_streamed as module

    np.save(tmp_path / "a.npy", REAL)
    small, large = (lambda: 8), (lambda: 2**40)
    first, then = (small, large) if stream == "yes" else (large, small)
    monkeypatch.setattr(module, "_most", first)
    data = load_data(tmp_path / "a.npy")
    assert data.options.stream == stream
    monkeypatch.setattr(module, "_most", then)
    np.testing.assert_array_equal(data.options.load().test.index, data.test.index)


def test_data_in_memory_have_no_way_back(refusal):
    data = load_data(REAL, seed=3)
    assert data.source is None
    assert data.options == DataOptions(split_seed=3, stream="no")
    assert refusal(data.options.load) == (
        "data: expected data whose source has a name, got data that came in memory. Try np.save of "
        "the rows, and the file's name as the source."
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"spilt": [0.8, 0.1, 0.1]}, "the name of a data option, got 'spilt'. Try 'split'"),
        ({"standardize": "no"}, "data, standardize: expected true or false, got 'no'"),
        ({"split_seed": True}, "data, split_seed: expected a whole number, got True"),
        ({"split": ["a"]}, "data, split: expected a list, each a number, got ['a']"),
        ({"drop": "a"}, "data, drop: expected a list, each text, got 'a'"),
        ({"label": 3}, "data, label: expected text, got 3"),
        ({"missing": 3}, "data, missing: expected one of model, refuse, drop-rows, got 3"),
        ({"image_shape": [2.5]}, "data, image_shape: expected a list, each a whole number"),
        ({"binarize": "dynamik"}, "binarize: expected one of none, static, dynamic, threshold"),
        ({"stream": "maybe"}, "stream: expected one of auto, yes, no, got 'maybe'"),
        ({"support": "reel"}, "support: expected a support among binary, grey, unit, count, real"),
        ({"dtype": "float16"}, "dtype: expected float32 or float64, got float16"),
        ({"split_seed": -1}, "seed: expected a whole number from 0 to 2^64 - 1, got -1"),
    ],
)
def test_options_that_no_data_have(refusal, content, message):
    assert message in refusal(DataOptions.from_dict, content)
