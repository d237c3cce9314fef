"""Models whose evidence and posterior are in closed form."""

from taut.models.exact.abstract import AbstractExactModel
from taut.models.exact.column_mixture import ColumnMixture
from taut.models.exact.covariances import COVARIANCES, AbstractCovariance, CovarianceFloor
from taut.models.exact.factor import AbstractFactorModel
from taut.models.exact.factor_analysis import FactorAnalysis
from taut.models.exact.gaussian_mixture import GaussianMixture
from taut.models.exact.gaussian_statistics import GaussianStatistics
from taut.models.exact.given import Given
from taut.models.exact.holes import Holes, holes_of
from taut.models.exact.latent_class import ClassCounts, LatentClass
from taut.models.exact.mixture import AbstractMixture
from taut.models.exact.one_hot import OneHotCategorical
from taut.models.exact.ppca import ProbabilisticPCA
from taut.models.exact.scatter import KeptRows, RowCovariance, Scatter
from taut.models.exact.varying_cells import Constants, varying

__all__ = [
    "COVARIANCES",
    "AbstractCovariance",
    "AbstractExactModel",
    "AbstractFactorModel",
    "AbstractMixture",
    "ClassCounts",
    "ColumnMixture",
    "Constants",
    "CovarianceFloor",
    "FactorAnalysis",
    "GaussianMixture",
    "GaussianStatistics",
    "Given",
    "Holes",
    "KeptRows",
    "LatentClass",
    "OneHotCategorical",
    "ProbabilisticPCA",
    "RowCovariance",
    "Scatter",
    "holes_of",
    "varying",
]
