#!/usr/bin/env bash
# NumPyro 0.22.0: a narrow censoring interval silently becomes a density.
#
# IntervalCensoredDistribution takes an interval whose ends are close for an exact observation: for
# [1000, 1000.005] under Normal(1000, 1) it gives -0.919, the log-density at a point, where the
# probability of the interval has -6.217 nats. Numbers of two measures are then added up.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 scipy==1.17.1 numpyro==0.22.0
"$folder/venv/bin/python" - <<'PY'
import math

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from scipy.stats import norm

with jax.enable_x64(True):
    no = jnp.asarray(False)
    fn = dist.IntervalCensoredDistribution(dist.Normal(1000.0, 1.0), no, no)
    found = float(fn.log_prob(jnp.asarray([1000.0, 1000.005])))

right = math.log(norm.cdf(0.005) - norm.cdf(0.0))
print(f"{found:.3f} nats, right {right:.3f}")
assert abs(found - norm.logpdf(0.0)) < 1e-3
assert abs(found - right) > 5
PY
