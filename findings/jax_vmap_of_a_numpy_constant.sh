#!/usr/bin/env bash
# JAX 0.10.2: a function with a derivative of its own fails in jit where vmap runs over a NumPy array.
#
# `jit` of a function that maps `m * relu(x)` over a NumPy array which it closes over ends in an
# AssertionError about a non-canonical constant. The same array as a JAX array works, as does the NumPy
# array without vmap.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2
"$folder/venv/bin/python" - <<'PY'
import jax
import jax.numpy as jnp
import numpy as np

rows = np.float32([1, 2, 3])


def products(rows):
    return jax.jit(lambda m: jax.vmap(lambda x: m * jax.nn.relu(x))(rows))(2.0)


print("JAX array:", products(jnp.asarray(rows)))
try:
    print(products(rows))
except AssertionError as error:
    print("NumPy array: AssertionError:", str(error).splitlines()[0])
    assert "non-canonical" in str(error)
else:
    raise SystemExit("no error any more")
PY
