"""`taut.fit`, `taut.em`, `taut.load` and the `Fit` they return: thin shells over the layers."""

from taut.api.em import EMProgress, em
from taut.api.fitted import Fit, load
from taut.api.fitting import fit
from taut.api.inferring import GUIDES, infer
from taut.api.posterior import Posterior
from taut.api.posterior_loading import load_posterior
from taut.api.verdict import Verdict

__all__ = [
    "GUIDES",
    "EMProgress",
    "Fit",
    "Posterior",
    "Verdict",
    "em",
    "fit",
    "infer",
    "load",
    "load_posterior",
]
