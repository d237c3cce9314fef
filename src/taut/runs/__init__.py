"""What a run leaves on disk: its folder, archives of fitted pairs, checkpoints."""

from taut.runs.archive import (
    FORMAT,
    is_sealed,
    load_pair,
    read_model_arrays,
    read_structure,
    save_pair,
)
from taut.runs.checkpoint import Restored, restore_checkpoint, save_checkpoint
from taut.runs.claim import claimed, claimed_next
from taut.runs.kept_by_first import KeptByFirst
from taut.runs.kept_rows import KeptRows
from taut.runs.own_files import LOCK
from taut.runs.packed import packed, unpacked
from taut.runs.reading import read_arrays, read_json, reading, write_sealed_json
from taut.runs.run_folder import RunFolder
from taut.runs.stages import KeptStages
from taut.runs.stages_by_first import StagesByFirst
from taut.runs.toml import read_toml, to_toml

__all__ = [
    "FORMAT",
    "LOCK",
    "KeptByFirst",
    "KeptRows",
    "KeptStages",
    "Restored",
    "RunFolder",
    "StagesByFirst",
    "claimed",
    "claimed_next",
    "is_sealed",
    "load_pair",
    "packed",
    "read_arrays",
    "read_json",
    "read_model_arrays",
    "read_structure",
    "read_toml",
    "reading",
    "restore_checkpoint",
    "save_checkpoint",
    "save_pair",
    "to_toml",
    "unpacked",
    "write_sealed_json",
]
