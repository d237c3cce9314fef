#!/usr/bin/env bash
# safetensors 0.8.0: a NumPy array in Fortran order comes back as another matrix.
#
# `safetensors.numpy.save` writes the memory of the array as it lies and its shape beside it; `load` reads
# it in C order. [[0, 1, 2], [3, 4, 5]] in Fortran order is saved and loaded as [[0, 3, 1], [4, 2, 5]],
# without an error or a warning. `np.ascontiguousarray` before saving avoids it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import numpy as np
from safetensors.numpy import load, save

array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
back = load(save({"array": array}))["array"]
print("saved", array.tolist(), "loaded", back.tolist())
assert back.tolist() == [[0.0, 3.0, 1.0], [4.0, 2.0, 5.0]], back
PY
