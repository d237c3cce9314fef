"""The inferences that a fit can be made by, one file each."""

from taut.inference.choices.codebook_averages import CodebookAverages
from taut.inference.choices.em import EM
from taut.inference.choices.joint import Joint
from taut.inference.choices.online_em import OnlineEM
from taut.inference.choices.per_datum import PerDatum
from taut.inference.choices.semi_amortized import SemiAmortized
from taut.inference.choices.variational_em import VariationalEM
from taut.inference.choices.wake_sleep import WakeSleep

__all__ = [
    "EM",
    "CodebookAverages",
    "Joint",
    "OnlineEM",
    "PerDatum",
    "SemiAmortized",
    "VariationalEM",
    "WakeSleep",
]
