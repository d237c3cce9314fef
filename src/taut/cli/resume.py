"""`taut resume`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from taut.cli.fit import run_fit
from taut.cli.options import merged, read_config
from taut.errors import InputError

__all__ = ["resume"]


def resume(run: Path, /, *, json: Annotated[bool, Parameter(negative=())] = False) -> None:
    """Go on with a run that was stopped, from its last checkpoint, to the same result.

    A run of `taut infer` keeps no checkpoints: it is repeated from the start, to the same result.

    Parameters
    ----------
    run
        Run folder; data and options are those of its config.toml.
    json
        Print the results as JSON on standard output.
    """
    from taut.runs.run_folder import RunFolder

    folder = RunFolder.open(run)
    if folder.is_finished:
        from taut.cli.show import show

        show(run, json=json)
        return
    if "program" in (saved := folder.read_config()):
        from taut.cli.infer import InferOptions, run_infer

        program, data = saved.pop("program"), saved.pop("data", None)
        data = None if data is None else Path(data)
        given = InferOptions.from_config(saved)
        run_infer(program, data, run, given, force=True, json=json)
        return
    config = read_config(folder.path / "config.toml")
    if "data" not in config:
        raise InputError(
            "a run whose data have a name", "one of data that came in memory",
            f"taut.fit(the same data and options, out={str(run)!r}, resume=True)", where=str(run),
        )  # fmt: skip
    run_fit(config.pop("data"), merged(None, config), run, resume=True, json=json)
