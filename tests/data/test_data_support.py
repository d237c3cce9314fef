"""Supports: what values look like, and the map onto the values that a model sees."""

import numpy as np
import pytest

from taut.data import Schema, load_data, load_rows

RNG = np.random.default_rng(0)
IMAGES = (40, 3, 4)


def whole(high, dtype=np.int64, shape=IMAGES):
    array = RNG.integers(0, high + 1, size=shape).astype(dtype)
    array.flat[0] = high
    return array


def seen(array, **options):
    schema = load_data(array, **options).schema
    return schema.support, schema.levels


@pytest.mark.parametrize(
    ("array", "support", "levels"),
    [
        (whole(1), "binary", 2),
        (whole(1, np.float64), "binary", 2),
        (whole(1, bool), "binary", 2),
        (whole(1, np.uint8) * np.uint8(255), "binary", 256),
        (whole(1) * 255.0, "binary", 256),
        (whole(16), "grey", 17),
        (whole(16, np.float64), "grey", 17),
        (whole(200, np.uint8), "grey", 256),
        (whole(3, np.uint8), "grey", 256),
        (whole(200), "grey", 256),
        (whole(100), "grey", 101),
        (whole(256), "grey", 257),
        (whole(40000, np.uint16), "grey", 65536),
        (whole(70000), "real", None),
        (whole(16) - 1, "real", None),
        (whole(255) / 255, "grey", 256),
        ((whole(255) / 255).astype(np.float32), "grey", 256),
        ((whole(255) / 255).astype(np.float16), "unit", None),
        (RNG.uniform(size=IMAGES), "unit", None),
        (RNG.normal(size=IMAGES), "real", None),
    ],
)
def test_images(array, support, levels):
    assert seen(array) == (support, levels)


@pytest.mark.parametrize(
    ("array", "support", "levels"),
    [
        (whole(1, shape=(40, 3)), "binary", 2),
        (whole(1, np.float32, (40, 3)), "binary", 2),
        (whole(9, shape=(40, 3)), "count", None),
        (whole(9, np.uint8, (40, 3)), "count", None),
        (whole(9, np.float64, (40, 3)), "real", None),
        (whole(9, shape=(40, 3)) - 1, "real", None),
        (RNG.uniform(size=(40, 3)), "real", None),
    ],
)
def test_tables(array, support, levels):
    assert seen(array) == (support, levels)


@pytest.mark.parametrize(
    ("array", "wish", "levels"),
    [
        (whole(9, shape=(40, 3)), "real", None),
        (whole(9, np.float64, (40, 3)), "count", None),
        (whole(9, shape=(40, 3)), "grey", 10),
        (whole(1), "grey", 2),
        (whole(1), "binary", 2),
        (RNG.uniform(size=(40, 3)), "unit", None),
        (whole(16), "count", None),
    ],
)
def test_wishes_that_the_values_fit(array, wish, levels):
    data = load_data(array, support=wish, standardize=False)
    assert (data.schema.support, data.schema.levels) == (wish, levels)
    if levels is None:
        np.testing.assert_array_equal(data.train.x, array[data.train.index].astype(np.float32))


@pytest.mark.parametrize(
    ("array", "wish"),
    [
        (RNG.normal(size=(40, 3)), "unit"),
        (RNG.uniform(size=(40, 3)), "count"),
        (RNG.uniform(size=(40, 3)), "binary"),
        (RNG.normal(size=(40, 3)), "grey"),
    ],
)
def test_wishes_that_they_do_not(refusal, array, wish):
    message = refusal(load_data, array, support=wish)
    assert message.startswith(f"array: expected values that fit the support '{wish}', got values ")
    assert message.endswith("which read as 'real'. Try support=\"real\".")


@pytest.mark.parametrize("wish", ["gray", "categorical"])
def test_wish_that_is_no_support(refusal, wish):
    assert refusal(load_data, whole(9), support=wish).startswith(
        f"support: expected a support among binary, grey, unit, count, real, got '{wish}'. Try "
    )


def test_notes_say_what_was_assumed():
    assert load_data(whole(200)).notes == ("values go up to 200: read as 256 grey levels",)
    (note,) = load_data(whole(9, shape=(40, 3))).notes
    assert note.startswith("all values are whole numbers, none negative: read as counts")
    assert load_data(whole(16)).notes == ()
    assert load_data(whole(16, np.uint8)).notes == ()


@pytest.mark.parametrize(
    ("array", "top"),
    [(whole(16), 16), (whole(200, np.uint8), 255), (whole(40000, np.uint16), 65535)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_grey_values_are_the_nearest_to_k_over_top(array, top, dtype):
    train = load_data(array, dtype=dtype).train
    expected = (array[train.index].astype(np.float64) / top).astype(dtype)
    np.testing.assert_array_equal(train.x, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("array", [whole(16), whole(200, np.uint8), whole(40000, np.uint16)])
def test_rows_may_come_in_either_unit(array, dtype):
    data = load_data(array)
    np.testing.assert_array_equal(load_rows(array, data.schema).x[data.test.index], data.test.x)
    np.testing.assert_array_equal(load_rows(data.test.x.astype(dtype), data.schema).x, data.test.x)


def test_two_valued_rows_may_come_in_either_unit():
    array = whole(1, np.uint8)
    schema = load_data(array * np.uint8(255)).schema
    for rows in (array, array * np.uint8(255), array * 255.0, array.astype(bool)):
        np.testing.assert_array_equal(load_rows(rows, schema).x, array)


GREY = Schema(name="g", kind="image", shape=(1, 2), support="grey", levels=17)
BINARY = Schema(name="b", kind="table", shape=(2,), support="binary", levels=2)
COUNT = Schema(name="c", kind="table", shape=(2,), support="count", columns=("p", "q"))
UNIT = Schema(name="u", kind="image", shape=(1, 2), support="unit")
REAL = Schema(name="r", kind="table", shape=(2,), support="real")


@pytest.mark.parametrize(
    ("schema", "cells", "message"),
    [
        (
            GREY,
            [[[0, 16]], [[17, 3]]],
            "array, row 1, pixel (0, 0): expected a whole number from 0 to 16, or multiples of "
            "1/16 up to 1, got 17. "
            "Try values on the grid of the data that the model was fitted to.",
        ),
        (GREY, [[[0.5, 0.51]]], "array, row 0, pixel (0, 1): expected a whole number from 0 to 16"),
        (GREY, [[[3.5, 2.0]]], "array, row 0, pixel (0, 0): expected a whole number from 0 to 16"),
        (GREY, [[[1e30, 2.0]]], "array, row 0, pixel (0, 0): expected a whole number from 0 to 16"),
        (GREY, [[[-0.25, 0.5]]], "or multiples of 1/16 up to 1, got -0.25."),
        (GREY, [[[-1, 2]]], "or multiples of 1/16 up to 1, got -1."),
        (BINARY, [[0, 1], [0, 2]], "array, row 1, column 1: expected 0 or 1, got 2. Try two-v"),
        (BINARY, [[0.5, 0.5]], "expected 0 or 1, got 0.5 (1 more such cell)."),
        (BINARY, [[0.5, 0.5], [0.5, 1]], "expected 0 or 1, got 0.5 (2 more such cells)."),
        (
            COUNT,
            [[0, 1], [-1, 2]],
            "array, row 1, column 'p': expected a whole number that is not negative, got -1.",
        ),
        (COUNT, [[0, 1.5]], "column 'q': expected a whole number that is not negative, got 1.5."),
        (
            COUNT,
            [[0, 2**24 + 1]],
            "column 'q': expected a number that float32 holds, got 1.67772e+07. "
            'Try precision="float64".',
        ),
        (UNIT, [[[0.5, 1.5]]], "pixel (0, 1): expected a number from 0 to 1, got 1.5. Try scaling"),
        (REAL, [[0, 1e39]], "column 1: expected a number that float32 holds, got 1e+39."),
    ],
)
def test_values_outside_the_support(refusal, schema, cells, message):
    assert message in refusal(load_rows, np.array(cells), schema)


def test_counts_are_noted_with_the_option_that_reads_them_as_numbers():
    (note,) = (n for n in load_data(np.arange(40).reshape(20, 2)).notes if "counts" in n)
    assert "the option `support`, set to real," in note  # words for Python and the shell
