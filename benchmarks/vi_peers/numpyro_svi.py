"""NumPyro SVI in a process of its own: AutoNormal or AutoMultivariateNormal, Adam, one scan a chunk.

    python numpyro_svi.py POSTERIOR FAMILY PARTICLES STEP_SIZES SECONDS OUT.npz

The scan over `svi.update` is that of `svi.run`, in chunks, so that guides can be recorded between them.
The step size is an argument of the compiled program: every size is charged with one compilation.
"""

import sys
import time

IMPORTS = time.perf_counter()
import copy  # noqa: E402
from pathlib import Path  # noqa: E402

import jax  # noqa: E402
import numpy as np  # noqa: E402
import numpyro  # noqa: E402
from numpyro.infer import SVI, Trace_ELBO  # noqa: E402
from numpyro.infer.autoguide import AutoMultivariateNormal, AutoNormal  # noqa: E402
from trajectory import Clock, Recorder, write  # noqa: E402

IMPORTS = time.perf_counter() - IMPORTS
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import reference_posteriors  # noqa: E402

GUIDES = {"mean-field": AutoNormal, "full-rank": AutoMultivariateNormal}
CHUNK = 200  # steps between checkpoints


def main(name: str, family: str, particles: int, sizes: list[float], limit: float, out: Path):
    posterior = reference_posteriors.read(name)
    jax.config.update("jax_enable_x64", True)
    clock = Clock()
    data = {
        k: jax.numpy.asarray(v) if hasattr(v, "shape") else v for k, v in posterior.data.items()
    }
    guide = GUIDES[family](posterior.program)
    svi = SVI(posterior.program, guide, numpyro.optim.Adam(sizes[0]), Trace_ELBO(particles))
    state = svi.init(jax.random.key(0), **data)
    arrays = {k: v for k, v in data.items() if hasattr(v, "shape")}
    rest = {k: v for k, v in data.items() if k not in arrays}

    def chunk(state, size, arrays):
        sized = copy.copy(svi)
        sized.optim = numpyro.optim.Adam(size)
        update = lambda s, _: sized.update(s, **arrays, **rest)  # noqa: E731
        return jax.lax.scan(update, state, None, length=CHUNK)

    compiled = jax.jit(chunk).lower(state, sizes[0], arrays).compile()
    shared = clock.seconds()
    runs, rates = {}, []
    for size in sizes:
        clock, here, steps = Clock(), state, 0
        run = runs[f"{size:g}"] = Recorder(clock, shared)
        while clock.seconds() < limit:
            here, losses = compiled(here, size, arrays)
            losses.block_until_ready()
            steps += CHUNK
            if run.due():
                run.add(lambda here=here: gaussian(guide, svi.get_params(here)), steps)
        rates.append(steps / clock.seconds())
    facts = {"import_seconds": IMPORTS, "shared_seconds": shared, "steps_per_second": max(rates)}
    write(out, facts, runs)


def gaussian(guide, params):
    """Location and scale, or factor, in the order of the sites' names."""
    if "auto_loc" in params:
        return params["auto_loc"], params["auto_scale_tril"]
    sites = sorted(guide._init_locs)  # the order of a raveled dictionary
    parts = [[np.ravel(params[f"{s}_auto_{part}"]) for s in sites] for part in ("loc", "scale")]
    return tuple(np.concatenate(part) for part in parts)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(
        arguments[0], arguments[1], int(arguments[2]), [float(s) for s in arguments[3].split(",")],
        float(arguments[4]), Path(arguments[5]),
    )  # fmt: skip
