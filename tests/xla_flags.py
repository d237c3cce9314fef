"""Flags of XLA that the installed one knows: of an unknown one, the process that reads it ends."""

import mmap
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

__all__ = ["QUICK", "known_flags"]

# A test runs its programs once or twice: LLVM's optimisations and fused emitters cost four times the
# compilation that they save in the run, and programs cut in pieces that are compiled side by side cost
# more than the second core gives, which has a worker of its own. XLA_FLAGS= in the environment tests
# with all.
QUICK = (
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)


def known_flags(flags: Iterable[str]) -> list[str]:
    """The flags `--name=value` whose name is a string in jaxlib's library; starts no JAX."""
    spec = find_spec("jaxlib")
    found = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    libraries = [library for folder in found for library in folder.glob("libjax_common.*")]
    return [flag for flag in flags if any(_names(library, flag) for library in libraries)]


def _names(library: Path, flag: str) -> bool:
    name = flag.removeprefix("--").split("=")[0]
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        return memory.find(b"\0" + name.encode() + b"\0") >= 0
