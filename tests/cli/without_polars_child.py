"""What needs no table, in a process without Polars: started by `test_without_polars`, prints JSON."""

import contextlib
import io
import json
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import numpy as np

RNG = np.random.default_rng(0)
PROGRAM = """
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def heights():
    mean = numpyro.sample("mean", dist.Normal(170, 20))
    numpyro.sample("y", dist.Normal(mean, 5.0), obs=jnp.array([171.0, 168, 183]))
"""
QUICK = ["--latent-dim", "2", "--hidden", "8", "--evidence-particles", "20"]
EM = ["--components", "2", "--max-iterations", "3"]
COMMANDS = (
    ["fit", "digits", "--epochs", "1", "--out", "vae", *QUICK],
    ["evaluate", "vae", "--method", "importance", "--num-particles", "20"],
    ["sample", "vae", "-n", "3", "--out", "samples.csv"],
    ["encode", "vae"],
    ["report", "vae"],
    ["em", "rows.npz", "--model", "gmm", "--out", "gmm", *EM],
    ["impute", "gmm"],
    ["infer", "program.py", "--out", "posterior", "--num-draws", "100"],
    ["report", "posterior"],
    ["list", "."],
    ["encode", "vae", "--out", "latents.parquet"],
    ["em", "rows.csv"],
)


class Absent(MetaPathFinder):
    """A package that is not installed."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname.split(".")[0] == "polars":
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def commands() -> list[tuple[str, int, str]]:
    """Each command, its exit code, and what it printed on standard error."""
    from taut.cli.main import main

    np.savez("rows.npz", np.where(RNG.random((60, 3)) < 0.1, np.nan, RNG.normal(size=(60, 3))))
    Path("rows.csv").write_text("a,b\n1,2\n3,4\n")
    Path("program.py").write_text(PROGRAM)
    found = []
    for words in COMMANDS:
        said = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            code = main(list(words))
        found.append((" ".join(words), code, said.getvalue()))
    return found


def estimators() -> dict[str, list[int]]:
    """Shapes of what estimators of scikit-learn make of arrays."""
    from taut.sklearn import VAE, Imputer, Mixture, SemiSupervisedClassifier

    x = RNG.normal(size=(60, 3))
    holed = x.copy()
    holed[0, 0] = np.nan
    objects = x.astype(object)
    objects[1, 1] = None
    mixed = Mixture(2, columns="mixed", max_iter=3, random_state=0)
    classes = np.where(np.arange(60) < 30, np.arange(60) % 2, -1)
    semi = SemiSupervisedClassifier(VAE(hidden=(4,), max_epochs=1), method="m2")
    return {
        "numbers": Mixture(2, max_iter=3).fit(x).predict(x).shape,
        "mixed": mixed.fit(objects).sample(5)[0].shape,
        "filled": Imputer(mixed).fit_transform(holed).shape,
        "classes": semi.fit(x, classes).predict_proba(x).shape,
    }


if __name__ == "__main__":
    sys.meta_path.insert(0, Absent())
    print(json.dumps({"commands": commands(), "estimators": estimators()}))
