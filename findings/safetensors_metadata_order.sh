#!/usr/bin/env bash
# safetensors 0.8.0: two pieces of metadata, and equal content has other bytes from call to call.
#
# save({"a": zeros}, {"x": "1", "y": "2"}) writes the two names now in one order, now in the other, so that
# a checksum of the file tells nothing of its content. With one name, or none, the bytes stay the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import numpy as np
from safetensors.numpy import save

arrays = {"a": np.zeros(1), "b": np.zeros(2)}
for metadata in ({}, {"x": "1"}, {"x": "1", "y": "2"}):
    found = {save(arrays, metadata) for _ in range(64)}
    print(f"{len(metadata)} pieces of metadata: {len(found)} contents of the file in 64 calls")
    assert len(found) == max(len(metadata), 1)
PY
