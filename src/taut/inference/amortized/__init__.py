"""Inference with an encoder, or a table of variational parameters: algorithms over batches."""

from taut.inference.amortized.aggressive import Aggressive
from taut.inference.amortized.alternation import AbstractAlternation, Alternate
from taut.inference.amortized.ascent import AscentState
from taut.inference.amortized.averaged import AveragedState, averaged
from taut.inference.amortized.batch_surrogate import BatchSurrogate, batch_surrogate
from taut.inference.amortized.codebook_averages import QuantizedState, quantized
from taut.inference.amortized.joint import joint
from taut.inference.amortized.per_datum import PerDatumState, per_datum
from taut.inference.amortized.semi_amortized import semi_amortized
from taut.inference.amortized.slots import Reach, reach
from taut.inference.amortized.variational_em import variational_em
from taut.inference.amortized.wake_sleep import wake_sleep

__all__ = [
    "AbstractAlternation",
    "Aggressive",
    "Alternate",
    "AscentState",
    "AveragedState",
    "BatchSurrogate",
    "PerDatumState",
    "QuantizedState",
    "Reach",
    "averaged",
    "batch_surrogate",
    "joint",
    "per_datum",
    "quantized",
    "reach",
    "semi_amortized",
    "variational_em",
    "wake_sleep",
]
