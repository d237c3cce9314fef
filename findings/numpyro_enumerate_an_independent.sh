#!/usr/bin/env bash
# NumPyro 0.22.0: Independent says that its values can be listed, and cannot list them.
#
# `Bernoulli(p).to_event(1)` has `has_enumerate_support` True, as its base has; `enumerate_support()` then
# raises a NotImplementedError without a message. A program that asks before it enumerates is told yes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 numpyro==0.22.0
"$folder/venv/bin/python" - <<'PY'
import jax.numpy as jnp
import numpyro.distributions as dist

fn = dist.Bernoulli(jnp.full(3, 0.5)).to_event(1)
print("has_enumerate_support:", fn.has_enumerate_support)
assert fn.has_enumerate_support
try:
    fn.enumerate_support()
except NotImplementedError as error:
    print("enumerate_support(): NotImplementedError", repr(str(error)))
else:
    raise SystemExit("it lists them by now")
PY
