"""Environments of peers that the project does not depend on, made outside it on first use.

They lie in $TAUT_PEERS, by default ~/.cache/taut-peers, and are made anew when their pins change.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["FLOW_PINS", "PINS", "python_of_peers"]

# Pythae's own requirements hold together with these; it needs no exception.
PINS = ("torch==2.13.0", "pyro-ppl==1.9.2", "pythae==0.1.2")
FLOW_PINS = ("torch==2.13.0", "zuko==1.6.0")


def python_of_peers(name: str = "pytorch", pins: Sequence[str] = PINS) -> str:
    """The interpreter of the environment of that name with these packages."""
    home = Path(os.environ.get("TAUT_PEERS", Path.home() / ".cache" / "taut-peers"))
    folder = home / name
    python, pinned = folder / "bin" / "python", folder / "pins.txt"
    if not pinned.exists() or pinned.read_text().split() != list(pins):
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *pins], check=True)
        pinned.write_text("\n".join(pins) + "\n")
    return str(python)
