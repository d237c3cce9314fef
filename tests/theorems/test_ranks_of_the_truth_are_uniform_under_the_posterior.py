"""A latent that made a row is one more draw from its posterior: its rank among those is uniform.

Guides that are off are told by the word for what is wrong with them; the prior as guide, whose ranks of
latents are uniform, too, by quantities that look at the row.
"""

from typing import Any

import equinox as eqx
import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from known_models import ConjugateGaussian, NormalGuide, TableModel
from scipy.stats import binomtest

from taut.audit import calibration
from taut.audit.calibration import of_ranks
from taut.core import Datum, Enumerated, InputError
from taut.evidence.simulated import simulated


class Simulating(ConjugateGaussian):
    def sample(self, z, key):
        noise = jax.random.normal(key, z.shape, z.dtype)
        return self.loading * z + self.shift + jax.numpy.exp(self.log_noise) * noise


class SimulatingTable(TableModel):
    def prior(self):
        return dist.Categorical(logits=self.prior_logits)

    def sample(self, z, key):
        return jax.random.categorical(key, self.likelihood_logits[z])


MODEL = Simulating(np.array(1.0), np.array(0.5), np.log(0.8))
SLOPE = 1 / (1 + 0.8**2)
SD = np.sqrt(1 - SLOPE)
FORM = Datum(np.zeros(1))


def found(guide, *, seed=0, rows=400, draws=30, model=MODEL, form=FORM):
    made = simulated(model, form, rows, key=jax.random.key(seed))
    return calibration(model, guide, made, key=jax.random.key(1000 + seed), num_draws=draws)


def guide(*, scale=1.0, shift=0.0, slope=SLOPE):
    """The posterior, with another scale, shifted by some of its standard deviations."""
    return NormalGuide(
        np.array(slope), np.array(-0.5 * slope + shift * SD), np.log(np.array(scale * SD))
    )


def words(calibrated):
    return {quantity.name: quantity.words for quantity in calibrated.quantities}


def test_the_posterior_is_accused_as_seldom_as_the_level_says(float64):
    """Of 100 sets of 50 rows; p-values are those of one quantity times their number."""
    whole = found(guide(), rows=5000, draws=7)
    names = [quantity.name for quantity in whole.quantities]
    ranks = np.stack([quantity.ranks for quantity in whole.quantities], axis=1).reshape(100, 50, 3)
    tested = [of_ranks(names, part, num_draws=7) for part in ranks]
    alarms = sum(not calibrated.passes for calibrated in tested)
    assert binomtest(alarms, 100, 0.05, alternative="greater").pvalue > 1e-4
    first = sum(calibrated.quantities[0].p_value <= 0.6 for calibrated in tested)
    assert binomtest(first, 100, 0.2).pvalue > 1e-4


@pytest.mark.parametrize(
    ("off", "told"),
    [
        ({"scale": 0.5**0.5}, "too narrow"),
        ({"scale": 2**0.5}, "too wide"),
        ({"shift": 0.5}, "too high"),
        ({"shift": -0.5}, "too low"),
    ],
)
def test_what_is_wrong_with_a_guide_is_said(float64, off, told):
    calibrated = found(guide(**off))
    assert words(calibrated)["z"] == told
    assert not calibrated.passes
    assert f"{told} in z" in calibrated.verdict


def test_the_prior_as_guide_fails_where_the_row_is_looked_at(float64):
    calibrated = found(NormalGuide(np.array(0.0), np.array(0.0), np.array(0.0)))
    latent, likelihood, joint = calibrated.quantities
    assert latent.passes
    assert not likelihood.passes
    assert not joint.passes
    assert "too low" in likelihood.words


def test_central_intervals_hold_the_truth_as_often_as_they_say(float64):
    right, narrow = (found(g, rows=2000).quantities[0] for g in (guide(), guide(scale=0.5)))
    for probability in (0.5, 0.9):
        inside, error = right.coverage(probability)
        assert abs(inside - probability) < 4 * error
        assert narrow.coverage(probability)[0] < probability - 4 * error


class TableGuide(eqx.Module):
    """p(z | x) of the table, tempered; enumerated, or drawn from."""

    prior_logits: Any
    likelihood_logits: Any
    power: float
    enumerates: bool = eqx.field(static=True)

    def __call__(self, datum):
        joint = (
            jax.nn.log_softmax(self.prior_logits)
            + jax.nn.log_softmax(self.likelihood_logits, axis=1)[:, datum.x]
        )
        log_q = jax.nn.log_softmax(self.power * joint)
        if self.enumerates:
            return Enumerated(jax.numpy.arange(len(log_q)), log_q)
        return dist.Categorical(logits=log_q)


@pytest.mark.parametrize("enumerates", [True, False])
def test_latents_with_ties_are_ranked_at_random_among_them(float64, enumerates):
    generator = np.random.default_rng(0)
    tables = generator.normal(size=3), 1.5 * generator.normal(size=(3, 5))
    model = SimulatingTable(*tables)
    form = Datum(np.zeros(1, np.int32))
    right, sharp = (
        found(TableGuide(*tables, power, enumerates), model=model, form=form, rows=600)
        for power in (1.0, 2.5)
    )
    assert right.passes
    assert not sharp.passes
    assert right.num_draws == (None if enumerates else 30)


@pytest.mark.parametrize(
    ("few", "said"),
    [({"rows": 49}, "at least 50 simulated rows"), ({"draws": 0}, "at least one draw")],
)
def test_too_few_rows_or_draws_are_refused(few, said):
    with pytest.raises(InputError, match=said):
        found(guide(), **few)
