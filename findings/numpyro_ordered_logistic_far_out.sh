#!/usr/bin/env bash
# NumPyro 0.22.0: OrderedLogistic gives -inf where a category has -42 nats.
#
# With the predictor at -40 and cut points -1 and 2 the last category has log-probability
# log sigmoid(-42) = -42. It is computed as the logarithm of a difference of probabilities that rounds to
# zero, also in float64: -inf, and no gradient.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 numpyro==0.22.0
"$folder/venv/bin/python" - <<'PY'
import jax
import jax.numpy as jnp
import numpyro.distributions as dist

with jax.enable_x64(True):
    found = float(dist.OrderedLogistic(-40.0, jnp.asarray([-1.0, 2.0])).log_prob(2))
    right = float(jax.nn.log_sigmoid(-42.0))
print(f"{found} nats, right {right:.3f}")
assert found == float("-inf")
PY
