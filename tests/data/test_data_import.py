"""`import taut.data` opens no reader: each is imported when it reads."""

import subprocess
import sys


def test_readers_are_imported_when_they_read():
    heavy = ["sklearn", "polars", "narwhals", "PIL", "matplotlib", "scipy.io", "scipy.sparse"]
    code = (
        "import sys, taut.core; before = set(sys.modules); import taut.data; "
        f"print(sorted((set(sys.modules) - before) & set({heavy})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
