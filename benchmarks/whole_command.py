"""What a user waits for: processor seconds of whole commands and scripts, and memory of one array.

    em        `taut em` on 20,000 x 20 rows with 10 components and on 1,000 x 5 with 3, full covariances,
              against a script of scikit-learn's with its single default start and with equal restarts
              and tolerance; the cache of compiled programs is warm
    growth    processor seconds of one iteration on 50,000 x 20 rows, from 10 to 128 components
    infer     a script that asks `taut.infer` of eight schools, first and second process, over imports
    help      `taut --help` and `taut fit --help`
    memory    the most that reading a .npy file takes over what the imports take, and one epoch of a VAE
              and two iterations of EM from it on, in sizes of the file

Sides are asked in turn within a round; the figure to quote is the median over rounds of the ratio within
a round. Processor seconds are those that the system charges the process and its children: on a machine
that does other work, too, they say more than those of a clock.

    python benchmarks/whole_command.py [--rounds 5] [--only em,growth,infer,help,memory] [--file-mib 200]
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from record import save_result

TAUT = (sys.executable, "-m", "taut")
TOLERANCE, RESTARTS = 1e-4, 4  # taut's own

REFERENCE = """
import sys
import numpy as np
from sklearn.mixture import GaussianMixture

x = np.load(sys.argv[1])
order = np.random.default_rng(0).permutation(len(x))
train, test = x[order[: int(0.8 * len(x))]], x[order[int(0.9 * len(x)):]]
starts, tolerance = int(sys.argv[3]), float(sys.argv[4])
model = GaussianMixture(int(sys.argv[2]), n_init=starts, tol=tolerance, max_iter=1000, random_state=0)
model.fit(train)
print(model.score(test))
"""

SCHOOLS = """
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
import taut
import taut.api


def schools(sigma, y=None):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("schools", 8):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


sigma = jnp.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
y = jnp.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
"""
ASKED = "taut.infer(schools, data={'sigma': sigma, 'y': y})\n"

ITERATION = """
import json
import resource
import jax
import jax.numpy as jnp
import numpy as np
from taut.inference.exact import RowBlocks, expectation_step
from taut.models import GaussianMixture


def seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


x, found = np.random.default_rng(0).normal(size=(50_000, 20)), {}
with jax.enable_x64(True):
    for number in (10, 20, 40, 48, 56, 64, 80, 96, 128):
        scale = jnp.tile(jnp.eye(20), (number, 1, 1))
        model = GaussianMixture(jnp.zeros(number), jnp.asarray(x[:number]), scale, "full")
        rows, times = RowBlocks(x), []
        for _ in range(6):
            begun = seconds()
            jax.block_until_ready(expectation_step(model, rows))
            times.append(seconds() - begun)
        found[number] = min(times[1:])
print(json.dumps(found))
"""

READING = """
import json
import resource
import sys
import taut
import taut.api
import taut.data


def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


before = most()
data = taut.load_data(sys.argv[1], stream="no")
found = {"read": most() - before}
if sys.argv[2] == "fit":
    taut.fit(
        data, model=taut.VAE(latent_dim=2, hidden=(16,)), epochs=1, patience=0,
        evidence_particles=2, progress=False,
    )
else:
    model = taut.GMM(components=2, covariance="diag")
    taut.em(data, model=model, restarts=1, max_iterations=2, progress=False)
print(json.dumps({**found, sys.argv[2]: most() - before}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--file-mib", type=int, default=200)
    options = parser.parse_args()
    content: dict[str, Any] = {"rounds": options.rounds, "load": os.getloadavg()}
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        environment = {**os.environ, "XDG_CACHE_HOME": str(here / "cache")}
        for own in ("PYTHONDONTWRITEBYTECODE", "JAX_COMPILATION_CACHE_DIR"):
            environment.pop(own, None)

        def processor_seconds(*command: object) -> tuple[float, str]:
            return _run(list(map(str, command)), here, environment)

        for part in options.only.split(","):
            content[part] = PARTS[part](processor_seconds, here, options)
            print(part, json.dumps(content[part], indent=2))
    parts = "" if options.only == ",".join(PARTS) else "_" + options.only.replace(",", "_")
    print(save_result(f"whole_command{parts}", content))


Run = Callable[..., tuple[float, str]]


def em(run: Run, here: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Whole commands against scikit-learn's whole scripts, with the likelihoods of held-out rows."""
    return {
        f"{rows} x {columns}, {number} components": _em(run, here, rows, columns, number, options)
        for rows, columns, number in ((20_000, 20, 10), (1_000, 5, 3))
    }


def _em(
    run: Run, here: Path, rows: int, columns: int, number: int, options: argparse.Namespace
) -> dict[str, Any]:
    path = here / f"rows-{rows}.npy"
    np.save(path, _mixture(rows, columns, number))

    def taut() -> tuple[float, float]:
        out = here / f"em-{rows}"
        seconds, _ = run(*TAUT, "em", path, "--components", number, "--out", out, "--force")
        summary = json.loads((out / "summary.json").read_text())
        return seconds, summary["estimates"]["log_evidence"]["value"]

    def reference(starts: int, tolerance: float) -> tuple[float, float]:
        seconds, printed = run(sys.executable, "-c", REFERENCE, path, number, starts, tolerance)
        return seconds, float(printed)

    taut()  # fills the cache
    sides = {
        "taut": taut,
        "scikit-learn, one start": lambda: reference(1, 1e-3),
        "scikit-learn, equal": lambda: reference(RESTARTS, TOLERANCE),
    }
    rounds = [{name: side() for name, side in sides.items()} for _ in range(options.rounds)]
    seconds = [{name: one[0] for name, one in each.items()} for each in rounds]
    return {
        "seconds": seconds,
        "over one start": _median_ratio(seconds, "taut", "scikit-learn, one start"),
        "over equal": _median_ratio(seconds, "taut", "scikit-learn, equal"),
        "log_evidence": {name: one[1] for name, one in rounds[0].items()},
    }


def growth(run: Run, here: Path, options: argparse.Namespace) -> dict[str, Any]:
    """One iteration by components, and how far any lies above the line from the first to the last."""
    _, printed = run(sys.executable, "-c", ITERATION)
    seconds = {int(number): value for number, value in json.loads(printed).items()}
    low, high = min(seconds), max(seconds)
    slope = (seconds[high] - seconds[low]) / (high - low)
    line = {k: seconds[low] + slope * (k - low) for k in seconds}
    return {"seconds": seconds, "above the line": max(seconds[k] / line[k] - 1 for k in seconds)}


def infer(run: Run, here: Path, options: argparse.Namespace) -> dict[str, Any]:
    """A script's first process and those after it, less a script that only imports."""
    script, imports = here / "schools.py", here / "imports.py"
    script.write_text(SCHOOLS + ASKED)
    imports.write_text(SCHOOLS)
    run(sys.executable, imports)  # byte code
    first = run(sys.executable, script)[0] - run(sys.executable, imports)[0]
    later = [
        run(sys.executable, script)[0] - run(sys.executable, imports)[0]
        for _ in range(options.rounds)
    ]
    return {"first": first, "later": later, "median": statistics.median(later)}


def help(run: Run, here: Path, options: argparse.Namespace) -> dict[str, Any]:  # noqa: A001
    """The list of commands, and the options of one."""
    commands = {"taut --help": ("--help",), "taut fit --help": ("fit", "--help")}
    return {
        name: statistics.median(run(*TAUT, *words)[0] for _ in range(options.rounds))
        for name, words in commands.items()
    }


def memory(run: Run, here: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Files of float32, float64 and bytes: images that a VAE is fitted to, tables that a mixture is."""
    cells, found = options.file_mib * 2**20, {"file_mib": options.file_mib}
    for form in ("float32", "float64", "uint8"):
        found[form] = {}
        for what, shape in (("fit", (28, 28)), ("em", (64,))):
            path = here / f"{form}.npy"
            rows = cells // (int(np.prod(shape)) * np.dtype(form).itemsize)
            stored = np.lib.format.open_memmap(path, mode="w+", dtype=form, shape=(rows, *shape))
            for first in range(0, rows, 4096):
                last = min(first + 4096, rows)
                some = np.random.default_rng(first).integers(0, 256, size=(last - first, *shape))
                stored[first:last] = some if form == "uint8" else some / 7.0
            stored.flush()
            del stored
            _, printed = run(sys.executable, "-c", READING, path, what)
            size = path.stat().st_size
            taken = {name: count / size for name, count in json.loads(printed).items()}
            found[form] |= {f"read, {what}": taken["read"], what: taken[what]}
            path.unlink()
    return found


PARTS: dict[str, Callable[[Run, Path, argparse.Namespace], dict[str, Any]]] = {
    part.__name__: part for part in (em, growth, infer, help, memory)
}


def _run(command: list[str], here: Path, environment: Mapping[str, str]) -> tuple[float, str]:
    """Processor seconds of a command with its children, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, cwd=here, env=dict(environment), capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:4])} failed:\n{done.stdout}{done.stderr}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, done.stdout


def _median_ratio(seconds: list[dict[str, float]], above: str, below: str) -> float:
    return statistics.median(each[above] / each[below] for each in seconds)


def _mixture(rows: int, columns: int, number: int) -> np.ndarray:
    """Draws of a mixture of correlated Gaussians."""
    generator = np.random.default_rng(0)
    centers = 1.5 * generator.normal(size=(number, columns))
    factors = generator.normal(size=(number, columns, columns)) / np.sqrt(columns)
    owner = generator.integers(0, number, rows)
    noise = generator.normal(size=(rows, columns))
    return centers[owner] + np.einsum("nd,ned->ne", noise, factors[owner])


if __name__ == "__main__":
    main()
