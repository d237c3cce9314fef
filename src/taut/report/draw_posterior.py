"""The figures of a posterior: pairs of latents, the tail of the weights, the bound over rounds."""

from pathlib import Path

import numpy as np

from taut.core import InputError
from taut.fitted import Posterior
from taut.report import figures

__all__ = ["draw_bound", "draw_pairs", "draw_posterior", "draw_weights"]


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
    drawn = [draw_pairs(posterior, folder / "pairs.png")]
    if posterior.trace:
        drawn.append(draw_bound(posterior, folder / "bound.png", precision_nats=precision_nats))
    # Last: by it a finished drawing is known.
    drawn.append(draw_weights(posterior, folder / "khat.png"))
    return tuple(drawn)


def draw_pairs(posterior: Posterior, path: Path) -> Path:
    """Draw the weighted draws of every pair of latents, beside those of the guide."""
    names = posterior.model.coordinates  # what is derived from them shows nothing new
    values = posterior.coordinate_draws()[:, : len(names)]
    return figures.pairs(path, values, posterior.weights, values[: posterior.num_guide], names)


def draw_bound(posterior: Posterior, path: Path, *, precision_nats: float | None = None) -> Path:
    """Draw the bound over the rounds of the ascent.

    Raises:
        InputError: nothing climbed.
    """
    trace = posterior.trace
    if not trace:
        raise InputError("a guide that was fitted", "draws alone", "another figure", where="bound")
    return figures.bound_trace(
        path,
        steps=np.asarray([r.num_steps for r in trace]),
        bound=np.asarray([r.bound for r in trace]),
        bound_error=np.asarray([r.bound_error for r in trace]),
        gain=np.asarray([r.gain for r in trace]),
        gain_error=np.asarray([r.gain_error for r in trace]),
        won=np.asarray([r.stochastic for r in trace]),
        precision_nats=precision_nats,
    )


def draw_weights(posterior: Posterior, path: Path) -> Path:
    """Draw the tail of the weights and the k-hat that it has."""
    return figures.weight_tail(path, posterior.weights, posterior.khat, posterior.khat_threshold)
