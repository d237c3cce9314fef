"""`taut.infer` in a process of its own, one run.

    python taut_infer.py POSTERIOR FAMILY SEED PRECISION OUT.npz

Its one checkpoint is the guide that it stopped at by itself, the check that nothing remains to be gained
included; weighing the draws comes afterwards. Steps are evaluations of the sample average with its
gradient. The steps per second are those of one compiled maximisation from a narrow Gaussian, over as
many draws as the fit itself begins with: the best of ten.
"""

import sys
import time

IMPORTS = time.perf_counter()
from pathlib import Path  # noqa: E402

import jax  # noqa: E402
import numpy as np  # noqa: E402
from trajectory import Clock, Recorder, write  # noqa: E402

import taut  # noqa: E402
from taut.inference.posterior import Gaussian, GaussianFamily, LogDensity  # noqa: E402
from taut.inference.posterior.gaussian_family import maximise_gaussian  # noqa: E402

taut.cache(False)  # what it takes to compile is part of the run
IMPORTS = time.perf_counter() - IMPORTS
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import reference_posteriors  # noqa: E402

_SIZE = 8  # of the first draws, in the family's own units
_NARROW = 1e-6  # of a start: many steps lead away from it
_STEPS, _LOOPS = 200, 10


def main(name: str, family: str, seed: int, precision: float, out: Path) -> None:
    posterior = reference_posteriors.read(name)
    clock = Clock()
    fitted = taut.infer(
        posterior.program, data=posterior.data, guide=family, key=seed, precision_nats=precision
    )
    whole = clock.seconds()
    reached = fitted.seconds["reading"] + fitted.seconds["ascent"]
    with jax.enable_x64(True):
        loc, factor = gaussian(fitted)
        num_draws, rate = steps_per_second(fitted, family == "mean-field", loc)
    run = Recorder(clock)
    order = places(fitted.model)
    run.add(lambda: (loc[order], factor[order]), fitted.trace[-1].num_steps)
    run.seconds = [reached]
    facts = {
        "import_seconds": IMPORTS,
        "seconds_with_weighing": whole,
        "num_draws": num_draws,
        "steps_per_second": rate,
    }
    write(out, facts, {"default": run})


def gaussian(fitted):
    """Location and factor in the order of z."""
    q = fitted.guide(fitted.datum)
    if hasattr(q, "covariance_matrix"):
        return np.asarray(q.mean), np.linalg.cholesky(np.asarray(q.covariance_matrix))
    return np.asarray(q.mean), np.diag(np.sqrt(np.asarray(q.variance)))


def places(model):
    """The coordinates of z in the order of the sites' names."""
    parts = model.layout.parts(np.arange(model.dim))
    return np.concatenate([np.ravel(parts[name]) for name in sorted(parts)])


def steps_per_second(fitted, diagonal: bool, loc) -> tuple[int, float]:
    """Draws a step, and steps a second once compiled, of a maximisation that only its step size ends."""
    log_density = LogDensity(fitted.model, fitted.datum)
    family = GaussianFamily(log_density, fitted.model.dim, diagonal=diagonal)
    draws = family.draws(np.random.default_rng(0), _SIZE)
    start, best = Gaussian(loc, _NARROW * np.eye(len(loc))), 0.0
    for _ in range(_LOOPS + 1):  # the first one compiles
        began = time.perf_counter()
        found = maximise_gaussian(
            log_density, start, draws, diagonal=diagonal, tolerance=0.0, max_steps=_STEPS
        )
        best = max(best, found.num_steps / (time.perf_counter() - began))
    return len(draws), best


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), Path(sys.argv[5]))
