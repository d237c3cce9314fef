"""Laws of L-BFGS on functions whose maximum is known."""

import numpy as np
import pytest

from taut.core.lbfgs import lbfgs


def test_the_valley_of_rosenbrock_is_walked_to_its_end():
    def negative(x):
        a, b = x
        value = (1 - a) ** 2 + 100 * (b - a**2) ** 2
        return -value, np.array([2 * (1 - a) + 400 * a * (b - a**2), -200 * (b - a**2)])

    found = lbfgs(negative, np.array([-1.2, 1.0]), tolerance=1e-12, max_steps=200)
    assert found.converged
    np.testing.assert_allclose(found.point, 1.0, atol=1e-5)
    assert found.first == pytest.approx(-24.2)
    assert not lbfgs(negative, np.array([-1.2, 1.0]), tolerance=1e-12, max_steps=10).converged


def test_a_step_out_of_the_domain_is_shortened():
    """log x - x, whose maximum is at 1; the first steps from 30 double until one ends below 0."""
    outside = []

    def gamma(x):
        if x[0] <= 0:
            outside.append(x[0])
            return -np.inf, np.zeros(1)
        return np.log(x[0]) - x[0], 1 / x - 1

    found = lbfgs(gamma, np.array([30.0]), tolerance=1e-12, max_steps=100)
    assert outside
    assert found.converged
    np.testing.assert_allclose(found.point, 1.0, atol=1e-5)
