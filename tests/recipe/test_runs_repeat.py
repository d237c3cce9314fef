"""A run is repeated by its config.toml and goes on after it was stopped, to the same bytes.

Over all architectures and all inferences that serve them: each is made in Python and on the command
line, repeated by its config and resumed on the command line.
"""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import taut
from taut.architectures import ARCHITECTURES
from taut.cli.main import main
from taut.core import InputError
from taut.data import Schema
from taut.inference import INFERENCES, AbstractExact
from taut.recipe import recipe_from, recipe_of
from taut.runs import read_toml
from taut.training import loop

SMALL = {
    "vae": {"latent_dim": 2, "hidden": (3,)},
    "flow": {"layers": "dequantize,logit,affine-coupling:2", "hidden": (3,)},
    "ladder": {"latent_dims": (2, 1), "hidden": (3, 2)},
    "discrete": {"latents": "bernoulli:3"},
    "mixture-vae": {"components": 2, "latent_dim": 1, "hidden": (3,)},
    "vq": {"latents": "2x3", "code_dim": 2, "hidden": (3,)},
    "gmm": {"components": 2},
    "lca": {"components": 2},
    "mixed": {"components": 2},
    "ppca": {"components": 1},
    "fa": {"components": 1},
}
OF_INFERENCE = {
    "variational-em": {"m_steps": 2},
    "semi-amortized": {"refine_steps": 2},
    "per-datum": {"unseen_row_steps": 3},
    "em": {"restarts": 2, "max_iterations": 5},
    "online-em": {"restarts": 1, "em_batch_size": 20, "max_iterations": 5},
}
# What only the first step of the gradient shows.
REFUSED = {
    ("flow", "wake-sleep"): "a guide that draws at random in every layer",
    ("discrete", "semi-amortized"): "a guide whose draws are differentiable",
}
TRAINING = {
    "epochs": 3, "batch_size": 16, "checkpoint_every": 2, "validate_every": 2, "ema": 0.9,
    "clip_norm": 1.0, "evidence_particles": 4,
}  # fmt: skip


def _served() -> list[tuple[str, str]]:
    """The pairs that the inferences themselves say they serve."""
    found = []
    for model, small in SMALL.items():
        schema = Schema(name="rows", kind="table", shape=(4,), support=_support(model))
        for name in INFERENCES:
            recipe = recipe_of({"model": model, "inference": name, **small})
            inference: Any = recipe.inference
            try:
                inference.check(recipe.model, recipe.bound, None)
                if not isinstance(inference, AbstractExact):
                    eqx.filter_eval_shape(_pair, recipe.model, schema, inference)
            except InputError:
                continue
            found.append((model, name))
    return found


def _pair(model: Any, schema: Schema, inference: Any) -> Any:
    pair = model.init(schema, jax.random.key(0))
    return inference.pair(pair, jnp.arange(5), jax.random.key(1))


def _support(model: str) -> Any:
    return "real" if model in ("gmm", "mixed", "ppca", "fa") else "binary"


SERVED = _served()
# Each architecture by its own inference, and each inference on the architecture that it serves first:
# the other pairs meet no line of the loop, the archive or the recipe that these do not.
TRIED = [
    pair
    for i, pair in enumerate(SERVED)
    if pair[1] == ARCHITECTURES[pair[0]].default_inference
    or pair[1] not in {inference for _, inference in SERVED[:i]}
]


def test_every_architecture_and_every_inference_is_here():
    assert SMALL.keys() == ARCHITECTURES.keys()
    assert {model for model, _ in SERVED} == set(ARCHITECTURES)
    assert {inference for _, inference in SERVED} == set(INFERENCES)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Binary rows, or whole numbers as reals for the models of reals."""
    folder = tmp_path_factory.mktemp("rows")
    draw = np.random.default_rng(0)
    np.save(folder / "bits.npy", (draw.random((60, 4)) < 0.4).astype(np.float32))
    np.save(folder / "reals.npy", draw.normal(size=(60, 4)))
    return folder


def _source(folder: Path, model: str) -> str:
    return str(folder / ("reals.npy" if _support(model) == "real" else "bits.npy"))


def _options(model: str, inference: str) -> dict:
    return {
        "model": model,
        "inference": inference,
        **SMALL[model],
        **OF_INFERENCE.get(inference, {}),
    }


def _bytes(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


class Killed(BaseException):
    """What no handler of a run catches."""


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("model", "inference"), [*TRIED, *REFUSED])
def test_a_run_is_repeated_and_resumed_by_the_other_door(
    model, inference, source, tmp_path, monkeypatch
):
    exact = issubclass(INFERENCES[inference], AbstractExact)
    training = {"evidence_particles": 4} if exact else TRAINING
    options = {**_options(model, inference), **training, "split_seed": 5}
    rows = _source(source, model)
    if (model, inference) in REFUSED:
        with pytest.raises(InputError, match=REFUSED[model, inference]):
            taut.fit(rows, **options)
        return
    fitted = taut.fit(rows, key=3, out=tmp_path / "python", **options)
    config = tmp_path / "python" / "config.toml"
    assert recipe_from(read_toml(config)).to_dict() == fitted.recipe.to_dict()
    assert main(["fit", "--config", str(config), "--out", str(tmp_path / "again")]) == 0
    assert _bytes(tmp_path / "again") == _bytes(tmp_path / "python")
    assert read_toml(tmp_path / "again" / "config.toml") == read_toml(config)
    loaded = taut.load(tmp_path / "again")
    assert {n: str(e) for n, e in loaded.estimates.items()} == {
        n: str(e) for n, e in fitted.estimates.items()
    }
    np.testing.assert_array_equal(loaded.sample(3), fitted.sample(3))
    if issubclass(INFERENCES[inference], AbstractExact):
        return  # no checkpoints: it is repeated from the start

    judged, count = loop._judged, [0]

    def killed(*arguments):
        count[0] += 1
        if count[0] == 3:
            raise Killed
        return judged(*arguments)

    monkeypatch.setattr(loop, "_judged", killed)
    with pytest.raises(Killed):
        taut.fit(rows, key=3, out=tmp_path / "stopped", **options)
    monkeypatch.setattr(loop, "_judged", judged)
    assert main(["resume", str(tmp_path / "stopped")]) == 0
    assert _bytes(tmp_path / "stopped") == _bytes(tmp_path / "python")
