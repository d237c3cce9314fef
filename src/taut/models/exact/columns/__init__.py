"""Families of columns that are independent given the component."""

from taut.models.exact.columns.abstract import AbstractColumns
from taut.models.exact.columns.atoms import Atoms
from taut.models.exact.columns.counts import Counts
from taut.models.exact.columns.described import Described, named_apart
from taut.models.exact.columns.numbers import Numbers
from taut.models.exact.columns.tables import Tables

__all__ = ["AbstractColumns", "Atoms", "Counts", "Described", "Numbers", "Tables", "named_apart"]
