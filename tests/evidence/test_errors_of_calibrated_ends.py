"""A calibrated end has the error of its lower end and of the gaps: it is not known without one."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from taut.core import Datum, Estimate
from taut.evidence import calibrated
from taut.evidence.bracket import Step, bracket_of
from taut.evidence.importance import COLUMNS, assembled

ROWS, SIMULATED, SETS = 50, 100, 2000
ERROR = 0.3  # of each row
ROWS_LOW = np.linspace(-8, -6, ROWS)


def evidence(low):
    columns = {name: np.zeros(len(low)) for name in COLUMNS}
    columns |= {"log_evidence": low, "log_evidence_error": np.full(len(low), ERROR)}
    return assembled(columns, Datum(jnp.zeros(len(low))), num_particles=1000)


def one(generator, spread):
    """An end that is calibrated on other draws."""
    real = evidence(ROWS_LOW + ERROR * generator.standard_normal(ROWS))
    known = evidence(np.full(SIMULATED, -7.0))
    gaps = 2.0 + spread * generator.standard_normal(SIMULATED)
    known = replace(known, upper=Estimate.from_rows(-7.0 + gaps, side="upper"))
    return calibrated(real, known)


@pytest.mark.parametrize("spread", [0.0, 0.05, 2.0])
def test_the_error_is_the_spread_over_draws(spread):
    generator = np.random.default_rng(0)
    ends = [one(generator, spread).upper for _ in range(SETS)]
    found = np.std([end.value for end in ends], ddof=1)
    claimed = np.mean([end.mc_error for end in ends])
    # The limit moves with the spread of the gaps, too: of normal ones by t^2 / (2 n) of its variance.
    assert claimed <= found * (1 + 5 / np.sqrt(2 * SETS))
    assert claimed >= found / np.sqrt(1 + 1.66**2 / (2 * SIMULATED)) * (1 - 5 / np.sqrt(2 * SETS))


def test_the_bracket_ends_at_it():
    """Its errors are within it, and do not count twice."""
    found = one(np.random.default_rng(0), 0.05)
    assert found.upper is not None
    assert bracket_of((Step("a", found),)).ends[1] == found.upper.value
