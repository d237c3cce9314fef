"""Environments of peers that the project does not depend on, made outside it on first use.

They lie in $TAUT_PEERS, by default ~/.cache/taut-peers, and are made anew when their pins change.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["AUDIT_PINS", "FLOW_PINS", "PINS", "python_of_peers"]

ROOT = Path(__file__).resolve().parent.parent

# Pythae's own requirements hold together with these; it needs no exception.
PINS = ("torch==2.13.0", "pyro-ppl==1.9.2", "pythae==0.1.2")
FLOW_PINS = ("torch==2.13.0", "zuko==1.6.0")
AUDIT_PINS = ("torch==2.13.0", "pythae==0.1.2")


def python_of_peers(
    name: str = "pytorch", pins: Sequence[str] = PINS, *, beside_taut: bool = False
) -> str:
    """The interpreter of the environment of that name with these packages.

    `beside_taut` installs this checkout, too, with the versions that its tests run on.
    """
    home = Path(os.environ.get("TAUT_PEERS", Path.home() / ".cache" / "taut-peers"))
    folder = home / name
    python, pinned = folder / "bin" / "python", folder / "pins.txt"
    if not pinned.exists() or pinned.read_text().split() != list(pins):
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        own = ["--constraint", ROOT / "constraints.txt", "--editable", ROOT] if beside_taut else []
        subprocess.run([python, "-m", "pip", "install", "--quiet", *pins, *own], check=True)
        pinned.write_text("\n".join(pins) + "\n")
    return str(python)
