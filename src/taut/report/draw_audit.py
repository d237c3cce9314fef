"""The figures of an audit."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from taut.audit import Audit
from taut.report import figures

__all__ = ["draw_audit"]


def draw_audit(audit: Audit) -> Mapping[str, Callable[[Path], Path]]:
    """How to draw each figure, by the name of its file."""
    split = audit.surgery
    information = split.mutual_information.values
    assert information is not None

    def bars(path: Path) -> Path:
        return figures.gap_bars(path, {"training": audit.train, "held-out": audit.held_out})

    def latents(path: Path) -> Path:
        kls = np.array([k.value for k in audit.use.kls])
        active = audit.use.active
        return figures.latent_kls(path, kls, active if len(active) == len(kls) else None)

    def overlap(path: Path) -> Path:
        return figures.overlap(path, information, split.ceiling)

    return {"gaps.png": bars, "latent_kls.png": latents, "overlap.png": overlap}
