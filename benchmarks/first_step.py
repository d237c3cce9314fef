"""Run a command of taut up to the end of its first step, and print when that was.

    fit         the first dispatch of training steps
    em          the first M-step
    evaluate    the first chunk of weighted draws of the first rows

    python benchmarks/first_step.py SECONDS_SINCE_EPOCH COMMAND [ARGUMENTS]

Prints the seconds since the given time, the start of the process as its parent saw it.
"""

import contextlib
import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

# Module and function whose first return ends the first step. `fit` compiles the steps in one function
# and runs them in the one that this returns.
STEPS = {
    "fit": ("taut.training.loop", "compiled_steps"),
    "em": ("taut.inference.exact.em", "_maximization"),
    "evaluate": ("taut.evidence.draws", "_mint"),
}


class Done(BaseException):
    """The first step is done."""


def main() -> None:
    command = sys.argv[2]
    from taut.cli import main as cli
    from taut.program_cache import compilation_cache

    module, name = STEPS[command]
    with compilation_cache():  # before JAX is imported, as the command line has it
        loaded = importlib.import_module(module)
    original = getattr(loaded, name)

    def stopping(function: Callable[..., Any]) -> Callable[..., Any]:
        def once(*arguments: Any, **named: Any) -> Any:
            import jax

            jax.block_until_ready(function(*arguments, **named))
            raise Done

        return once

    made = (lambda *a: stopping(original(*a))) if command == "fit" else stopping(original)
    setattr(loaded, name, made)
    with contextlib.suppress(Done):
        cli.main(sys.argv[2:])
        raise SystemExit(f"{command} took no step")
    print(time.time() - float(sys.argv[1]))


if __name__ == "__main__":
    main()
