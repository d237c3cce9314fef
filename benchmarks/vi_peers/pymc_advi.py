"""PyMC's ADVI or full-rank ADVI in a process and an environment of its own, with Adam.

    python pymc_advi.py POSTERIOR FAMILY PARTICLES STEP_SIZES SECONDS OUT.npz

The step size is a shared variable of the compiled step: every size is charged with one compilation.
"""

import sys
import time

IMPORTS = time.perf_counter()
import json  # noqa: E402
import os  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pymc as pm  # noqa: E402
import pytensor  # noqa: E402
from pymc_models import MODELS  # noqa: E402
from trajectory import Clock, Recorder, write  # noqa: E402

IMPORTS = time.perf_counter() - IMPORTS
METHODS = {"mean-field": pm.ADVI, "full-rank": pm.FullRankADVI}
CHUNK = 100  # steps between looks at the clock


def main(name: str, family: str, particles: int, sizes: list[float], limit: float, out: Path):
    data = read(name)
    clock = Clock()
    with pm.Model() as model:
        MODELS[name](data)
        inference = METHODS[family](random_seed=0)
    size = pytensor.shared(np.asarray(sizes[0]))
    step = inference.objective.step_function(
        obj_n_mc=particles, obj_optimizer=pm.adam(learning_rate=size), score=False
    )
    shared = clock.seconds()
    variables = [v for v in step.get_shared() if not hasattr(v.get_value(), "bit_generator")]
    start = [np.copy(v.get_value()) for v in variables]
    runs, rates = {}, []
    for value in sizes:
        for variable, first in zip(variables, start, strict=True):
            variable.set_value(np.copy(first))
        size.set_value(np.asarray(value))
        clock, steps = Clock(), 0
        run = runs[f"{value:g}"] = Recorder(clock, shared)
        while clock.seconds() < limit:
            for _ in range(CHUNK):
                step()
            steps += CHUNK
            if run.due():
                run.add(lambda: gaussian(inference.approx, model), steps)
        rates.append(steps / clock.seconds())
    facts = {"import_seconds": IMPORTS, "shared_seconds": shared, "steps_per_second": max(rates)}
    write(out, facts, runs)


def gaussian(approx, model):
    """Location and factor with its rows in the order of the latents' names."""
    group = approx.groups[0]
    values = {k: v.get_value() for k, v in group.params_dict.items()}
    loc, d = values["mu"], len(values["mu"])
    if "rho" in values:
        factor = np.diag(np.log1p(np.exp(values["rho"])))
    else:
        factor = np.zeros((d, d))
        factor[np.tril_indices(d)] = values["L_tril"]
        np.fill_diagonal(factor, np.log1p(np.exp(np.diagonal(factor))))
    names = {value.name: latent.name for value, latent in model.values_to_rvs.items()}
    places = {names[value]: np.arange(d)[found[1]] for value, found in group.ordering.items()}
    order = np.concatenate([places[name] for name in sorted(places)])
    return loc[order], factor[order]


def read(name: str):
    folder = Path(os.environ["TAUT_DATA"]) / "posteriordb"
    described = json.loads((folder / "posteriors" / f"{name}.json").read_text())
    content = json.loads((folder / "data" / f"{described['data_name']}.json").read_text())
    return {k: np.asarray(v, np.float64) if isinstance(v, list) else v for k, v in content.items()}


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(
        arguments[0], arguments[1], int(arguments[2]), [float(s) for s in arguments[3].split(",")],
        float(arguments[4]), Path(arguments[5]),
    )  # fmt: skip
