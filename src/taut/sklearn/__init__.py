"""Estimators of scikit-learn that fit taut's models: they pass its own checks without an exception.

Each takes arrays and data frames and goes into pipelines and searches. One that fits a model holds the
`Fit` behind it in `fit_`, which audits, imputes, compares and saves it.
"""

from taut.sklearn.anomaly_detector import AnomalyDetector
from taut.sklearn.factor_model import FactorModel
from taut.sklearn.flow import Flow
from taut.sklearn.imputer import Imputer
from taut.sklearn.mixture import Mixture
from taut.sklearn.semi_supervised import SemiSupervisedClassifier
from taut.sklearn.vae import VAE

__all__ = [
    "VAE",
    "AnomalyDetector",
    "FactorModel",
    "Flow",
    "Imputer",
    "Mixture",
    "SemiSupervisedClassifier",
]
