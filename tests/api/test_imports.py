"""What the first line of a script costs: no package is imported before something needs it."""

import subprocess
import sys

# Each takes a tenth to a half of the time that JAX takes, and serves figures, tables or one method.
_LATER = (
    "arviz", "blackjax", "flowjax", "matplotlib", "narwhals", "PIL", "polars", "rich", "scipy.stats",
    "sklearn",
)  # fmt: skip


def test_the_doors_of_python_import_nothing_that_serves_later():
    code = (
        f"import sys, taut; taut.fit, taut.em, taut.infer; print({set(_LATER)} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
