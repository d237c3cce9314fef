"""Seconds of whole commands: `taut --help`; `taut fit digits` with an empty and a warm JAX cache.

python benchmarks/start.py
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import save_result

TAUT = (sys.executable, "-m", "taut")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": str(Path(folder) / "cache")}
        seconds = {
            "help": statistics.median(
                timed("--help", at=folder, within=environment) for _ in range(5)
            ),
            "fit digits, empty cache": timed("fit", "digits", at=folder, within=environment),
            "fit digits, warm cache": timed("fit", "digits", at=folder, within=environment),
        }
    for name, value in seconds.items():
        print(f"{name}: {value:.2f} s")
    print(save_result("start", {"seconds": seconds}))


def timed(*arguments: str, at: str, within: dict[str, str]) -> float:
    """Seconds of one command in a folder."""
    start = time.perf_counter()
    command = [*TAUT, *arguments]
    subprocess.run(command, cwd=at, env=within, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
