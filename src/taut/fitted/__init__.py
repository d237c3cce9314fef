"""What came out: `Fit` and `Posterior`, and how they are read back from a run folder."""

from taut.fitted.comparing import compare
from taut.fitted.coordinates import coordinate_columns
from taut.fitted.fit import Fit
from taut.fitted.loading import load
from taut.fitted.posterior import Posterior

__all__ = ["Fit", "Posterior", "compare", "coordinate_columns", "load"]
