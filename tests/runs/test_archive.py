"""Fitted pairs and run folders on disk."""

import json
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.stats import nbinom

from taut.architectures import ARCHITECTURES, RENAMED, VAE, name_today
from taut.core import Datum, Estimate, InputError, write_atomically
from taut.data import Schema
from taut.models import StandardNormal
from taut.networks import MLP
from taut.runs import FORMAT, RunFolder, load_pair, save_pair, to_toml

SCHEMA = Schema(
    name="t", kind="table", shape=(3,), support="real", shift=(1.0, 2.0, 3.0), scale=(1.0, 0.5, 2.0)
)
ARCHITECTURE = VAE(latent_dim=2, hidden=(4,), likelihood="gaussian", guide="full-rank")


def _same(a, b):
    leaves = [jax.tree.leaves(eqx.filter(t, eqx.is_array)) for t in (a, b)]
    return all(np.array_equal(x, y) for x, y in zip(*leaves, strict=True))


def _as_an_older_one(folder, **changes):
    """model.json in the format before files held checksums, with changes."""
    path = folder / "model.json"
    content = {**json.loads(path.read_text()), "format": 2, **changes}
    path.write_text(json.dumps({k: v for k, v in content.items() if k != "sha256"}))


def test_a_pair_comes_back_as_it_was(tmp_path):
    pair = ARCHITECTURE.init(SCHEMA, jax.random.key(3))
    save_pair(tmp_path, pair, ARCHITECTURE, SCHEMA)
    loaded, architecture, schema = load_pair(tmp_path)
    assert _same(pair, loaded)
    assert jax.tree.structure(pair) == jax.tree.structure(loaded)
    assert (architecture, schema) == (ARCHITECTURE, SCHEMA)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.json", "model.safetensors"]


def test_float64_comes_back_as_float64(tmp_path):
    with jax.enable_x64(True):
        pair = ARCHITECTURE.init(SCHEMA, jax.random.key(3))
        save_pair(tmp_path, pair, ARCHITECTURE, SCHEMA)
    loaded, _, _ = load_pair(tmp_path)
    assert {leaf.dtype for leaf in jax.tree.leaves(loaded) if hasattr(leaf, "dtype")} == {
        np.dtype("float64")
    }


@pytest.mark.parametrize("older", RENAMED)
def test_an_architecture_under_its_older_name_comes_back(older, tmp_path):
    architecture = ARCHITECTURES[RENAMED[older]]()
    pair = architecture.init(SCHEMA, jax.random.key(3))
    save_pair(tmp_path, pair, architecture, SCHEMA)
    content = json.loads((tmp_path / "model.json").read_text())
    _as_an_older_one(tmp_path, architecture={**content["architecture"], "name": older})
    loaded, found, _ = load_pair(tmp_path)
    assert _same(pair, loaded)
    assert type(found) is type(architecture)
    assert name_today(older, ARCHITECTURES[older]().to_dict()) == older  # another one by now


def test_parts_that_a_user_wrote_must_be_brought_again(tmp_path):
    mine = replace(
        ARCHITECTURE, encoder=MLP(3, (5,), 5, key=jax.random.key(9)), prior=StandardNormal(2)
    )
    pair = mine.init(SCHEMA, jax.random.key(3))
    save_pair(tmp_path, pair, mine, SCHEMA)
    assert "taut.networks.mlp.MLP" in (tmp_path / "model.json").read_text()
    with pytest.raises(InputError, match=r"which a user wrote\. Try `taut.load\(path, like="):
        load_pair(tmp_path)
    assert _same(pair, load_pair(tmp_path, like=mine)[0])
    with pytest.raises(InputError, match=r"Try `like=` with the architecture that was fitted"):
        load_pair(tmp_path, like=replace(mine, hidden=(4, 4)))
    with pytest.raises(InputError, match=r"of shape .*got .*Try `like=`"):
        load_pair(tmp_path, like=replace(mine, hidden=(6,)))


def test_damaged_and_newer_files_are_refused_in_one_line(tmp_path):
    save_pair(tmp_path, ARCHITECTURE.init(SCHEMA, jax.random.key(3)), ARCHITECTURE, SCHEMA)
    structure = tmp_path / "model.json"
    content = json.loads(structure.read_text())

    structure.write_text(json.dumps({**content, "format": FORMAT + 1}))
    with pytest.raises(
        InputError, match=rf"expected format {FORMAT} or older.*pip install -U taut"
    ):
        load_pair(tmp_path)
    structure.write_text(json.dumps({**content, "num_rows": 1}))
    with pytest.raises(InputError, match=r"model.json: .* its checksum does not hold\. Try"):
        load_pair(tmp_path)
    _as_an_older_one(tmp_path, architecture={"name": "vea"})
    with pytest.raises(InputError, match=r"got 'vea'. Try 'vae'"):
        load_pair(tmp_path)
    _as_an_older_one(tmp_path, format=FORMAT)
    with pytest.raises(InputError, match=r"model.json: .* it has no checksum\. Try"):
        load_pair(tmp_path)
    structure.write_text("{")
    with pytest.raises(InputError, match=r"model.json: expected the model.json that taut wrote"):
        load_pair(tmp_path)
    structure.write_text(json.dumps(content))
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    with pytest.raises(
        InputError, match=r"expected the model.safetensors that taut wrote, got .* damaged"
    ):
        load_pair(tmp_path)
    weights.unlink()
    with pytest.raises(InputError, match=r"expected model.safetensors, got none"):
        load_pair(tmp_path)
    structure.unlink()
    with pytest.raises(InputError, match=r"Try fitting first, with out=\"RUN\""):
        load_pair(tmp_path)


def test_a_failed_write_leaves_the_older_file(tmp_path):
    path = tmp_path / "f"
    write_atomically(path, lambda file: file.write(b"old"))

    def fail(file):
        file.write(b"half of the new")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_run_folder_round_trip(tmp_path):
    settings = {"data": 'a "quoted" name\\é', "epochs": 3, "beta": 0.5, "hidden": [2, 3], "x": None}
    run = RunFolder.create(tmp_path / "r", settings)
    run.append_steps(0, {"bound": np.array([-3.0, -2.0])}, None)
    looked = Estimate.from_rows([1.0, 2.0], side="lower", mc_errors=0.1)
    run.append_steps(2, {"bound": np.array([-1.0])}, looked)
    estimates = {"elbo": Estimate.from_rows([1.0, -np.inf], side="lower", index=[4, 7])}
    run.write_summary(estimates, {"steps": 3})

    again = RunFolder.open(tmp_path / "r")
    assert again.read_config() == {
        "data": 'a "quoted" name\\é', "epochs": 3, "beta": 0.5, "hidden": [2, 3],
    }  # fmt: skip
    lines = again.read_steps()
    assert [line["step"] for line in lines] == [0, 1, 2]
    assert lines[2]["validation"]["mc_error"] == pytest.approx(looked.mc_error)
    found, facts = again.read_summary()
    assert facts == {"steps": 3}
    assert found["elbo"].value == -np.inf
    np.testing.assert_array_equal(found["elbo"].index, [4, 7])


def test_run_folders_are_not_overwritten(tmp_path):
    run = RunFolder.create(tmp_path / "r", {"data": "digits"})
    run.append_steps(0, {"bound": np.array([0.0])}, None)
    with pytest.raises(
        InputError, match=r"got one that holds a run. Try another `out`, or force=True"
    ):
        RunFolder.create(run.path, {})
    fresh = RunFolder.create(run.path, {"data": "other"}, force=True)
    assert fresh.read_steps() == []
    assert fresh.read_config() == {"data": "other"}
    assert [path.name for path in tmp_path.iterdir()] == ["r"]

    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"got a folder with other files"):
        RunFolder.create(other, {}, force=True)
    assert (other / "thesis.tex").read_text() == "mine"
    with pytest.raises(InputError, match=r"expected a folder, got a file"):
        RunFolder.create(other / "thesis.tex", {})
    with pytest.raises(
        InputError, match=r"expected a run folder, got a folder without config.toml"
    ):
        RunFolder.open(other)
    with pytest.raises(InputError, match=r"got nothing there"):
        RunFolder.open(tmp_path / "absent")


def test_what_is_not_tauts_own_stays(tmp_path):
    """Whatever is replaced."""
    run = RunFolder.create(tmp_path / "r", {"data": "digits"})
    run.append_steps(0, {"bound": np.array([0.0])}, None)
    run.write_summary({"elbo": Estimate.from_rows([1.0], side="lower")}, {})
    run.checkpoints.mkdir()
    theirs = [run.path / "notes.txt", run.figures / "mine.png", run.checkpoints / "mine.txt"]
    ours = [run.figures / "samples.png", run.checkpoints / "step-000000001.safetensors"]
    for path in (*theirs, *ours):
        path.write_text("content")
    with RunFolder.for_writing(run.path, force=True):
        fresh = RunFolder.create(run.path, {"data": "other"}, force=True)
        fresh.write_summary({"elbo": Estimate.from_rows([2.0], side="lower")}, {})
    assert run.read_steps() == []
    assert run.read_config() == {"data": "other"}
    assert [path.exists() for path in theirs] == [True] * 3
    assert [path.exists() for path in ours] == [False] * 2
    run.discard()
    assert sorted(path for path in run.path.rglob("*") if path.is_file()) == sorted(theirs)


def test_an_unfinished_run_says_so(tmp_path):
    run = RunFolder.create(tmp_path / "r", {})
    run.append_steps(0, {"bound": np.array([0.0])}, None)
    with pytest.raises(InputError, match=r"expected a finished run, got no summary.json"):
        run.read_summary()


def test_toml_is_read_back_by_the_standard_library():
    import tomllib

    settings = {"a": "tab\there", "b": 1e-3, "c": True, "d": [1, 2], "e": float("inf"), "n": 7}
    assert tomllib.loads(to_toml(settings)) == settings


def test_counts_of_an_older_file_come_back(tmp_path):
    """Arrays that taut 0.1 named otherwise or did not have; the density by SciPy, as it was then."""
    schema = Schema(name="t", kind="table", shape=(2,), support="count")
    architecture = VAE(latent_dim=1, hidden=(3,))
    save_pair(tmp_path, architecture.init(schema, jax.random.key(0)), architecture, schema)
    path = tmp_path / "model.safetensors"
    arrays = {n: a for n, a in load_file(path).items() if "counts" not in n}
    raw = np.array([0.3, -2.0], np.float32)
    del arrays[".model.likelihood.log_inverse_dispersion"]
    save_file({**arrays, ".model.likelihood.inverse_dispersion.raw": raw}, path)
    _as_an_older_one(tmp_path)
    pair, _, _ = load_pair(tmp_path)
    r, x = 1e-3 + np.log1p(np.exp(raw)), jnp.array([2.0, 0.0])
    found = pair.model.likelihood.log_prob(x, jnp.zeros((1, 2)))
    np.testing.assert_allclose(found, nbinom.logpmf(x, r, r / (r + 1)).sum(), rtol=1e-5)
    np.testing.assert_allclose(pair.guide.read(Datum(x)), np.log1p(x), rtol=1e-6)


def test_an_encoder_of_an_older_file_reads_whole_numbers_that_came_as_floats_as_they_are(tmp_path):
    architecture = replace(ARCHITECTURE, likelihood="poisson", guide="mean-field")
    pair = architecture.init(SCHEMA, jax.random.key(0))
    save_pair(tmp_path, pair, architecture, SCHEMA)
    x = jnp.array([2.0, 0.0, 5.0])
    np.testing.assert_allclose(load_pair(tmp_path)[0].guide.read(Datum(x)), np.log1p(x), rtol=1e-6)
    path = tmp_path / "model.safetensors"
    save_file({n: a for n, a in load_file(path).items() if "counts" not in n}, path)
    _as_an_older_one(tmp_path)
    np.testing.assert_array_equal(load_pair(tmp_path)[0].guide.read(Datum(x)), x)


def test_a_full_rank_guide_of_an_older_file_is_what_it_was(tmp_path):
    """L below its diagonal was a feature as it is, and is when the fit is saved again."""
    pair = ARCHITECTURE.init(SCHEMA, jax.random.key(0))
    save_pair(tmp_path, pair, ARCHITECTURE, SCHEMA)
    _as_an_older_one(tmp_path, format=1)
    older, architecture, schema = load_pair(tmp_path)
    save_pair(tmp_path, older, architecture, schema)
    features = jnp.array([0.0, 0.0, 0.7, -0.2, 0.3])
    for loaded in (older, load_pair(tmp_path)[0]):
        tril = loaded.guide.family(features).scale_tril
        np.testing.assert_allclose(tril, [[np.exp(0.7), 0], [0.3, np.exp(-0.2)]], rtol=1e-6)
    tril = pair.guide.family(features).scale_tril
    np.testing.assert_allclose(tril[1, 0], 0.3 / 2 * np.exp(-0.2), rtol=1e-6)
