"""Arrays come back from a file as they were, however they lie in memory."""

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import SafetensorError

from taut.core import Estimate
from taut.runs import RunFolder, packed, unpacked

CUBE = np.arange(24.0).reshape(2, 3, 4)
ARRAYS = {
    "rows": CUBE, "fortran": np.asfortranarray(CUBE), "transposed": CUBE.T,
    "permuted": CUBE.transpose(1, 2, 0), "sliced": CUBE[:, ::2, 1:], "reversed": CUBE[:, ::-1],
    "repeated": np.broadcast_to(np.arange(3.0), (2, 3)), "one number": np.array(2.5),
    "one row": CUBE[:1, :1].T, "none": np.zeros((0, 3)), "bool": CUBE.T > 5,
    "whole": CUBE.T.astype(np.int32), "half": np.asfortranarray(CUBE.astype(np.float16)),
    "bfloat16": np.asfortranarray(CUBE.astype(jnp.bfloat16)), "complex": CUBE.T.astype(np.complex64),
    "bfloat16 of JAX": np.asarray(jnp.asarray(CUBE[0], jnp.bfloat16)), "big-endian": CUBE.astype(">f8"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_every_layout_and_type_comes_back(name):
    array = ARRAYS[name]
    found, header = unpacked(packed({"a": array, "b": np.ones(3)}, {"note": "x"}))
    assert header.keys() == {"note", "sha256"}
    assert found.keys() == {"a", "b"}
    assert found["a"].shape == array.shape
    assert found["a"].dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found["a"].astype(complex), array.astype(complex))
    found["a"][...] = 0  # what was read is the reader's own


def test_equal_content_has_equal_bytes():
    header = {name: name.upper() for name in "quick"}
    assert len({packed({"a": CUBE, "b": CUBE[0]}, header) for _ in range(8)}) == 1


def test_a_damaged_file_is_refused():
    with pytest.raises(SafetensorError):
        unpacked(packed({"a": CUBE})[:-5])


def test_per_row_values_that_are_a_slice_come_back(tmp_path):
    run = RunFolder.create(tmp_path / "run", {}, force=False)
    values, index = np.arange(12.0).reshape(6, 2)[:, 1], np.arange(12).reshape(6, 2)[::-1, 0]
    run.write_summary({"elbo": Estimate.from_rows(values, side="lower", index=index)}, {})
    estimate = run.read_summary()[0]["elbo"]
    np.testing.assert_array_equal(estimate.values, values)
    np.testing.assert_array_equal(estimate.index, index)
