"""scikit-learn's own tests of `GaussianMixture`, run against `taut.sklearn.Mixture` through an adapter.

    python benchmarks/sklearn_mixture_tests.py

The installed test file runs as it is, with `Adapter` in the place of the class that it imports. A test
that makes no estimator is one of scikit-learn's functions and counts for nothing. Every failure has its
reason in `REASONS`; one without ends the run with 1.
"""

import sys
import tempfile
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import sklearn.mixture
from record import save_result
from sklearn.base import BaseEstimator

from taut.sklearn import Mixture

_FILE = "sklearn.mixture.tests.test_gaussian_mixture"
_GIVEN = (
    "it starts from weights, means or precisions by hand, or not by k-means: `Mixture` starts by "
    "k-means, or from itself with `warm_start`"
)
_WORDS = "it asks for scikit-learn's own words of a refusal, where `Mixture` refuses in others"
REASONS: dict[str, str] = {
    **dict.fromkeys(
        (
            "test_check_means", "test_check_precisions", "test_check_weights",
            "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters",
            "test_gaussian_mixture_attributes", "test_gaussian_mixture_estimate_log_prob_resp",
            "test_gaussian_mixture_fit_predict", "test_gaussian_mixture_precisions_init_diag",
            "test_gaussian_mixture_predict_predict_proba",
            "test_gaussian_mixture_setting_best_params", "test_init_means_not_duplicated",
            "test_max_iter_zero", "test_means_for_all_inits",
        ),
        _GIVEN,
    ),
    "test_regularisation": _WORDS,
    "test_sample": _WORDS,
    "test_gaussian_mixture_fit_convergence_warning": (
        "a run that did not converge warns there; of `Mixture` `converged_` says so"
    ),
    "test_gaussian_mixture_precisions_init": "it calls a private method, `_set_parameters`",
    "test_monotonic_likelihood": (
        "it makes one iteration a fit until one has converged: the end of `Mixture` is told by what "
        "two gains in a row promise, which one iteration does not have"
    ),
}  # fmt: skip


class Adapter(BaseEstimator):
    """`GaussianMixture` as scikit-learn has it, by `Mixture`; given starts are refused."""

    made: ClassVar[int] = 0

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
    ):
        Adapter.made += 1
        self.n_components, self.covariance_type, self.tol = n_components, covariance_type, tol
        self.reg_covar, self.max_iter, self.n_init = reg_covar, max_iter, n_init
        self.init_params, self.weights_init, self.means_init = init_params, weights_init, means_init
        self.precisions_init, self.random_state = precisions_init, random_state
        self.warm_start, self.verbose = warm_start, verbose
        self.verbose_interval = verbose_interval

    def fit(self, X: Any, y: Any = None) -> "Adapter":
        starts = (self.weights_init, self.means_init, self.precisions_init)
        if any(start is not None for start in starts) or self.init_params != "kmeans":
            raise NotImplementedError("a given start, or one that is not by k-means")
        names = ("n_components", "covariance_type", "tol", "reg_covar", "max_iter", "n_init",
                 "random_state", "warm_start")  # fmt: skip
        chosen = {name: getattr(self, name) for name in names}
        before = self.__dict__.get("mixture_") if self.warm_start else None
        self.mixture_ = (_Named() if before is None else before).set_params(**chosen)
        self.mixture_.fit(X)
        return self

    def fit_predict(self, X: Any, y: Any = None) -> np.ndarray:
        return self.fit(X).predict(X)

    def __getattr__(self, name: str) -> Any:
        """What `Mixture` has; before a fit its methods say so as scikit-learn has it."""
        if name.startswith("__") or name == "mixture_":
            raise AttributeError(name)
        found = self.__dict__.get("mixture_")
        return getattr(_Named(self.n_components) if found is None else found, name)

    @property
    def precisions_(self) -> np.ndarray:
        found = self.mixture_.covariances_
        return np.linalg.inv(found) if self.covariance_type in ("full", "tied") else 1 / found

    @property
    def precisions_cholesky_(self) -> np.ndarray:
        found = self.mixture_.covariances_
        if self.covariance_type not in ("full", "tied"):
            return 1 / np.sqrt(found)
        return np.swapaxes(np.linalg.inv(np.linalg.cholesky(found)), -1, -2)

    def _n_parameters(self) -> int:
        return self.mixture_._model.num_parameters


class _Named(Mixture):
    """`Mixture` by the name that messages of scikit-learn have."""


_Named.__name__ = "GaussianMixture"


class Counted:
    """A plugin of pytest that keeps what became of every test, and whether it made an estimator."""

    def __init__(self) -> None:
        self.found: dict[str, list[tuple[str, str]]] = defaultdict(list)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
        made = yield
        report = made.get_result()
        if report.when != "call" and not (report.when == "setup" and report.skipped):
            self.before = Adapter.made
            return
        touched = Adapter.made > self.before
        outcome = report.outcome if touched or report.skipped else "without an estimator"
        said = "" if call.excinfo is None else str(call.excinfo.value).strip().splitlines()[:1]
        self.found[item.originalname].append((outcome, said[0] if said else ""))


def main() -> int:
    """Run the file and save what became of it; 1 where a failure has no reason."""
    sklearn.mixture.GaussianMixture = Adapter  # type: ignore[misc]
    counted = Counted()
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder, "pytest.ini")  # that of the project is for its own tests
        own.write_text("[pytest]\n")
        asked = ["-q", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", "-c", str(own)]
        pytest.main(["--pyargs", _FILE, *asked], plugins=[counted])
    outcomes = [outcome for tests in counted.found.values() for outcome, _ in tests]
    total = {name: outcomes.count(name) for name in sorted(set(outcomes))}
    failures = [
        {"test": name, "says": sorted({said for outcome, said in tests if outcome == "failed"}),
         "cases": sum(outcome == "failed" for outcome, _ in tests), "why": REASONS.get(name)}
        for name, tests in counted.found.items()
        if any(outcome == "failed" for outcome, _ in tests)
    ]  # fmt: skip
    run = total.get("passed", 0) + total.get("failed", 0)
    content = {
        "scikit-learn": version("scikit-learn"), "cases": total,
        "pass_rate": total.get("passed", 0) / max(1, run), "failures": failures,
    }  # fmt: skip
    print(save_result("sklearn_mixture_tests", content))
    unexplained = [f["test"] for f in failures if f["why"] is None]
    print(f"{total}; without a reason: {unexplained or 'none'}")
    return int(bool(unexplained))


if __name__ == "__main__":
    sys.exit(main())
