"""Steps per second of NumPyro's SVI scan with K draws a step, once compiled: the best of ten loops.

python numpyro_rate.py POSTERIOR FAMILY PARTICLES OUT.npz
"""

import json
import sys
import time
from pathlib import Path

import jax
import numpyro
from numpyro.infer import SVI, Trace_ELBO
from numpyro_svi import GUIDES, reference_posteriors

STEPS, LOOPS = 200, 10


def main(name: str, family: str, particles: int, out: Path) -> None:
    jax.config.update("jax_enable_x64", True)
    posterior = reference_posteriors.read(name)
    guide = GUIDES[family](posterior.program)
    svi = SVI(posterior.program, guide, numpyro.optim.Adam(1e-2), Trace_ELBO(particles))
    state = svi.init(jax.random.key(0), **posterior.data)

    @jax.jit
    def scan(state):
        return jax.lax.scan(lambda s, _: svi.update(s, **posterior.data), state, None, length=STEPS)

    state, losses = scan(state)
    losses.block_until_ready()
    best = float("inf")
    for _ in range(LOOPS):
        began = time.perf_counter()
        scan(state)[1].block_until_ready()
        best = min(best, time.perf_counter() - began)
    out.with_suffix(".json").write_text(json.dumps({"steps_per_second": STEPS / best}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
