#!/usr/bin/env bash
# JAX 0.10.2: a captured NumPy array keeps the precision in which a program first met it.
#
# A function that closes over a float64 NumPy array is compiled in JAX's default precision, then used under
# `jax.enable_x64(True)`. While the first program is kept, the trace holds the array as float32 beside
# float64 arguments, and `jit` of the same function ends in a ValueError: it cannot be lowered. Without the
# first program, or with a fresh copy of the array, the same lines give float64.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/try.py" <<'PY'
import sys

import jax
import jax.numpy as jnp
import numpy as np

centre = np.array([0.1, 0.2])


def centred(centre):
    return lambda x: x * centre


def wide(function):
    with jax.enable_x64(True):
        return jax.jit(function)(jnp.ones(2)).dtype


if sys.argv[1] == "alone":
    assert wide(centred(centre)) == np.float64
    print(jax.__version__, "alone: float64")
else:
    kept = jax.jit(centred(centre))
    kept(jnp.ones(2))
    assert wide(centred(centre.copy())) == np.float64
    try:
        print(wide(centred(centre)))
    except ValueError as error:
        print(jax.__version__, "after float32: ValueError:", str(error).splitlines()[0])
        assert "Cannot lower jaxpr" in str(error)
    else:
        raise SystemExit("the array has the precision of now: this finding is over")
PY
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2 numpy==2.4.6
for way in alone after; do
  "$folder/venv/bin/python" "$folder/try.py" "$way"
done
