"""A VAE and a flow as estimators: what they give is what the fit behind them says."""

import copy
import pickle

import numpy as np
import pytest

from taut.sklearn import VAE, Flow

GENERATOR = np.random.default_rng(0)
# Numbers with one decimal, so that the fit looks at what rounding leaves of a bound.
REAL_ROWS = GENERATOR.normal(size=(80, 2)) * [1.0, 0.5] + [2.0, 0.0]
ROWS = np.round(REAL_ROWS, 1)


@pytest.fixture(scope="module")
def vae() -> VAE:
    return VAE(1, hidden=(4,), max_epochs=20, precision="float64", random_state=0).fit(ROWS)


@pytest.fixture(scope="module")
def flow() -> Flow:
    estimator = Flow("affine-coupling:2", hidden=(8,), max_epochs=20, random_state=0)
    return estimator.fit(REAL_ROWS)


def test_latents_and_rows_are_those_of_the_fit(vae):
    latents = vae.transform(ROWS)
    np.testing.assert_allclose(latents, vae.fit_.encode(ROWS), rtol=1e-9)
    np.testing.assert_allclose(vae.inverse_transform(latents), vae.fit_.decode(latents), rtol=1e-9)
    assert vae.get_feature_names_out().tolist() == ["vae0"]


def test_scores_are_estimates_of_the_evidence_and_belong_to_the_row(vae):
    exact = vae.fit_.evidence(ROWS, num_particles=5000)
    found = vae.score_samples(ROWS)
    assert np.mean(found) == pytest.approx(exact.value, abs=0.05)
    np.testing.assert_allclose(vae.score_samples(ROWS[7:8]), found[7:8], rtol=1e-9)


def test_draws_are_of_the_seed(vae):
    made = copy.copy(vae)
    first, again = made.sample(3), made.sample(3)
    np.testing.assert_array_equal(again, first)
    assert not np.array_equal(made.set_params(random_state=1).sample(3), first)


def test_a_flow_is_a_density(flow):
    side = np.linspace(-6, 6, 121)
    grid = np.stack(np.meshgrid(side + 2, side), axis=-1).reshape(-1, 2)
    assert np.exp(flow.score_samples(grid)).sum() * 0.1**2 == pytest.approx(1, abs=5e-3)
    back = flow.inverse_transform(flow.transform(REAL_ROWS))
    np.testing.assert_allclose(back, REAL_ROWS, atol=1e-4)


WISHES = {
    "n_components": (3, "model.latent_dim"), "hidden": ((5,), "model.hidden"),
    "prior": ("mixture:3", "model.prior"), "guide": ("full-rank", "model.guide"),
    "likelihood": ("gaussian", "model.likelihood"), "bound": ("iwae", "bound.name"),
    "layers": ("affine-coupling:3", "model.layers"),
    "learning_rate": (0.25, "training.learning_rate"), "max_epochs": (7, "training.epochs"),
    "batch_size": (11, "training.batch_size"), "patience": (5, "training.patience"),
    "precision": ("float64", "training.precision"), "validation_fraction": (0.25, "validation"),
    "random_state": (9, "seed"),
}  # fmt: skip


@pytest.mark.parametrize("estimator", [VAE, Flow])
def test_rows_that_decide_when_to_stop_are_not_trained_on(estimator, monkeypatch):
    seen = {}

    def fitted(recipe, data, **_):
        seen.update({name: getattr(data, name)[:].x for name in ("train", "validation")})
        raise ZeroDivisionError

    monkeypatch.setattr("taut.sklearn.amortized.fit_amortized", fitted)
    with pytest.raises(ZeroDivisionError):
        estimator(validation_fraction=0.25).fit(REAL_ROWS)
    assert (len(seen["train"]), len(seen["validation"])) == (60, 20)
    together = np.concatenate([seen["train"], seen["validation"]])
    np.testing.assert_allclose(np.sort(together, axis=0), np.sort(REAL_ROWS, axis=0), rtol=1e-6)


@pytest.mark.parametrize("estimator", [VAE, Flow])
def test_every_parameter_arrives(estimator, monkeypatch):
    class Called(Exception):
        pass

    def fitted(x, recipe, **given):
        raise Called({"recipe": recipe, **given})

    def arrived(place, wish):
        with pytest.raises(Called) as raised:
            estimator(**wish).fit(REAL_ROWS)
        found = raised.value.args[0]
        if "." not in place:
            return found[place]
        table, name = place.split(".")
        return getattr(getattr(found["recipe"], table), name)

    monkeypatch.setattr("taut.sklearn.trained.fitted_by_batches", fitted)
    names = set(estimator().get_params()) - {"draws"}  # which are of scores
    assert names <= set(WISHES)
    for name in names:
        wish, place = WISHES[name]
        found = arrived(place, {name: wish, "random_state": 0} | {name: wish})
        assert found == wish, name
        assert arrived(place, {"random_state": 0}) != wish, name  # unlike its default


def test_networks_are_kept_in_pickles(vae):
    again = pickle.loads(pickle.dumps(vae))
    np.testing.assert_array_equal(again.transform(ROWS), vae.transform(ROWS))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (VAE(0), "VAE, n_components: expected a whole number of at least 1"),
        (
            VAE(validation_fraction=0.9),
            "validation_fraction: expected a number above 0 and at most",
        ),
        (VAE(likelihood="gausian"), "likelihood: expected the name of a likelihood"),
        (Flow("coupling"), "layers: expected"),
        (VAE(hidden=(0,)), "hidden: expected"),
    ],
)
def test_messages_of_networks_name_the_parameter(estimator, message):
    with pytest.raises(ValueError, match=message):
        estimator.fit(ROWS)
