"""Figures: one function, one PNG. They take arrays and return the path that they wrote."""

from taut.report.figures.along_path import along_path
from taut.report.figures.answers import answers
from taut.report.figures.bound_trace import bound_trace
from taut.report.figures.calibration import calibration
from taut.report.figures.gap_bars import gap_bars
from taut.report.figures.gradients import gradients
from taut.report.figures.interpolation import interpolation
from taut.report.figures.khat import khat
from taut.report.figures.latent_kls import latent_kls
from taut.report.figures.latent_scatter import latent_scatter
from taut.report.figures.learning_curves import learning_curves
from taut.report.figures.overlap import overlap
from taut.report.figures.pairs import pairs
from taut.report.figures.path_strip import path_strip
from taut.report.figures.reconstructions import reconstructions
from taut.report.figures.samples import samples
from taut.report.figures.weight_tail import weight_tail

__all__ = [
    "along_path",
    "answers",
    "bound_trace",
    "calibration",
    "gap_bars",
    "gradients",
    "interpolation",
    "khat",
    "latent_kls",
    "latent_scatter",
    "learning_curves",
    "overlap",
    "pairs",
    "path_strip",
    "reconstructions",
    "samples",
    "weight_tail",
]
