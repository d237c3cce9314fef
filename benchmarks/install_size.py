"""What a bare installation takes: MiB of each package, and seconds to `import taut` and `taut --help`.

    python benchmarks/install_size.py [--repeats 11]

Installs the sources into an empty environment without pip, under the constraints of this Python, sums
the files that each distribution lists, byte code left out, then adds the extra `tables`. Seconds are
medians of starts that take turns, behind one that writes the byte code.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from record import save_result

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / ("constraints.txt" if sys.version_info < (3, 13) else "constraints-py313.txt")
SIZES = """
import importlib.metadata, json, pathlib, re

def size(file):
    path = pathlib.Path(file.locate())
    return path.stat().st_size if path.is_file() and path.suffix != ".pyc" else 0

def named(text):
    return re.split(r"[^A-Za-z0-9._-]", text)[0].lower().replace("_", "-")

found = {}
for one in importlib.metadata.distributions():
    needs = [named(line) for line in one.requires or () if "extra ==" not in line]
    size_of_all = sum(map(size, one.files or ()))
    found[named(one.metadata["Name"])] = {
        "version": one.version, "mib": size_of_all / 2**20, "needs": sorted(set(needs)),
    }
print(json.dumps(found))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=11)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        install(python, str(ROOT))
        packages = sizes(python)
        commands = {
            "import taut": [python, "-c", "import taut"],
            "taut --help": [python.with_name("taut"), "--help"],
        }
        first = {name: seconds(command, folder) for name, command in commands.items()}
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(repeats):
            for name, command in commands.items():
                taken[name].append(seconds(command, folder))
        install(python, f"{ROOT}[tables]")
        tables = {name: own for name, own in sizes(python).items() if name not in packages}
    content = {
        "mib": sum(own["mib"] for own in packages.values()),
        "packages": packages,
        "tables": tables,
        "seconds": {name: statistics.median(values) for name, values in taken.items()},
        "seconds_first": first,
    }
    print(f"{content['mib']:.0f} MiB in {len(packages)} packages; {content['seconds']}")
    print(save_result("install_size", content))


def install(python: Path, what: str) -> None:
    """Install sources, and what they need, into another environment."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-compile",
    ]
    subprocess.run([*command, "--constraint", CONSTRAINTS, what], check=True)


def sizes(python: Path) -> dict[str, Any]:
    """Version, MiB and needs of each distribution of an environment, by name."""
    done = subprocess.run([python, "-c", SIZES], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def seconds(command: list[Any], folder: str) -> float:
    """Wall-clock time of a command, whose byte code is kept."""
    hidden = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
