"""The command line: parse, run, print; one line on standard error when something is wrong.

Exit codes: 0 done, 1 the run failed, 2 the input cannot be used, 130 interrupted.
"""

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, CycloptsError

from taut import __version__
from taut.cli.em import em
from taut.cli.evaluate import compare, evaluate
from taut.cli.explore import encode, interpolate, reconstruct, sample
from taut.cli.fit import fit
from taut.cli.gradients import gradients
from taut.cli.infer import infer
from taut.cli.resume import resume
from taut.cli.show import show
from taut.errors import TautError

__all__ = ["app", "main"]

_HELP = """Fit latent-variable models by maximising the evidence lower bound, and say in nats, with
standard errors, how tight it is.

Start with `taut fit digits`, then `taut show`, `taut evaluate` and `taut sample` on the run folder it
names. Every command takes --json for machine-readable output and --debug for tracebacks."""

app = App(
    name="taut",
    help=_HELP,
    version=__version__,
    help_format="markdown",
    suppress_keyboard_interrupt=False,
)
COMMANDS = (
    fit, resume, em, infer, evaluate, sample, reconstruct, encode, interpolate, show, compare,
    gradients,
)  # fmt: skip
for command in COMMANDS:
    app.command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    _use_compilation_cache()
    _collect_rarely()
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        if debug:
            raise
        _complain(" ".join(str(error).split()))
        return 2
    except TautError as error:
        if debug:
            raise
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        _complain(str(interrupt) or "interrupted")
        return 130
    except (OSError, MemoryError) as error:
        if debug:
            raise
        _complain(f"{error}. Try another disk, a smaller model, or --debug for the traceback.")
        return 1
    return 0


def _complain(line: str) -> None:
    print(f"taut: {line}", file=sys.stderr)


def _collect_rarely() -> None:
    """Importing and tracing make millions of objects that stay: by default Python searches them for
    cyclic garbage again and again, over a sixth of the time to the first step."""
    gc.set_threshold(1_000_000)


def _use_compilation_cache() -> None:
    """Compiled programs outlive the process; JAX reads these when it is first imported."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "taut" / "jax"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
