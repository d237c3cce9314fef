"""`INFERENCES`: every inference by its name."""

from taut.inference.abstract import AbstractInference
from taut.inference.choices import (
    EM,
    CodebookAverages,
    Joint,
    OnlineEM,
    PerDatum,
    SemiAmortized,
    VariationalEM,
    WakeSleep,
)

__all__ = ["INFERENCES"]

INFERENCES: dict[str, type[AbstractInference]] = {
    inference.name: inference
    for inference in (
        Joint,
        WakeSleep,
        VariationalEM,
        SemiAmortized,
        PerDatum,
        CodebookAverages,
        EM,
        OnlineEM,
    )
}
