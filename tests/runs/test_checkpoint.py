"""A checkpoint that another version wrote is refused, with what to do about it."""

from typing import NamedTuple

import jax.numpy as jnp
import pytest
from jaxtyping import Array

from taut.core import InputError
from taut.runs import checkpoint, restore_checkpoint, save_checkpoint


class State(NamedTuple):
    step: Array


@pytest.mark.parametrize(
    ("written", "remedy"), [(1, "fitting anew by .*config.toml"), (9, "`pip install -U taut`")]
)
def test_a_checkpoint_of_another_format_is_refused(written, remedy, tmp_path, monkeypatch):
    state = State(jnp.asarray(3))
    with monkeypatch.context() as other:
        other.setattr(checkpoint, "_FORMAT", written)
        save_checkpoint(tmp_path / "checkpoints", state, fingerprint="x")
    with pytest.raises(InputError, match=rf"format {written}\. Try {remedy}"):
        restore_checkpoint(tmp_path / "checkpoints", state, fingerprint="x")
