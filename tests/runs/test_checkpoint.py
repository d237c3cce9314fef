"""A checkpoint that another version wrote is refused, and one of another machine told of."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array

from taut.core import InputError
from taut.core.provenance import conditions
from taut.runs import checkpoint, restore_checkpoint, save_checkpoint
from taut.runs.checkpoint import restore_state, save_state
from taut.training.schedules import at_rate, schedule


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


def test_a_state_that_is_one_array_has_no_place_to_be_named_by(tmp_path):
    folder = tmp_path / "checkpoints"
    save_state(folder, jnp.zeros(4), step=0, fingerprint="x")
    with pytest.raises(InputError, match=r"got an array of another form, by taut .*config\.toml"):
        restore_state(folder, jnp.zeros(5), fingerprint="x")


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


class Training(NamedTuple):
    step: Array
    optimizers: tuple


@pytest.mark.parametrize("clipped", [False, True])
@pytest.mark.parametrize("behind", [0, 1])
def test_a_schedule_that_counted_its_own_steps_goes_on_with_those_of_the_run(
    clipped, behind, tmp_path
):
    """Where the two numbers are the same, so that the step sizes are, too."""
    weights = jnp.ones(3)
    rate: Any = schedule("cosine", 0.1, num_steps=50)

    def state(optimizer: Any, steps: int) -> Training:
        behind_clip = optax.chain(optax.clip_by_global_norm(1.0), optimizer)
        optimizer = behind_clip if clipped else optimizer
        found: Any = optimizer.init(weights)
        for i in range(steps):
            _, found = optimizer.update(weights * i, found, weights, step=jnp.asarray(i))
        return Training(jnp.asarray(steps + behind), (found,))

    then: Any = optax.with_extra_args_support(optax.adam(rate))
    now = optax.chain(optax.adam(1.0), at_rate(rate))
    save_checkpoint(tmp_path, state(then, 7), fingerprint="x")
    like = state(now, 0)
    if behind:
        with pytest.raises(InputError, match="another form"):
            restore_checkpoint(tmp_path, like, fingerprint="x")
        return
    found = restore_checkpoint(tmp_path, like, fingerprint="x").state
    assert jax.tree.all(jax.tree.map(np.array_equal, found, state(now, 7)))
