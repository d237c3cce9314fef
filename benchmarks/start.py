"""Seconds to start, with an empty and with a warm JAX compilation cache.

    help                    `taut --help`, whole
    first step              `taut fit`, `taut em`, `taut evaluate` on the digits, up to the end of the
                            first step (see `benchmarks/first_step.py`)
    fit digits              the whole command

The empty caches are filled by the whole command, the warm figures are medians.

    python benchmarks/start.py [--repeats 5]
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import save_result

TAUT = (sys.executable, "-m", "taut")
FIRST_STEP = str(Path(__file__).parent / "first_step.py")
AIM = 3.0  # seconds to the first step where the cache is warm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": str(Path(folder) / "cache")}
        # Python's default, which a second start reads: modules are kept as byte code.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        run = str(Path(folder) / "run")

        def whole(*arguments: str) -> float:
            start = time.perf_counter()
            call([*TAUT, *arguments], folder, environment)
            return time.perf_counter() - start

        def first_step(command: str, source: str) -> float:
            out = [] if command == "evaluate" else ["--out", str(Path(folder) / f"{next(number)}")]
            start = str(time.time())
            arguments = [sys.executable, FIRST_STEP, start, command, source, *out]
            # The command may print before it is stopped; the figure comes last.
            return float(call(arguments, folder, environment).split()[-1])

        number = itertools.count()
        commands = {"fit": "digits", "em": "digits", "evaluate": run}
        seconds = {
            "help": statistics.median(whole("--help") for _ in range(repeats)),
            "fit digits, empty cache": whole("fit", "digits", "--out", run),
            "fit digits, warm cache": whole("fit", "digits", "--out", run, "--force"),
        }
        whole("em", "digits")
        whole("evaluate", run)
        warm = {
            name: statistics.median(first_step(name, source) for _ in range(repeats))
            for name, source in commands.items()
        }
        cold = {}
        for name, source in commands.items():
            environment["XDG_CACHE_HOME"] = str(Path(folder) / f"empty-{name}")
            cold[name] = first_step(name, source)

    for name, value in seconds.items():
        print(f"{name}: {value:.2f} s")
    for name, value in warm.items():
        print(
            f"{name}, to the first step: {value:.2f} s warm (aim {AIM}), {cold[name]:.2f} s empty"
        )
    content = {"seconds": seconds, "first_step_warm": warm, "first_step_empty": cold}
    print(save_result("start", content))


def call(command: list[str], folder: str, environment: dict[str, str]) -> str:
    """What a command prints."""
    done = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()


if __name__ == "__main__":
    main()
