"""EM of StepMix for rows with holes, in an environment of its own; called by `em.py`.

    python em_peers.py ROWS.npz FOUND.npz

ROWS holds `x` (N, D) with NaN in the holes, `components` and `iterations`. FOUND gets the seconds of the
fit, the parameters it ends with and their mean log-likelihood, nats per row.
"""

import sys
import time
import warnings

import numpy as np
from stepmix.stepmix import StepMix

warnings.simplefilter("ignore")  # that it has not converged
given = np.load(sys.argv[1])
model = StepMix(
    int(given["components"]), measurement="gaussian_diag_nan", max_iter=int(given["iterations"]),
    abs_tol=0.0, rel_tol=0.0, random_state=0, progress_bar=0,
)  # fmt: skip
start = time.perf_counter()
model.fit(given["x"])
seconds = time.perf_counter() - start
found = model.get_parameters()
np.savez(
    sys.argv[2], seconds=seconds, log_likelihood=model.score(given["x"]),
    weights=found["weights"], **found["measurement"],
)  # fmt: skip
