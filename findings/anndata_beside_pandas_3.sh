#!/usr/bin/env bash
# anndata 0.12.6 writes no AnnData whose observations have names beside pandas 3.1.1: RuntimeError.
#
# Text is `str` in pandas 3, an extension array, which anndata takes for a nullable one and refuses to write
# unless a setting allows it. With pandas 2.3.3 the same lines write the file. What the setting writes, in
# pandas 3, is read back with the same names.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/try.py" <<'PY'
import sys
import tempfile
from pathlib import Path

import anndata
import numpy as np
import pandas as pd

names = ["first", "second", "third"]
cells = anndata.AnnData(np.eye(3, dtype=np.float32), obs=pd.DataFrame(index=names))
path = Path(tempfile.mkdtemp()) / "cells.h5ad"
try:
    cells.write_h5ad(path)
except RuntimeError as error:
    print("pandas", pd.__version__, type(error).__name__, error)
    assert "allow_write_nullable_strings" in str(error)
    refused = True
    anndata.settings.allow_write_nullable_strings = True
    cells.write_h5ad(path)
else:
    print("pandas", pd.__version__, "written")
    refused = False
assert list(anndata.read_h5ad(path).obs_names) == names
assert refused == (sys.argv[1] == "refused")
PY
for version in 3.1.1:refused 2.3.3:written; do
  python3 -m venv "$folder/${version%:*}"
  "$folder/${version%:*}/bin/pip" install --quiet anndata==0.12.6 "pandas==${version%:*}" numpy==2.4.6
  "$folder/${version%:*}/bin/python" "$folder/try.py" "${version#*:}"
done
