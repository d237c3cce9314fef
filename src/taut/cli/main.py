"""The command line: parse, run, print; one line on standard error when something is wrong.

Exit codes: 0 done, 1 the run failed or nobody reads its results, 2 the input cannot be used; 130
interrupted by Ctrl-C, and 128 and the number of another signal that ended the run.
"""

import contextlib
import errno
import gc
import os
import shlex
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter

from taut import __version__
from taut.cli.pages import is_page, show_page
from taut.errors import InputError, RunError, TautError, option
from taut.program_cache import compilation_cache
from taut.signals import Interrupted, ending_signals

__all__ = ["COMMANDS", "app_for", "main", "whole_app"]

_HELP = """Fit latent-variable models by maximising the evidence lower bound, and say in nats, with
standard errors, how tight it is.

Start with `taut fit digits`, then `taut show`, `taut evaluate` and `taut sample` on the run folder it
names. Every command takes --json for machine-readable output and --debug for tracebacks."""

_OF_PATHS = (
    errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT,
    errno.ENOTDIR, errno.EPERM, errno.EROFS,
)  # fmt: skip
_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# Where each command is, and what the list of them says; imported when it is called for.
COMMANDS = {
    "fit": ("taut.cli.fit:fit_command", "Fit a model to data and measure it on held-out rows."),
    "resume": ("taut.cli.resume:resume", "Go on with a run that was stopped, to the same result."),
    "em": ("taut.cli.em:em_command", "Fit a mixture or factor model by EM; its evidence is exact."),
    "infer": (
        "taut.cli.infer:infer_command",
        "The posterior of a program, and whether to believe it.",
    ),
    "refit-prior": (
        "taut.cli.refit_prior:refit_prior",
        "Fit another prior to a finished VAE; say what it gains.",
    ),
    "evaluate": (
        "taut.cli.evaluate:evaluate",
        "Log-evidence of held-out rows, with its reliability.",
    ),
    "calibrate": (
        "taut.cli.calibrate:calibrate",
        "Whether the guide is the posterior, on rows that the model makes.",
    ),
    "audit": ("taut.cli.audit:audit", "Where the ELBO of a run loses nats, and what to try."),
    "explain": (
        "taut.cli.explain:explain",
        "What would have to change in rows for a classifier to answer otherwise.",
    ),
    "score": ("taut.cli.score:score", "How odd rows are, among held-out ones, and by which cell."),
    "sample": ("taut.cli.explore:sample", "Draw new rows from a fitted model."),
    "fidelity": (
        "taut.cli.fidelity:fidelity",
        "How like real rows the rows are that a model makes.",
    ),
    "reconstruct": ("taut.cli.explore:reconstruct", "Encode rows and decode them again."),
    "impute": ("taut.cli.impute:impute", "Fill in the missing cells of rows."),
    "predict": ("taut.cli.predict:predict", "Predict the target of rows, with probabilities."),
    "encode": ("taut.cli.explore:encode", "Write the latent features of rows."),
    "interpolate": ("taut.cli.explore:interpolate", "Decode the line between two encoded rows."),
    "figures": ("taut.cli.figures:figures", "Draw the figures of a run again."),
    "show": ("taut.cli.show:show", "Print a run's results and how it was made."),
    "list": ("taut.cli.list:list_runs", "List the runs in a folder, with their log-evidence."),
    "report": (
        "taut.cli.report:report",
        "Write what is known of runs as one HTML file.",
    ),
    "compare": (
        "taut.cli.evaluate:compare",
        "Paired differences between runs on the same rows.",
    ),
    "gradients": (
        "taut.cli.gradients:gradients",
        "Bias, variance and cost of gradient estimators.",
    ),
    "completion": (
        "taut.cli.completion:completion",
        "Print a script that completes commands and options in a shell.",
    ),
}


def app_for(arguments: Sequence[str]) -> App:
    """The application; a command whose options follow from its choices is made for these arguments."""
    app = _bare_app()
    for name, (place, summary) in COMMANDS.items():
        if place.endswith("_command") and name in arguments[:1]:
            app.command(_made(place, arguments), name=name)
        elif name in arguments[:1]:
            app.command(place, name=name)  # whose own docstring says more than the list of commands
        else:
            app.command(place, name=name, help=summary)
    return app


def whole_app() -> App:
    """The application with all commands made, whatever they import."""
    app = _bare_app()
    for name, (place, summary) in COMMANDS.items():
        made = _made(place, [name]) if place.endswith("_command") else place
        app.command(made, name=name, help=summary)
    return app


def _bare_app() -> App:
    return App(
        name="taut",
        help=_HELP,
        version=__version__,
        help_format="markdown",
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(show_default=_shown),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    Arguments:
        arguments: of the command; None for those of this process, which then ends.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    with ending_signals(for_good=arguments is None):
        try:
            return _run(given, keeps_pages=arguments is None)
        except KeyboardInterrupt as interrupt:
            found = Interrupted.of(interrupt)
            goes_on = f"; `{shlex.join(['taut', *given])}` goes on" if found.kept else ""
            with contextlib.suppress(OSError):  # a terminal that is closed takes no line
                _complain(f"{found}{goes_on}")
            return found.exit_code


def _run(arguments: list[str], *, keeps_pages: bool = False) -> int:
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    _collect_rarely()
    try:
        if keeps_pages and is_page(arguments):
            show_page(arguments, lambda: _parse_and_run(arguments))
        else:
            with compilation_cache():
                _parse_and_run(arguments)
        sys.stdout.flush()
    except CycloptsError as error:
        if debug:
            raise
        from taut.cli.mistyped import mistyped

        _complain(mistyped(error, list(COMMANDS)).worded("command line"))
        return 2
    except TautError as error:
        if debug:
            raise
        _complain(error.worded("command line"))
        return error.exit_code
    except BrokenPipeError:
        if debug:
            raise
        _write_to_nobody()
        return 1
    except (OSError, MemoryError) as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None  # a closed terminal, while the display was taken down
        if debug:
            raise
        told = _of_the_system(error)
        _complain(told.worded("command line"))
        return told.exit_code
    return 0


def _parse_and_run(arguments: list[str]) -> None:
    app_for(arguments)(
        arguments, exit_on_error=False, print_error=False, result_action="return_value"
    )


def _of_the_system(error: OSError | MemoryError) -> TautError:
    """What the system does not do, as a message: a path that cannot be used, or no room."""
    if isinstance(error, OSError) and error.errno in _OF_PATHS:
        path = str(error.filename)
        return InputError(
            "a path that can be used", str(error.strerror), "another path",
            where=path if len(path) <= 80 else f"{path[:40]}...{path[-30:]}",
        )  # fmt: skip
    if isinstance(error, OSError) and error.errno in _OF_DISKS:
        return RunError(
            "room on the disk", str(error.strerror), f"making room, or another {option('out')}"
        )
    return RunError(
        "room for what the command makes", str(error) or "no memory left",
        "another disk, a smaller model, or --debug for the traceback",
    )  # fmt: skip


def _shown(default: object) -> str | None:
    """A default as help shows it; None for one that says nothing."""
    return None if default in (False, None) else str(default)


def _made(place: str, arguments: Sequence[str]):
    import importlib

    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)(arguments)


def _write_to_nobody() -> None:
    """Whoever read standard output has gone, as `head` does: what is left for them goes nowhere."""
    with contextlib.suppress(OSError, ValueError):  # one that is no file of the system
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(line: str) -> None:
    """One line, whatever the names and contents of files have in them: no line ends, no colours."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
    print(f"taut: {shown}", file=sys.stderr)


def _collect_rarely() -> None:
    """Importing and tracing make millions of objects that stay: by default Python searches them for
    cyclic garbage again and again, over a sixth of the time to the first step."""
    gc.set_threshold(1_000_000)
