"""Every door says in one line that memory is short, and which option would fit."""

import jax.numpy as jnp
import numpy as np
import pytest

import taut
from taut.cli.main import main
from taut.core import memory
from taut.core.compiling import forget

ROWS = np.random.default_rng(0).normal(size=(53, 3))


@pytest.fixture
def little(monkeypatch):
    forget()  # programs of other tests were compared with the memory that was free then
    monkeypatch.setattr(memory, "free_bytes", lambda: 1000)


def normal(mean, y):
    return -0.5 * mean**2 - 0.5 * jnp.sum((y - mean) ** 2)


CALLS = {
    "fit": lambda: taut.fit(ROWS, epochs=1, latent_dim=1, bound="iwae", num_particles=7),
    "em": lambda: taut.em(ROWS, model="gmm", components=2),
    "infer": lambda: taut.infer(
        normal, data={"y": ROWS[:, 0]}, support={"mean": "real"}, num_draws=3000
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_in_python(call, little):
    with pytest.raises(taut.InputError, match="no more memory at once than there is, 1000 bytes"):
        call()


def test_on_the_command_line(little, tmp_path, capsys):
    np.save(tmp_path / "rows.npy", ROWS)
    code = main(
        ["fit", str(tmp_path / "rows.npy"), "--out", str(tmp_path / "run"), "--epochs", "1"]
    )
    lines = capsys.readouterr().err.splitlines()
    assert code == 2
    assert lines[-1].startswith("taut: memory: expected no more memory at once than there is")
