"""`taut.fit`, `taut.em`, `taut.load` and the `Fit` they return: thin shells over the layers."""

from taut.api.em import EMProgress, em
from taut.api.fitted import Fit, load
from taut.api.fitting import fit

__all__ = ["EMProgress", "Fit", "em", "fit", "load"]
