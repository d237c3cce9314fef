"""Models given by code: a log-joint as a Python function, or a NumPyro program."""

from taut.models.program.abstract import AbstractProgram, Part
from taut.models.program.log_joint import LogJoint
from taut.models.program.numpyro_program import NumPyroProgram
from taut.models.program.supports import SUPPORTS, Site

__all__ = ["SUPPORTS", "AbstractProgram", "LogJoint", "NumPyroProgram", "Part", "Site"]
