"""One of two hosts that infer together, of which one is lost: started by `test_infer_over_hosts`."""

import itertools
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpyro
from numpyro import distributions as dist

import taut
from taut.api.inferring import LOST
from taut.cli.infer import run_infer
from taut.core.hosts import from_first, over_hosts
from taut.inference.posterior import LogDensity, PosteriorOptions, minibatch_vi
from taut.recipe import ProgramRecipe
from taut.report import draw_posterior
from taut.runs import StagesByFirst

# Two hosts do not divide a minibatch of 7 rows.
GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=40)
ROWS = {"x": X.tolist(), "y": (1 + X / 2 + GENERATOR.normal(size=40)).tolist()}
OPTIONS: dict[str, Any] = {
    "subsample": {"rows": 7}, "num_starts": 1, "num_draws": 200, "precision_nats": 5.0,
}  # fmt: skip
STEPS = 100  # of each of two stages
LOST_AT = 4  # which is the second stage of steps
THIRD = 1 / 3  # which float32 does not hold


def line(x, y):
    offset = numpyro.sample("offset", dist.Normal(0.0, 2.0))
    slope = numpyro.sample("slope", dist.Normal(0.0, 2.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(offset + slope * x, 1.0), obs=y)


def steep(x, y):
    line(2 * x, y)


def recipe_in(folder: Path) -> ProgramRecipe:
    """That of `line` and the rows, which lie there."""
    options = PosteriorOptions(**OPTIONS)
    return ProgramRecipe(f"{__file__}:line", str(folder / "rows.json"), options)


def differing(index: int, folder: Path) -> dict[str, str]:
    """What is said where one thing is another on host 1."""
    alike: dict[str, Any] = {"target": line, "data": ROWS, "key": 0}
    other: dict[str, Any] = {
        "target": steep, "data": ROWS | {"x": ROWS["y"]}, "key": 1, "num_draws": 300,
    }  # fmt: skip
    said = {}
    for name, value in other.items():
        try:
            taut.infer(**OPTIONS | alike | ({name: value} if index else {}), out=folder / "refused")
        except taut.InputError as error:
            said[name] = str(error)
    return said


def rounds_otherwise() -> None:
    """This process is one whose processor has other last digits, and more of them than any."""
    values, both = LogDensity.values, LogDensity.__call__
    LogDensity.values = lambda self, z: values(self, z) * (1 + 1e-6)
    LogDensity.__call__ = lambda self, z: tuple(a * (1 + 1e-6) for a in both(self, z))


def killed_at(stage: int) -> None:
    """This process ends without a word where it comes to that stage of a run."""
    once, numbers = StagesByFirst.once, itertools.count()

    def until(self: Any, *arguments: Any) -> Any:
        if next(numbers) == stage:
            os.kill(os.getpid(), signal.SIGKILL)
        return once(self, *arguments)

    StagesByFirst.once = until


def main(address: str, index: int, folder: Path) -> None:
    minibatch_vi.STAGE_STEPS = STEPS
    draw_posterior.draw_posterior = lambda *_, **__: ()
    recipe = recipe_in(folder)
    if index == 1:
        rounds_otherwise()
    with over_hosts(address, host_index=index, host_count=2, remedy=LOST):
        said = {"third": float(from_first(np.float64(THIRD * (1 - index))))}
        said |= differing(index, folder)
        run_infer(recipe, folder / "together", json=True)
        run_infer(recipe, folder / "stopped", resume=True, json=True)
        (folder / f"said-{index}.json").write_text(json.dumps(said))
        sys.stdout.flush()
        if index == 1:
            killed_at(LOST_AT)
        run_infer(recipe, folder / "lost", json=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    except taut.TautError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
