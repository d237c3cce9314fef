"""`taut.fit`, `taut.load` and the `Fit` they return: thin shells over the layers."""

from taut.api.fitted import Fit, load
from taut.api.fitting import fit

__all__ = ["Fit", "fit", "load"]
