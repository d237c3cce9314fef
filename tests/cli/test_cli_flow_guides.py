"""`--guide planar:8` on the command line and in `taut.fit`."""

import numpy as np
import pytest

import taut
from taut.core import InputError
from taut.guides import FlowFamily
from taut.recipe import recipe_of
from taut.transforms import Autoregressive, Inverse

TABLE = np.random.default_rng(0).normal(size=(60, 3))


def test_layers_and_their_networks_come_from_the_options():
    found = recipe_of({"guide": "iaf:4", "guide_hidden": "20,10"}).model
    assert found.to_dict()["guide"] == "iaf:4"
    assert found.to_dict()["guide_hidden"] == [20, 10]


def test_a_fit_with_a_flow_guide_is_saved_and_loaded(tmp_path):
    model = taut.VAE(latent_dim=2, hidden=(4,), guide="iaf,planar", guide_hidden=(5,))
    fitted = taut.fit(TABLE, model=model, epochs=1, evidence_particles=20, out=tmp_path / "run")
    family = fitted.pair.guide.family
    assert isinstance(family, FlowFamily)
    assert [type(layer) for layer in family.chain.layers] == [Autoregressive, Inverse]
    assert family.chain.layers[0].network.network.layers[0].bias.shape == (5,)
    loaded = taut.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.encode(TABLE), fitted.encode(TABLE))
    # No closed form: the KL has the error of its draws.
    assert fitted.estimates["kl"].side == "unbiased"
    assert fitted.estimates["kl"].mc_error > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guide": "planr:8"}, "guide: expected mean-field, .* planar:8, .* Try 'planar'"),
        ({"guide": "planar:0"}, "guide: expected planar:K with K layers"),
        ({"guide": "planar:2,full-rank"}, "guide: expected layers among .* 'full-rank'"),
        ({"guide": "iaf", "guide_hidden": "8,0"}, "guide_hidden: expected a whole number"),
        ({"model": "ladder", "guide": "iaf"}, '`guide` with model="vae"'),
        ({"model": "ladder", "guide_hidden": "8"}, '`guide_hidden` with model="vae"'),
    ],
)
def test_messages(options, message):
    with pytest.raises(InputError, match=message):
        recipe_of(options)
