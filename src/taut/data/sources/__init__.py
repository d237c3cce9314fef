"""Sources: one file each, with a registry of the strings that name them."""

from taut.data.sources.named_columns import NamedColumns
from taut.data.sources.needs_polars import need_polars
from taut.data.sources.parquet import boolean_words, decode_parquet, parquet_form
from taut.data.sources.raw_rows import RawRows, Request
from taut.data.sources.registry import SOURCES, Source, read_source, same_source, source_name
from taut.data.sources.row_file import RowFile, open_npy
from taut.data.sources.words import BOOLEAN

__all__ = [
    "BOOLEAN",
    "SOURCES",
    "NamedColumns",
    "RawRows",
    "Request",
    "RowFile",
    "Source",
    "boolean_words",
    "decode_parquet",
    "need_polars",
    "open_npy",
    "parquet_form",
    "read_source",
    "same_source",
    "source_name",
]
