"""What a fit leaves for the eye: tables in the terminal, pictures on disk, progress while it runs.

The layer takes plain arrays, `Estimate`s and facts, never models. Its parts are loaded when they are
first used, since matplotlib and rich are.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taut.report import figures, progress, tables

__all__ = ["figures", "progress", "tables"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'taut.report' has no attribute '{name}'")
    return importlib.import_module(f"taut.report.{name}")
