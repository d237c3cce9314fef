#!/usr/bin/env bash
# NumPyro 0.22.0: the log-probability of a right-censored value is flat in the tail.
#
# RightCensoredDistribution takes log(1 - cdf), and holds 1 - cdf up by the smallest number that 1 can be
# told from: a value censored 12 standard deviations above the mean has -15.94 nats in float32 (-36.04 in
# float64) where log_ndtr gives -75.41, and its gradient in the mean is 0 where 12.08 is right. One such
# value no longer moves a posterior, and nothing says so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpyro==0.22.0 jax==0.10.2 scipy==1.17.1
"$folder/venv/bin/python" - <<'PY'
import jax
import numpyro.distributions as dist
from scipy.special import log_ndtr


def log_prob(mean):
    return dist.RightCensoredDistribution(dist.Normal(mean, 1.0), censored=True).log_prob(12.0)


for bits, flat in ((32, -15.942385), (64, -36.043653)):
    with jax.enable_x64(bits == 64):
        found, slope = jax.value_and_grad(log_prob)(0.0)
        print(f"float{bits}: {found:.4f} nats, gradient {slope:.4f}; right {log_ndtr(-12.0):.4f}")
        assert abs(found - flat) < 1e-5, found
        assert slope == 0, slope
PY
