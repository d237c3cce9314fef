"""One line on standard error, before the work begins, where a direction takes many passes."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taut.architectures import AbstractArchitecture
    from taut.core import AbstractPair
    from taut.data import Schema
    from taut.gradients import AbstractEstimator

__all__ = ["announce", "announce_sampling"]


def announce(
    model: "AbstractArchitecture", schema: "Schema", gradient: "AbstractEstimator | None"
) -> None:
    """What fitting a model will take, and drawing from it later."""
    import equinox as eqx
    import jax

    from taut.architectures.passes import density_passes, sampling_passes

    notes: list[str | None] = []

    def look() -> None:
        pair = model.init(schema, jax.random.key(0))
        notes.extend((density_passes(pair, gradient), sampling_passes(pair)))

    eqx.filter_eval_shape(look)  # the shapes say it all
    for note in notes:
        _say(note)


def announce_sampling(pair: "AbstractPair") -> None:
    """What drawing rows will take."""
    from taut.architectures.passes import sampling_passes

    _say(sampling_passes(pair))


def _say(note: str | None) -> None:
    if note is not None:
        print(f"note: {note}", file=sys.stderr)
