"""KL of each latent dimension, largest first."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.ticker import MaxNLocator

from taut.report.style import BLUE, FAINT, add_legend, dress, new_figure, save

__all__ = ["latent_kls"]


def latent_kls(
    path: Path | str, kls: Float[np.ndarray, " G"], active: Bool[np.ndarray, " G"] | None
) -> Path:
    """Draw one bar a dimension.

    Arguments:
        path: PNG file to write.
        kls: KL of each dimension or group, nats per row.
        active: which dimensions rows move; None where groups are no dimensions.
    """
    order = np.argsort(-kls)
    moved = np.ones(len(kls), bool) if active is None else active
    figure = new_figure(5.6, 2.8)
    axes = figure.add_subplot()
    dress(
        axes,
        title="What each latent dimension says",
        x="dimension, by its KL",
        y="KL, nats per row",
    )
    places = np.arange(1, len(kls) + 1)
    for chosen, colour, label in ((moved[order], BLUE, "active"), (~moved[order], FAINT, "idle")):
        if chosen.any():
            axes.bar(places[chosen], kls[order][chosen], color=colour, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    if active is not None:
        add_legend(axes, loc="upper right")
    return save(figure, path)
