"""Models given by code: a log-joint as a Python function, or a NumPyro program."""

from taut.models.program.abstract import AbstractProgram, Part
from taut.models.program.arguments import not_taken, parted
from taut.models.program.bounded import Bounded
from taut.models.program.defaults import forms_of_data
from taut.models.program.edged import Edge, Edged, plan_edges
from taut.models.program.known_again import log_joints, refuse_another
from taut.models.program.layout import scalars
from taut.models.program.load import load_program, read_data, support_beside
from taut.models.program.log_joint import LOG_JOINT, LogJoint
from taut.models.program.named_values import NamedValues
from taut.models.program.numpyro_program import NumPyroProgram
from taut.models.program.simulated_data import given_observed, made_data, with_observed
from taut.models.program.start import check_start
from taut.models.program.supports import SUPPORTS, Site

__all__ = [
    "LOG_JOINT",
    "SUPPORTS",
    "AbstractProgram",
    "Bounded",
    "Edge",
    "Edged",
    "LogJoint",
    "NamedValues",
    "NumPyroProgram",
    "Part",
    "Site",
    "check_start",
    "forms_of_data",
    "given_observed",
    "load_program",
    "log_joints",
    "made_data",
    "not_taken",
    "parted",
    "plan_edges",
    "read_data",
    "refuse_another",
    "scalars",
    "support_beside",
    "with_observed",
]
