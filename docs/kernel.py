"""What every kernel of a page runs first, as its `PYTHONSTARTUP`: `%%bash` that prints whole.

The magic of IPython hands output on in pieces of 100 bytes, between which MyST-NB puts line ends, and
passes over commands that fail before the last; and a kernel tells commands that a terminal reads them.
"""

import os
import subprocess
import sys

from IPython.core.getipython import get_ipython


def bash(line: str, cell: str) -> None:
    """Run a cell by bash, to the first command that fails."""
    environment = {
        k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "CLICOLOR_FORCE")
    }
    done = subprocess.run(
        ["bash", "-e"], input=cell, capture_output=True, text=True, env=environment, check=False
    )
    print(done.stdout, end="")
    print(done.stderr, end="", file=sys.stderr)
    done.check_returncode()


os.environ["TAUT_PROGRESS"] = "0"  # nobody looks on
shell = get_ipython()
assert shell is not None
shell.register_magic_function(bash, "cell")
