"""Estimators of scikit-learn that fit taut's models: they pass its own checks without an exception.

Each takes arrays and data frames, goes into pipelines and searches, and holds the `Fit` behind it in
`fit_`, which audits, imputes, compares and saves it.
"""

from taut.sklearn.factor_model import FactorModel
from taut.sklearn.mixture import Mixture

__all__ = ["FactorModel", "Mixture"]
