#!/usr/bin/env bash
# NumPyro 0.22.0: a normal truncated to its upper tail loses its normalizer; the mirror image keeps it.
#
# TruncatedNormal(0, 1, low=8, high=9) at 8.1 takes the difference of two values of the distribution
# function that are both next to 1: +inf nats in float32, 1.221 in float64. The same density written for
# the lower tail, low=-9, high=-8 at -8.1, gives 1.28968, which is right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpyro==0.22.0 jax==0.10.2 scipy==1.17.1
"$folder/venv/bin/python" - <<'PY'
import jax
import numpyro.distributions as dist
from scipy.stats import truncnorm

right = truncnorm.logpdf(8.1, 8, 9)
for bits, wrong in ((32, float("inf")), (64, 1.2211)):
    with jax.enable_x64(bits == 64):
        upper = float(dist.TruncatedNormal(0.0, 1.0, low=8.0, high=9.0).log_prob(8.1))
        lower = float(dist.TruncatedNormal(0.0, 1.0, low=-9.0, high=-8.0).log_prob(-8.1))
        print(f"float{bits}: upper tail {upper:.5f}, lower tail {lower:.5f}, right {right:.5f}")
        assert upper == wrong or abs(upper - wrong) < 1e-4, upper
        assert abs(lower - right) < 1e-5, lower
PY
