"""Every check that scikit-learn has for an estimator, on every estimator of `taut.sklearn`.

    python benchmarks/scikit_checks.py [NAME ...]

Networks are small and trained for two epochs; what is checked does not depend on how well they fit. Ends
with 1 where a check fails; none is expected to.
"""

import sys
import time
import warnings
from collections import Counter

import sklearn
from sklearn.utils.estimator_checks import check_estimator

from taut.sklearn import (
    VAE,
    AnomalyDetector,
    FactorModel,
    Flow,
    Imputer,
    Mixture,
    SemiSupervisedClassifier,
)


class LabelSpreading(SemiSupervisedClassifier):
    """By this name the checks know that -1 stands for no label, and take other classes."""


FEW = {"hidden": (4,), "max_epochs": 2, "precision": "float64"}
ESTIMATORS = {
    **{
        f"Mixture, {kind}": Mixture(2, covariance_type=kind, floor=0.01, n_init=1, max_iter=5)
        for kind in ("full", "tied", "diag", "spherical")
    },
    "Mixture, mixed": Mixture(2, columns="mixed", n_init=1, max_iter=5),
    "FactorModel, fa": FactorModel(max_iter=5),
    "FactorModel, ppca": FactorModel(model="ppca", max_iter=5),
    "Imputer": Imputer(Mixture(n_init=1, max_iter=5)),
    "AnomalyDetector": AnomalyDetector(Mixture(n_init=1, max_iter=5)),
    "SemiSupervisedClassifier": LabelSpreading(Mixture(4, n_init=1, max_iter=5), random_state=0),
    "VAE": VAE(1, draws=5, **FEW),
    "Flow": Flow("affine-coupling:1", **FEW),
}


def main(names: list[str]) -> int:
    """Print a line for each estimator, and each check that fails; 1 where one does."""
    failed = 0
    for name in names or ESTIMATORS:
        started = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sklearn.exceptions.SkipTestWarning)
            found = check_estimator(ESTIMATORS[name], on_fail=None)
        statuses = Counter(check["status"] for check in found)
        seconds = time.process_time() - started
        print(
            f"scikit-learn {sklearn.__version__}, {name}: {dict(statuses)}, {seconds:.0f} s of CPU"
        )
        for check in found:
            if check["status"] not in ("passed", "skipped"):
                failed += 1
                print(f"  {check['check_name']}: {check['exception']!r}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
