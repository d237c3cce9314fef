#!/usr/bin/env bash
# safetensors 0.8.0: a bfloat16 NumPy array can be saved but not loaded.
#
# `safetensors.numpy.save` takes an array of ml_dtypes.bfloat16, which is what JAX hands to NumPy, and
# writes a valid file; `safetensors.numpy.load` of that file ends in KeyError BF16. The bytes are whole:
# saving a view as uint16 with the type beside it avoids the loss.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6 ml_dtypes==0.6.0
"$folder/venv/bin/python" - <<'PY'
import ml_dtypes
import numpy as np
from safetensors.numpy import load, save

content = save({"array": np.ones(3, ml_dtypes.bfloat16)})
try:
    load(content)
except KeyError as error:
    print("saved", len(content), "bytes; load: KeyError", error)
    assert str(error) == repr("BF16")
else:
    raise SystemExit("it loads by now")
PY
