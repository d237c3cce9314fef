"""What every benchmark writes beside its numbers: commit, versions, hardware."""

import json
import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("taut", "jax", "jaxlib", "equinox", "optax", "numpyro", "numpy", "torch")


def save_result(name: str, content: dict[str, Any]) -> Path:
    """Write `results/name.json` with the conditions of the run, in one step."""
    return write_whole(RESULTS / f"{name}.json", {**conditions(), **content})


def write_whole(path: Path, content: Any) -> Path:
    """Write JSON in one step, into a folder that is made where it is missing."""
    from taut.core.files import write_atomically

    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2) + "\n"
    return write_atomically(path, lambda file: file.write(text.encode()))


def conditions() -> dict[str, Any]:
    """Date, commit, versions, hardware."""
    versions = {p: v for p in PACKAGES if (v := _version(p))}
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "versions": versions | {"python": platform.python_version()},
        "hardware": hardware(),
    }


def commit() -> str:
    """The commit, marked where the sources differ from it, results apart."""
    changed = _git("status", "--porcelain", "src", "benchmarks", ":!benchmarks/results")
    return _git("rev-parse", "--short", "HEAD") + ("+changes" if changed else "")


def hardware() -> dict[str, Any]:
    """Processor, usable cores, memory in GiB."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(RESULTS.parent.parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
