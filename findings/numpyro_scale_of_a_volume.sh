#!/usr/bin/env bash
# NumPyro 0.22.0: handlers.scale scales the Jacobian of a latent's own transform, too.
#
# A latent t ~ LogNormal(0, 1) inside scale(scale=w) has log-density w log p(t); the potential is that over
# log t, so the volume log t is to be added once. NumPyro adds it w times: the posterior of t under weights
# hangs on the coordinate that NUTS moves in, and is not the one of p(t)^w. Of a latent on the whole line
# nothing is wrong.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpyro==0.22.0 jax==0.10.2
"$folder/venv/bin/python" - <<'PY'
import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.handlers import scale
from numpyro.infer.util import initialize_model

jax.config.update("jax_enable_x64", True)


def program():
    with scale(scale=0.5):
        numpyro.sample("t", dist.LogNormal(0.0, 1.0))


found = initialize_model(jax.random.key(0), program)
u = 1.3  # log t
potential = float(found.potential_fn({"t": jnp.asarray(u)}))
density = 0.5 * float(dist.LogNormal(0.0, 1.0).log_prob(jnp.exp(u)))
print(f"log-density over log t: {-potential:.4f}; log p(t)^w + log t = {density + u:.4f}")
print(f"with the volume scaled, too: {density + 0.5 * u:.4f}")
assert abs(-potential - (density + 0.5 * u)) < 1e-9
assert abs(-potential - (density + u)) > 0.5
PY
