"""Words for 0 and 1: columns and targets of true and false come back as their text file writes them."""

import numpy as np
import polars as pl
import pytest

from taut.data import BOOLEAN, Schema, as_written, cell_words, label_names, load_data, load_rows

RNG = np.random.default_rng(0)
SIDE = RNG.random(40) < 0.5
NUMBERS = [f"{x:.3f}" for x in RNG.normal(size=40)]


def written(folder, words, *, column="member", also=()):
    lines = [
        f"x,{column},n",
        *(f"{x},{words[int(s)]},u" for x, s in zip(NUMBERS, SIDE, strict=True)),
    ]
    path = folder / "t.csv"
    path.write_text("\n".join([*lines, *also]) + "\n")
    return str(path)


@pytest.mark.parametrize("words", [("false", "true"), ("False", "True"), ("FALSE", "TRUE")])
def test_a_column_is_written_with_its_own_words(tmp_path, words):
    data = load_data(written(tmp_path, words, also=["1.5,,u"]))
    schema = Schema.from_dict(data.schema.to_dict())
    assert schema == data.schema
    kinds = schema.kinds or ()
    assert (kinds[1].kind, kinds[1].words) == ("binary", words)
    cells = as_written(np.array([[0.0, 0.0, 0.0], [0.0, 0.8, 0.0], [0.0, np.nan, 0.0]]), kinds)[1]
    assert cells == [*((False, True) if words == BOOLEAN else words), None]  # alike in a text file
    assert cell_words(schema, 1, 1.0) == f"'{words[1]}'"
    frame = pl.DataFrame({"x": [0.5], "member": [True], "n": ["u"]})
    assert load_rows(frame, schema).x[0, 1] == 1


def test_one_word_alone_is_a_constant_in_its_own_words(tmp_path):
    schema = load_data(written(tmp_path, ("True", "True"))).schema
    assert as_written(np.ones((1, 3)) * [[0, 1, 0]], schema.kinds or ())[1] == ["True"]


def test_words_say_nothing_of_what_rows_may_be(tmp_path):
    by_word, by_number = (load_data(written(tmp_path, w)).schema for w in (("false", "true"), "01"))
    assert by_word == by_number
    assert "words" not in by_number.to_dict()["kinds"][1]
    assert "class_words" not in by_number.to_dict()


@pytest.mark.parametrize("role", ["label", "column"])
def test_classes_have_the_words_of_their_source(tmp_path, role):
    source = written(tmp_path, ("False", "True"))
    data = load_data(source, target="member", target_as=role)
    assert data.schema.classes == ("0", "1")
    assert Schema.from_dict(data.schema.to_dict()).class_names == ("False", "True")
    if role == "label":
        shown = label_names(data.test)
        assert shown == [("False", "True")[int(SIDE[i])] for i in data.test.index]


def test_a_number_that_the_type_does_not_hold_says_what_may_be_chosen_at_a_fit(tmp_path, refusal):
    path = tmp_path / "t.csv"
    path.write_text(
        "n,u\n" + "".join(f"{16777217 + 2 * (i % 9)},{'ab'[i % 2]}\n" for i in range(40))
    )
    message = refusal(load_data, str(path))
    assert "expected a number that float32 holds, got 16777217" in message
    assert message.endswith('Try precision="float64", or drop=("n",).')
    precise = load_data(str(path), dtype="float64")
    few = load_data(pl.DataFrame({"n": [5, 3] * 20, "u": ["a", "b"] * 20}))
    message = refusal(load_rows, str(path), few.schema)
    assert message.endswith("Try the kind of values that the column had at the fit.")
    assert precise.schema.kinds is not None
