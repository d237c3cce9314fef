"""The environment of peers that the project does not depend on, made outside it on first use.

It lies in $TAUT_PEERS, by default ~/.cache/taut-peers, and is made anew when the pins change.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["PINS", "python_of_peers"]

# Pythae's own requirements hold together with these; it needs no exception.
PINS = ("torch==2.13.0", "pyro-ppl==1.9.2", "pythae==0.1.2")


def python_of_peers() -> str:
    """The interpreter of that environment."""
    folder = Path(os.environ.get("TAUT_PEERS", Path.home() / ".cache" / "taut-peers")) / "pytorch"
    python, pins = folder / "bin" / "python", folder / "pins.txt"
    if not pins.exists() or pins.read_text().split() != list(PINS):
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINS], check=True)
        pins.write_text("\n".join(PINS) + "\n")
    return str(python)
