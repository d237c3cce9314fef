"""`taut.infer` in a process of its own, one run.

    python taut_infer.py POSTERIOR FAMILY SEED OUT.npz

Its one checkpoint is the guide that it stopped at by itself, the check that nothing remains to be gained
included; weighing the draws comes afterwards. Steps are evaluations of the sample average with its
gradient; the steps per second are those of climbs over draws that the ascent itself began with.
"""

import sys
import time

IMPORTS = time.perf_counter()
from pathlib import Path  # noqa: E402

import jax  # noqa: E402
import numpy as np  # noqa: E402
from trajectory import Clock, Recorder, write  # noqa: E402

import taut  # noqa: E402
from taut.inference import Gaussian, GaussianAscent, LogDensity  # noqa: E402

IMPORTS = time.perf_counter() - IMPORTS
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import reference_posteriors  # noqa: E402

_SIZE = 8  # of the first draws, in the ascent's own units
_RATE_SECONDS = 1.0


def main(name: str, family: str, seed: int, out: Path) -> None:
    posterior = reference_posteriors.read(name)
    clock = Clock()
    fitted = taut.infer(posterior.program, data=posterior.data, guide=family, key=seed)
    whole = clock.seconds()
    reached = fitted.seconds["reading"] + fitted.seconds["ascent"]
    with jax.enable_x64(True):
        loc, factor = gaussian(fitted)
        num_draws, rate = steps_per_second(fitted, family == "mean-field", loc, factor)
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


def steps_per_second(fitted, diagonal: bool, loc, factor) -> tuple[int, float]:
    """Draws a step, and steps a second once compiled, over climbs from a guide ten times as wide."""
    log_density = LogDensity(fitted.model, fitted.datum)
    ascent = GaussianAscent(log_density, fitted.model.dim, diagonal=diagonal)
    draws = ascent.draws(np.random.default_rng(0), _SIZE)
    start = Gaussian(loc, 10 * factor)
    ascent.maximise(start, draws, tolerance=1e-3)
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < _RATE_SECONDS:
        steps += ascent.maximise(start, draws, tolerance=1e-3).num_steps
    return len(draws), steps / (time.perf_counter() - began)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
