"""On rows that the model made: lower end <= log p(x) <= upper end, in expectation over draws.

The evidence is that of a linear-Gaussian model, by SciPy. On rows of a data set the upper end is what
simulated rows say of the gap, and there is none where the rows are harder than those.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy.stats import multivariate_normal

from taut.core import CALIBRATED, Pair
from taut.evidence import Annealed, calibrated, sandwich, simulated
from taut.models import ProbabilisticPCA

LOADINGS = np.array([[1.0, 0.3], [-0.5, 0.8], [0.2, -1.1], [0.4, 0.4]], np.float32)
OPTIONS = Annealed(num_particles=200, temperatures=5)


class Beside(eqx.Module):
    """The posterior's mean and a multiple of its scales, without its correlations."""

    model: Any
    widen: Any

    def __call__(self, datum):
        exact = self.model.posterior(datum)
        return dist.Normal(exact.mean + 0.2, self.widen * jnp.sqrt(exact.variance)).to_event(1)


def pair(*, widen=1.3):
    model = ProbabilisticPCA(
        center=jnp.zeros(4), loadings=jnp.asarray(LOADINGS), log_variance=jnp.asarray(-1.5)
    )
    return Pair(model, Beside(model, jnp.asarray(widen)))


def known(rows):
    covariance = LOADINGS @ LOADINGS.T + np.exp(-1.5) * np.eye(4)
    return multivariate_normal(np.zeros(4), covariance).logpdf(np.asarray(rows.x))


@pytest.fixture(scope="module")
def found():
    like = simulated(pair().model, _anything(), 1, key=jax.random.key(9)).rows
    made = simulated(pair().model, like, 128, key=jax.random.key(0))
    return made.rows, sandwich(pair(), made, OPTIONS, key=jax.random.key(1))


def _anything():
    from taut.core import Datum

    return Datum(jnp.zeros((1, 4)))


def off(ends, rows):
    """Mean of an end minus the evidence, and its standard error over rows."""
    gap = ends.values - known(rows)
    return gap.mean(), gap.std(ddof=1) / np.sqrt(len(gap))


def test_both_ends_hold_it(found):
    rows, ends = found
    (low, low_error), (high, high_error) = off(ends.log_evidence, rows), off(ends.upper, rows)
    assert low < 5 * low_error
    assert high > -5 * high_error
    assert (ends.log_evidence.side, ends.upper.side) == ("lower", "upper")
    # So narrow that a tenth of a nat in either end would be seen.
    assert low + 0.1 > 5 * low_error
    assert high - 0.1 < -5 * high_error


def test_other_rows_have_a_calibrated_end_that_says_so(found):
    rows, ends = found
    real = dataclasses.replace(ends, upper=None)
    end = calibrated(real, ends).upper
    assert end is not None
    assert end.value > known(rows).mean()
    assert end.side == "none"
    assert end.words.startswith(CALIBRATED)
    gap = float(np.mean(ends.upper.values - ends.log_evidence.values))
    assert end.value > ends.log_evidence.value + gap
    # The error of the lower end lies within the bracket, at 95 % of a normal.
    more = dataclasses.replace(ends.log_evidence, mc_error=ends.log_evidence.mc_error + 1.0)
    wider = calibrated(dataclasses.replace(real, log_evidence=more), ends).upper
    assert wider is not None
    assert wider.value - end.value == pytest.approx(1.96, rel=1e-6)


@pytest.mark.parametrize("harder", ["log_w_variance", "khat", "acceptance"])
def test_harder_rows_have_none(found, harder):
    _, ends = found
    moved = getattr(ends, harder) + (-0.5 if harder == "acceptance" else 2.0)
    real = dataclasses.replace(ends, upper=None, **{harder: moved})
    shown = calibrated(real, ends)
    assert shown.upper is None
    assert "harder than simulated ones" in shown.notes[0]
    easier = dataclasses.replace(ends, upper=None, **{harder: 2 * getattr(ends, harder) - moved})
    assert calibrated(easier, ends).upper is not None
