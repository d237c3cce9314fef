"""Sources: one file each, with a registry of the strings that name them."""

from taut.data.sources.registry import SOURCES, Source, read_source, source_name
from taut.data.sources.rows import Request, Rows

__all__ = ["SOURCES", "Request", "Rows", "Source", "read_source", "source_name"]
