"""scikit-learn's own checks of an estimator, all of them, none expected to fail.

Those of estimators that train networks compile a program for each of a dozen shapes:
`benchmarks/scikit_checks.py` runs them, and `make sklearn-matrix` on several versions.
"""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from taut.sklearn import AnomalyDetector, FactorModel, Imputer, Mixture

# The checks fit noise, on which EM goes on for long.
ESTIMATORS = [
    # A check of weights has more columns than rows, which covariances need a floor for.
    Mixture(2, floor=0.01, n_init=1, max_iter=5),
    FactorModel(max_iter=5),
    Imputer(Mixture(n_init=1, max_iter=5)),
    AnomalyDetector(Mixture(n_init=1, max_iter=5)),
]


# Classes that take arrays of any library are told by an environment variable; these take NumPy's.
@pytest.mark.filterwarnings("ignore:Skipping check check_array_api_input")
@parametrize_with_checks(ESTIMATORS)
def test_check_of_scikit_learn_holds(estimator, check):
    check(estimator)
