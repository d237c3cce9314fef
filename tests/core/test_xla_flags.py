"""The suite asks XLA for no flag that would end the process."""

import os
import subprocess
import sys

from xla_flags import QUICK, known_flags

INVENTED = "--xla_cpu_use_philosophers_stone=true"
START = "import jax; jax.numpy.zeros(3).block_until_ready()"


def starts(*flags: str) -> bool:
    environment = os.environ | {"XLA_FLAGS": " ".join(flags)}
    run = subprocess.run([sys.executable, "-c", START], env=environment, capture_output=True)
    return run.returncode == 0


def test_the_flags_that_are_kept_are_those_that_the_installed_xla_starts_with():
    """Asked of XLA itself, which dies of an unknown flag."""
    asked = (*QUICK, INVENTED)
    assert known_flags(asked) == [flag for flag in asked if starts(flag)]
    assert "--xla_backend_optimization_level=0" in known_flags(asked)
