"""Schemas: JSON and back, and what they refuse."""

import json
from dataclasses import replace

import numpy as np
import pytest

from taut.data import Schema

TABLE = Schema(
    name="t",
    kind="table",
    shape=(2,),
    support="real",
    columns=("a", "b"),
    shift=(0.1, 1e300),
    scale=(1 / 3, 1.0),
    label_name="y",
    classes=("no", "yes"),
)
IMAGE = Schema(name="i", kind="image", shape=(8, 8), support="binary", levels=17, binarize="static")


@pytest.mark.parametrize("schema", [TABLE, IMAGE])
def test_json_and_back(schema):
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


def test_shift_and_scale_broadcast_against_rows():
    shift, scale = TABLE.shift_scale()
    np.testing.assert_array_equal(shift, [0.1, 1e300])
    np.testing.assert_array_equal(scale, [1 / 3, 1.0])
    shift, scale = IMAGE.shift_scale()
    np.testing.assert_array_equal((np.ones((5, 8, 8)) - shift) / scale, np.ones((5, 8, 8)))


def test_size():
    assert (TABLE.size, IMAGE.size) == (2, 64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (2, 2)}, "schema, shape: expected (D,) for a table"),
        ({"shape": (0,)}, "got (0,) for a table"),
        ({"support": "grey"}, "expected two or more levels for grey values, got None"),
        ({"columns": ("a",)}, "schema, columns: expected 2 entries"),
        ({"shift": (1.0,)}, "schema, shift: expected 2 entries"),
        ({"scale": (1.0, 0.0)}, "schema, scale: expected positive finite numbers, got 0.0"),
        ({"dtype": "float16"}, "one of float32, float64, got 'float16'"),
    ],
)
def test_fields_that_contradict_each_other(refusal, change, message):
    assert message in refusal(replace, TABLE, **change)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("kind", "imge", "schema, kind: expected one of image, table, got 'imge'. Try 'image'."),
        ("support", "gray", "got 'gray'. Try 'grey'."),
        ("binarize", "statik", "got 'statik'. Try 'static'."),
        ("colour", "red", "schema: expected the fields of a schema, got 'colour'."),
    ],
)
def test_content_that_is_no_schema(refusal, field, value, message):
    assert message in refusal(Schema.from_dict, {**TABLE.to_dict(), field: value})


def test_missing_field(refusal):
    content = TABLE.to_dict()
    del content["support"]
    assert refusal(Schema.from_dict, content) == (
        "schema: expected the field 'support', got none. Try saving the schema again."
    )
