"""EM of gmmx, a library of mixtures in JAX, in an environment of its own; called by `em.py`.

    python em_gmmx.py ROWS.npz FOUND.npz

ROWS holds `x` (N, D), `means` (K, D) and `iterations`. FOUND gets the seconds of the iterations and of
one more pass, without compilation, and the mean log-likelihood of what they end with, nats per row. All
is float32, for gmmx refuses float64.
"""

import sys
import time

import numpy as np
from gmmx import EMFitter, GaussianMixtureModelJax

given = np.load(sys.argv[1])
x, means = (given[name].astype(np.float32) for name in ("x", "means"))
number, columns = means.shape
start = GaussianMixtureModelJax.from_squeezed(
    means, np.tile(np.eye(columns, dtype=np.float32), (number, 1, 1)),
    np.full(number, 1 / number, np.float32),
)  # fmt: skip
fitter = EMFitter(max_iter=int(given["iterations"]), tol=0.0, reg_covar=1e-6)


def run() -> float:
    return float(fitter.fit(x, start).gmm.score(x))


run()  # compile
began = time.perf_counter()
score = run()
np.savez(sys.argv[2], seconds=time.perf_counter() - began, log_likelihood=score)
