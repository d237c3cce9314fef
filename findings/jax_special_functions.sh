#!/usr/bin/env bash
# JAX 0.10.2: betaln at small and log_ndtr at large arguments lose half of the digits of float64.
#
# betaln(1, 8) is -2.0794406 where -log 8 = -2.0794415 is right: 9e-7 off, a billion roundings.
# log_ndtr is off by 4e-9 at -20, where it goes over to its asymptotic series. Densities inherit both:
# GammaPoisson(1, 1) of NumPyro 0.22.0 at 7 is 9e-7 off.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 scipy==1.17.1 numpyro==0.22.0
"$folder/venv/bin/python" - <<'PY'
import math

import jax
import numpyro.distributions as dist
from jax.scipy.special import betaln, log_ndtr
from scipy.special import log_ndtr as right_log_ndtr

with jax.enable_x64(True):
    beta = float(betaln(1.0, 8.0)) + math.log(8)
    tail = float(log_ndtr(-20.0)) - right_log_ndtr(-20.0)
    count = float(dist.GammaPoisson(1.0, 1.0).log_prob(7)) + 8 * math.log(2)
print(f"off by: betaln {beta:.2g}, log_ndtr {tail:.2g}, GammaPoisson {count:.2g}")
assert 9e-7 < beta < 1e-6
assert 3e-9 < abs(tail) < 5e-9
assert 9e-7 < abs(count) < 1e-6
PY
