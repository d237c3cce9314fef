"""`taut completion`."""

from typing import Annotated, Literal

from cyclopts import Parameter

from taut.cli.output import print_json

__all__ = ["completion"]


def completion(
    shell: Literal["bash", "zsh", "fish"],
    /,
    *,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Print a script that lets a shell complete commands, options and choices.

    For bash, `taut completion bash > ~/.local/share/bash-completion/completions/taut`; for zsh, a file
    `_taut` in a folder of `$fpath`; for fish, `~/.config/fish/completions/taut.fish`.

    Parameters
    ----------
    shell
        bash, zsh or fish.
    json
        Print the script as JSON.
    """
    from taut.cli.main import whole_app

    script = whole_app().generate_completion(prog_name="taut", shell=shell)
    if json:
        print_json({"shell": shell, "script": script})
    else:
        print(script)
