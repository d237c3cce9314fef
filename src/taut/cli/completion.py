"""`taut completion`."""

from typing import Literal

__all__ = ["completion"]


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print a script that lets a shell complete commands, options and choices.

    For bash, `taut completion bash > ~/.local/share/bash-completion/completions/taut`; for zsh, a file
    `_taut` in a folder of `$fpath`; for fish, `~/.config/fish/completions/taut.fish`.

    Parameters
    ----------
    shell
        bash, zsh or fish.
    """
    from taut.cli.main import whole_app

    print(whole_app().generate_completion(prog_name="taut", shell=shell))
