#!/usr/bin/env bash
# NumPyro 0.22.0: the gradient of DoublyTruncatedPowerLaw in its lower bound is wrong; its value is right.
#
# For exponent -3 between low = 0.5 and 8 the log-density at 0.5625 changes with low by 4.016 (the
# normalizer in closed form, and differences of the values that NumPyro itself gives); its derivative by
# JAX is 11.326. A posterior of the bound is climbed along another function than the one reported.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 numpyro==0.22.0
"$folder/venv/bin/python" - <<'PY'
import jax
import jax.numpy as jnp
import numpyro.distributions as dist


def log_prob(low):
    fn = dist.DoublyTruncatedPowerLaw(jnp.asarray(-3.0), low, jnp.asarray(8.0))
    return fn.log_prob(jnp.asarray(0.5625))


with jax.enable_x64(True):
    slope = float(jax.grad(log_prob)(0.5))
    step = 1e-5
    right = float((log_prob(0.5 + step) - log_prob(0.5 - step)) / (2 * step))
print(f"gradient {slope:.4f}, difference of values {right:.4f}")
assert abs(right - 4.0157) < 1e-3
assert abs(slope - 11.3256) < 1e-3
PY
