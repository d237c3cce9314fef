"""Pages that are made of the program: its commands, its public names, its theorems, its benchmarks, and
what an installation holds."""

import contextlib
import importlib
import inspect
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import get_origin

import benchmark_tables
import install_tables

from taut.cli.main import COMMANDS
from taut.cli.main import main as taut_command

__all__ = ["write"]

_MODULES = {
    "taut": "What most programs need.",
    "taut.architectures": "Named models: each makes a model p(x, z) and a guide q(z given x) for data.",
    "taut.bounds": "Functions of log-weights: the ELBO and its relatives.",
    "taut.gradients": "Estimators of a bound's gradient.",
    "taut.guides": "q(z given x).",
    "taut.evidence": "Estimates of log p(x).",
    "taut.inference": "How parameters are found: choices with claims.",
    "taut.models": "p(x, z): priors, likelihoods, exact models.",
    "taut.callbacks": "What is told of a fit while it runs, and loggers.",
    "taut.counterfactuals": "What would have to change in a row for a classifier to say what is wanted.",
    "taut.networks": "Encoders and decoders.",
    "taut.sklearn": "Estimators of scikit-learn.",
    "taut.distributions": "Leaf distributions that NumPyro lacks, and divergences.",
}


def write(docs: Path) -> None:
    """Write every page anew; one that has not changed keeps its time, so that it is not built again."""
    pages = {"reference/command-line.md": _commands(), "benchmarks.md": _benchmarks()}
    pages["install.md"] = install_tables.page()
    pages |= {f"reference/{module}.md": _names(module) for module in _MODULES}
    pages |= _theorems(docs.parent / "tests" / "theorems")
    for place, text in pages.items():
        path = docs / place
        path.parent.mkdir(exist_ok=True)
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def _commands() -> str:
    """The help of every command."""
    parts = ["# The command line\n\nAs each command prints it with `--help`.\n"]
    for name in COMMANDS:
        parts.append(f"## taut {name}\n\n```text\n{_help([name])}\n```\n")
    return "\n".join(parts)


def _help(words: list[str]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        taut_command([*words, "--help"])
    return "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())


def _names(module: str) -> str:
    """The public names of a module; those without a docstring end the build."""
    found = importlib.import_module(module)
    parts = [f"# {module}\n\n{_MODULES[module]}\n"]
    for name in found.__all__:
        value = getattr(found, name)
        if inspect.ismodule(value):
            continue
        if isinstance(value, Mapping):
            named = ", ".join(f"`{key}`" for key in value)
            parts.append(f"## {name}\n\nA registry, by name: {named}.\n")
            continue
        if get_origin(value) is not None or not callable(value):
            parts.append(f"## {name}\n\n`{value!r}`\n")
            continue
        if not inspect.getdoc(value):
            raise ValueError(f"{module}.{name} has no docstring")
        kind = "autoclass" if inspect.isclass(value) else "autofunction"
        options = {"no-index": ""}
        if inspect.isclass(value):
            options["members"] = ""
            # What scikit-learn adds refers to its own glossary.
            added = [n for n in vars(value) if n.startswith("set_") and n.endswith("_request")]
            if added:
                options["exclude-members"] = ", ".join(added)
        shown = "".join(
            f"   :{option}: {words}".rstrip() + "\n" for option, words in options.items()
        )
        parts.append(f"## {name}\n\n```{{eval-rst}}\n.. {kind}:: {module}.{name}\n{shown}```\n")
    return "\n".join(parts)


def _theorems(folder: Path) -> dict[str, str]:
    """A page for each statement that is tested, and the list of them."""
    pages, lines = {}, []
    for path in sorted(folder.glob("test_*.py")):
        name = path.stem.removeprefix("test_")
        said = inspect.cleandoc(_docstring(path))
        title = name.replace("_", " ").capitalize()
        pages[f"theorems/{name}.md"] = (
            f"# {title}\n\n```text\n{said}\n```\n\nThe test:\n\n"
            f"```{{literalinclude}} ../../tests/theorems/{path.name}\n:language: python\n```\n"
        )
        lines.append(name)
    pages["theorems/index.md"] = (
        "# Theorems\n\nEvery statement of the theory that taut relies on has a test named after it, "
        "which compares taut with\nan independent route: enumeration, quadrature, a closed form.\n\n"
        "```{toctree}\n:maxdepth: 1\n\n" + "\n".join(lines) + "\n```\n"
    )
    return pages


def _docstring(path: Path) -> str:
    found = re.match(r'"""(.*?)"""', path.read_text(), re.S)
    assert found is not None, f"{path} does not say what it shows"
    return found[1]


def _benchmarks() -> str:
    """What the scripts in `benchmarks/` measured."""
    return (
        "# Benchmarks\n\nEach row is made of a JSON file that a script in `benchmarks/` wrote, with "
        "commit, versions and\nhardware, against peers in the same run.\n\n"
        + benchmark_tables.tables()
        + "\n"
    )
