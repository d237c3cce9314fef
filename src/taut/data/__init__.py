"""Data: sources, schemas, splits and batches. Readers import what they need when they read."""

from taut.data.batches import batch_indices, epoch_order, steps_per_epoch
from taut.data.cell_words import cell_words
from taut.data.checksum import checksum_of
from taut.data.column_values import as_written
from taut.data.dataset import Data, Dataset
from taut.data.dependent import dependent_columns
from taut.data.empty_rows import empty_rows_note
from taut.data.kinds import Column
from taut.data.label_batches import label_strata
from taut.data.load import load_data
from taut.data.load_streamed import can_stream
from taut.data.missing import observed
from taut.data.moments import ColumnMoments
from taut.data.more_rows import load_rows
from taut.data.options import DataOptions
from taut.data.recorded import nearest_of, recorded_values
from taut.data.resolution import RESOLVED_ROWS, resolution, resolved_rows
from taut.data.row_source import RowSource
from taut.data.schema import Binarize, Kind, Schema, Support
from taut.data.sources import BOOLEAN, SOURCES, Source, same_source
from taut.data.split import DEFAULT_SPLIT, split_rows
from taut.data.streamed import Gatherer, StreamedRows
from taut.data.targets import has_label, label_names, target_of
from taut.data.wishes import columns_toml

__all__ = [
    "BOOLEAN",
    "DEFAULT_SPLIT",
    "RESOLVED_ROWS",
    "SOURCES",
    "Binarize",
    "Column",
    "ColumnMoments",
    "Data",
    "DataOptions",
    "Dataset",
    "Gatherer",
    "Kind",
    "RowSource",
    "Schema",
    "Source",
    "StreamedRows",
    "Support",
    "as_written",
    "batch_indices",
    "can_stream",
    "cell_words",
    "checksum_of",
    "columns_toml",
    "dependent_columns",
    "empty_rows_note",
    "epoch_order",
    "has_label",
    "label_names",
    "label_strata",
    "load_data",
    "load_rows",
    "nearest_of",
    "observed",
    "recorded_values",
    "resolution",
    "resolved_rows",
    "same_source",
    "split_rows",
    "steps_per_epoch",
    "target_of",
]
