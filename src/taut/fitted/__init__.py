"""What came out: `Fit` and `Posterior`, and how they are read back from a run folder."""

from taut.fitted.coordinates import coordinate_columns
from taut.fitted.fit import Fit, load
from taut.fitted.posterior import Posterior
from taut.fitted.posterior_loading import load_posterior

__all__ = ["Fit", "Posterior", "coordinate_columns", "load", "load_posterior"]
