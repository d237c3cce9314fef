"""A checkpoint that another version wrote is refused, and one of another machine told of."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest
from jaxtyping import Array

from taut.core import InputError
from taut.core.provenance import conditions
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


class Older(NamedTuple):
    step: Array
    means: Array


@pytest.mark.parametrize("version", ["0.0.1", ""])
def test_a_state_of_another_form_says_who_wrote_it_and_how_to_begin_again(
    version, tmp_path, monkeypatch
):
    with monkeypatch.context() as other:
        other.setattr(checkpoint, "conditions", lambda: {"taut": version} if version else {})
        save_checkpoint(
            tmp_path / "checkpoints", Older(jnp.asarray(3), jnp.zeros(2)), fingerprint="x"
        )
    who = f"taut {version}" if version else "an older one"
    line = rf"another form of \.means, by {who}\. Try fitting anew by .*config\.toml"
    with pytest.raises(InputError, match=line):
        restore_checkpoint(tmp_path / "checkpoints", State(jnp.asarray(3)), fingerprint="x")


def test_another_machine_is_told_of(tmp_path, monkeypatch):
    before = conditions()
    state = State(jnp.asarray(3))
    save_checkpoint(tmp_path, state, fingerprint="f")
    assert restore_checkpoint(tmp_path, state, fingerprint="f").notes == ()
    now = {**before, "threads": "64", "jax": "0.99"}
    monkeypatch.setattr("taut.runs.checkpoint.conditions", lambda: now)
    (note,) = restore_checkpoint(tmp_path, state, fingerprint="f").notes
    assert note == (
        "the bytes may differ from those of a run that was never stopped, which goes on with "
        f"threads 64 ({before['threads']} before), jax 0.99 ({before['jax']} before)"
    )


def test_the_conditions_are_those_of_this_machine():
    found = conditions()
    assert found["jax"] == jax.__version__
    assert int(found["threads"]) >= 1
    assert all(isinstance(value, str) for value in found.values())
