"""Stages of several hosts: a signal waits for the end of one, and what host 0 kept is gone on from."""

import os
import signal
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np
import pytest

from taut.core.optimum import Optimum
from taut.runs import KeptStages, StagesByFirst
from taut.training.interrupts import deferred_interrupt

LIKE = {"x": np.zeros(0), "key": jax.random.key(0), "end": Optimum(np.zeros(2), 0.0, 0.0, 0, False)}
FOUND = {
    "x": np.arange(3.0) / 3,
    "key": jax.random.key(5),
    "end": Optimum(np.ones(2), 0.1, 0.2, 3, True),
}


def stages_in(folder: Path) -> StagesByFirst:
    kept = KeptStages(folder / "checkpoints", fingerprint="a", stop=lambda: False)
    return StagesByFirst(kept, deferred=deferred_interrupt)


def never() -> NoReturn:
    raise AssertionError("it was kept")


def bits(tree: Any) -> list[Any]:
    tree = {**tree, "key": jax.random.key_data(tree["key"])}
    return [(np.asarray(leaf).dtype, np.asarray(leaf).tolist()) for leaf in jax.tree.leaves(tree)]


def test_a_signal_ends_after_the_stage_that_is_kept(tmp_path):
    def signalled() -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return FOUND

    with pytest.raises(KeyboardInterrupt):
        stages_in(tmp_path).once(LIKE, signalled)
    found = stages_in(tmp_path).once(LIKE, never)
    assert bits(found) == bits(FOUND)
    assert isinstance(found["end"].converged, bool)


def test_a_stage_that_was_stopped_inside_goes_on_from_where_it_was_kept(tmp_path):
    stages, state = stages_in(tmp_path), {"at": np.array([1 / 3])}

    def stopped() -> NoReturn:
        assert stages.begun(lambda: state) is None
        stages.reached(lambda: state, cells=2**32)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages.once(LIKE, stopped)
    stages = stages_in(tmp_path)
    begun = []

    def goes_on() -> Any:
        begun.append(stages.begun(lambda: state))
        return FOUND

    stages.once(LIKE, goes_on)
    assert begun[0]["at"].tolist() == [1 / 3]
