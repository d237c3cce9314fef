#!/usr/bin/env bash
# JAX 0.10.2: `split(key, n)[i]` is the key that `fold_in(key, i)` gives.
#
# Both are ways to new keys, and a program may well use both on one key: split for its rows, a step number
# folded in. With the default generator (threefry, partitionable) the two agree bit for bit, and what looks
# like independent draws are the same numbers twice.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet jax==0.10.2
"$folder/venv/bin/python" - <<'PY'
import jax

key = jax.random.key(0)
split = [jax.random.normal(k).item() for k in jax.random.split(key, 4)]
folded = [jax.random.normal(jax.random.fold_in(key, i)).item() for i in range(4)]
print("split  ", split)
print("fold_in", folded)
assert split == folded
PY
