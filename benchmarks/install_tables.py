"""The page on installation: what each package is for, with the sizes in `benchmarks/results`."""

import json
from pathlib import Path
from typing import Any

__all__ = ["EXTRAS", "USES", "page"]

RESULT = Path(__file__).resolve().parent / "results" / "install_size.json"

USES = {
    "blackjax": "Pathfinder starts of posteriors",
    "cyclopts": "the command line",
    "equinox": "models, guides and networks as modules",
    "flowjax": "its bijections as layers of flows",
    "jax": "arrays, derivatives, programs that jaxlib compiles",
    "jaxtyping": "shapes in signatures",
    "matplotlib": "figures of runs, audits and reports",
    "narwhals": "data frames of any library as data",
    "numpy": "arrays in files and in memory",
    "numpyro": "leaf distributions, programs",
    "optax": "optimizers",
    "pillow": "folders of images as data, pictures in reports",
    "rich": "tables and progress in the terminal",
    "safetensors": "arrays of run folders",
    "scikit-learn": "the digits, `taut.sklearn`, classifiers, nearest neighbours",
    "scipy": "sparse counts, `.mat` and `.mtx` files, special functions, tests",
    "threadpoolctl": "threads of k-means starts and of an audit's classifier",
    "tomli-w": "`config.toml` of run folders",
}
"""What each dependency of `pyproject.toml` is for."""

EXTRAS = {
    "anndata": "`.h5ad` files",
    "arviz": "posteriors as ArviZ's `InferenceData`",
    "cuda": "NVIDIA GPUs",
    "mlflow": "`taut.callbacks.MLflow`",
    "tables": "CSV and other text tables, Parquet, and columns of text in data frames",
    "tensorboard": "`taut.callbacks.TensorBoard`",
    "torch": "PyTorch modules as encoders, decoders and classifiers",
}
"""What each extra of `pyproject.toml` for users reads, writes or runs."""


def page() -> str:
    """The page, of the file that `install_size.py` wrote."""
    found = json.loads(RESULT.read_text())
    packages, seconds = found["packages"], found["seconds"]
    by_size = sorted(packages, key=lambda name: -packages[name]["mib"])
    own = packages["taut"]["mib"]
    tables = sum(package["mib"] for package in found["tables"].values())
    lines = [
        "# What is installed", "",
        "`pip install .` in a copy of the repository installs the library and the command `taut`: all",
        "that `taut fit digits`, arrays, `.npy`, `.npz`, `.mat` and IDX files and folders of images "
        f"need, {found['mib']:.0f} MiB,",
        f"{own:.1f} of them taut. `import taut` takes {seconds['import taut']:.2f} seconds, "
        f"`taut --help` {seconds['taut --help']:.2f}. The rest are extras:", "",
        "```sh", 'pip install ".[tables]"', "```", "",
        "| extra | for |", "|---|---|",
        *(f"| `{name}` | {_with_size(name, use, tables)} |" for name, use in EXTRAS.items()), "",
        "A command or function that lacks its extra says which in one line.", "",
        "## What each package is for", "",
        "| package | version | MiB | for | needed by |", "|---|---|---|---|---|",
        *(_row(name, packages) for name in by_size if name != "taut"), "",
        f"Measured by `benchmarks/install_size.py`, byte code left out, on {found['date']} with Python "
        f"{found['versions']['python']}.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _with_size(name: str, use: str, tables: float) -> str:
    return f"{use} (Polars, {tables:.0f} MiB)" if name == "tables" else use


def _row(name: str, packages: dict[str, Any]) -> str:
    """One package: its own use, where taut names it, and which packages need it."""
    needing = [other for other, package in packages.items() if name in package["needs"]]
    package, use = packages[name], USES.get(name, "")
    return (
        f"| {name} | {package['version']} | {package['mib']:.1f} | {use} | "
        f"{', '.join(sorted(needing, key=lambda other: (other != 'taut', other)))} |"
    )
