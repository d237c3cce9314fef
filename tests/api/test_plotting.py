"""`fit.plot` and `posterior.plot`: the very figures of a run folder, in memory."""

from pathlib import Path

import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import taut
from taut.core import InputError
from taut.report.draw_em import draw_em
from taut.report.draw_fit import FIGURES, draw_fit
from taut.report.draw_posterior import draw_posterior
from taut.report.picture import Picture

X = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def data() -> taut.Data:
    return taut.load_data(X)


@pytest.fixture(scope="module")
def fit(data: taut.Data) -> taut.Fit:
    return taut.fit(data, latent_dim=1, hidden=(4,), epochs=1, evidence_particles=2)


def test_figures_of_a_fit_are_those_of_its_folder(fit: taut.Fit, data: taut.Data, tmp_path: Path):
    draw_fit(fit, data, tmp_path)
    for name in FIGURES:
        method = getattr(fit.plot, name.replace("-", "_"))
        found = method() if name == "learning-curves" else method(data)
        assert found.png == (tmp_path / f"{name}.png").read_bytes()


def test_figures_of_em_are_those_of_its_folder(tmp_path: Path):
    fit = taut.em(X, components=(1, 2), max_iterations=3, restarts=1)
    draw_em(fit, tmp_path)
    for name in ("evidence", "selection"):
        assert getattr(fit.plot, name)().png == (tmp_path / f"{name}.png").read_bytes()


def test_figures_of_a_posterior_are_those_of_its_folder(tmp_path: Path):
    posterior = taut.infer(lambda: numpyro.sample("z", dist.Normal(0, 1)), num_draws=100)
    draw_posterior(posterior, tmp_path)
    for name in ("pairs", "bound", "khat"):
        assert getattr(posterior.plot, name)().png == (tmp_path / f"{name}.png").read_bytes()


def test_rows_of_a_fit_by_name_are_loaded_again(tmp_path: Path):
    path = tmp_path / "rows.csv"
    np.savetxt(path, X, delimiter=",", header="a,b", comments="")
    named = taut.fit(path, latent_dim=1, hidden=(4,), epochs=1, evidence_particles=2)
    assert named.plot.latents().png == named.plot.latents(taut.load_data(path)).png
    np.savetxt(path, X + 1, delimiter=",", header="a,b", comments="")
    with pytest.raises(InputError, match=r"plot\.latents: expected the data .* has changed since"):
        named.plot.latents()


def test_what_a_fit_has_nothing_for_is_refused(fit: taut.Fit, data: taut.Data):
    with pytest.raises(InputError, match=r"plot\.samples: .*got none, as they came in memory"):
        fit.plot.samples()
    with pytest.raises(
        InputError, match=r"plot\.samples, data: expected the data that were fitted"
    ):
        fit.plot.samples(taut.load_data(X[:, :1]))
    with pytest.raises(InputError, match="expected a fit by EM, got one by steps"):
        fit.plot.evidence()
    by_em = taut.em(X, components=1, max_iterations=1, restarts=1)
    with pytest.raises(InputError, match="several numbers of components"):
        by_em.plot.selection()
    with pytest.raises(InputError, match=r"plot\.learning_curves: .*got a fit by EM"):
        by_em.plot.learning_curves()
    flow = taut.fit(data, model="flow", layers="affine-coupling:1", hidden=(4,), epochs=1)
    with pytest.raises(InputError, match=r"plot\.reconstructions: .*got an exact flow"):
        flow.plot.reconstructions(data)


def test_a_picture_is_shown_and_saved(fit: taut.Fit, tmp_path: Path):
    picture = fit.plot.learning_curves()
    assert picture._repr_png_() == picture.save(tmp_path / "curves.png").read_bytes()
    assert picture.png[:4] == b"\x89PNG"
    assert f"{picture!r}".startswith("Picture(1280 x 840 pixels")
    assert Picture(picture.png).size == (1280, 840)


def test_a_prompt_tells_which_figures_there_are(fit: taut.Fit):
    assert ".samples()" in repr(fit.plot)
    assert "_" not in repr(fit.plot).replace("learning_curves", "")
