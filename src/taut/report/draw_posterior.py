"""The figures of a posterior: pairs of latents, the tail of the weights, the bound over rounds."""

from pathlib import Path

import numpy as np

from taut.fitted import Posterior
from taut.report import figures

__all__ = ["draw_posterior"]


def draw_posterior(
    posterior: Posterior, folder: Path, *, precision_nats: float | None = None
) -> tuple[Path, ...]:
    """Draw a posterior and how it was reached.

    Arguments:
        posterior: what `taut.infer` returned.
        folder: where to write.
        precision_nats: below which the ascent stopped; None where it is not known.

    Returns:
        the files; the bound is drawn where something climbed.
    """
    names = posterior.model.coordinates  # what is derived from them shows nothing new
    values = posterior.coordinate_draws()[:, : len(names)]
    own = values[: posterior.num_guide]
    weights, khat, threshold = posterior.weights, posterior.khat, posterior.khat_threshold
    drawn = [figures.pairs(folder / "pairs.png", values, weights, own, names)]
    if posterior.trace:
        drawn.append(
            figures.bound_trace(
                folder / "bound.png",
                steps=np.asarray([r.num_steps for r in posterior.trace]),
                bound=np.asarray([r.bound for r in posterior.trace]),
                bound_error=np.asarray([r.bound_error for r in posterior.trace]),
                gain=np.asarray([r.gain for r in posterior.trace]),
                gain_error=np.asarray([r.gain_error for r in posterior.trace]),
                won=np.asarray([r.stochastic for r in posterior.trace]),
                precision_nats=precision_nats,
            )
        )
    # Last: by it a finished drawing is known.
    drawn.append(figures.weight_tail(folder / "khat.png", weights, khat, threshold))
    return tuple(drawn)
