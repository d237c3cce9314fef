"""Where the proposal is the posterior every w is p(x), and so is the bridge between the two, whatever is
drawn. Beside the posterior it is near, and a proposal so narrow that its own weights have no variance
costs it little."""

import numpy as np
from scipy.stats import norm

from taut.evidence import summarize
from taut.evidence.bridge import bridge

LOG_EVIDENCE = -3.2
ROWS, DRAWS = 40, 2000


def bridged(scale, seed=0):
    """Between N(0.3, scale^2), and a standard normal times p(x)."""
    generator = np.random.default_rng(seed)

    def log_w(z):
        return LOG_EVIDENCE + norm.logpdf(z) - norm.logpdf(z, 0.3 if scale != 1 else 0.0, scale)

    guide = generator.normal(0.3 if scale != 1 else 0.0, scale, (ROWS, DRAWS))
    exact = generator.normal(size=(ROWS, DRAWS))
    equal = np.zeros((ROWS, DRAWS))
    effective = np.full(ROWS, float(DRAWS))
    return bridge(log_w(guide), equal, log_w(exact), effective=effective), log_w(guide)


def test_at_the_posterior():
    found, _ = bridged(1.0)
    np.testing.assert_allclose(found.log_evidence, LOG_EVIDENCE, atol=1e-9)
    np.testing.assert_allclose(found.error, 0.0, atol=1e-7)
    np.testing.assert_allclose(found.halves, 0.0, atol=1e-9)


def test_beside_it_the_error_covers_and_is_smaller_than_that_of_importance_weights():
    found, guide_log_w = bridged(0.5)
    off = found.log_evidence - LOG_EVIDENCE
    assert abs(off.mean()) < 5 * off.std(ddof=1) / np.sqrt(ROWS)
    # Root mean square over 40 rows, whose own error is 1 / sqrt(80) of it.
    ratio = np.sqrt(np.mean((off / found.error) ** 2))
    assert abs(ratio - 1) < 5 / np.sqrt(2 * ROWS)
    own = summarize(guide_log_w).log_evidence - LOG_EVIDENCE
    assert np.sqrt(np.mean(off**2)) < 0.5 * np.sqrt(np.mean(own**2))
