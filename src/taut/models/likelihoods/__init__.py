"""p(x | outputs): the families of a cell, one file each, in a registry by name."""

from taut.models.likelihoods.abstract import AbstractLikelihood, Start
from taut.models.likelihoods.bernoulli import Bernoulli
from taut.models.likelihoods.categorical import Categorical
from taut.models.likelihoods.continuous_bernoulli import ContinuousBernoulli
from taut.models.likelihoods.cumulative_logit import CumulativeLogit
from taut.models.likelihoods.discretized_logistic import DiscretizedLogistic
from taut.models.likelihoods.gaussian import Gaussian
from taut.models.likelihoods.mixed import Mixed
from taut.models.likelihoods.negative_binomial import NegativeBinomial
from taut.models.likelihoods.poisson import Poisson
from taut.models.likelihoods.registry import LIKELIHOODS, choose_likelihood, make_likelihood
from taut.models.likelihoods.student_t import StudentT
from taut.models.likelihoods.zero_inflated import ZeroInflatedNegativeBinomial, ZeroInflatedPoisson

__all__ = [
    "LIKELIHOODS",
    "AbstractLikelihood",
    "Bernoulli",
    "Categorical",
    "ContinuousBernoulli",
    "CumulativeLogit",
    "DiscretizedLogistic",
    "Gaussian",
    "Mixed",
    "NegativeBinomial",
    "Poisson",
    "Start",
    "StudentT",
    "ZeroInflatedNegativeBinomial",
    "ZeroInflatedPoisson",
    "choose_likelihood",
    "make_likelihood",
]
