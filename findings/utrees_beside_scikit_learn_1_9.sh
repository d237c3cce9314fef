#!/usr/bin/env bash
# utrees 0.3.0 (UnmaskingTrees) cannot be fitted beside scikit-learn 1.9.1; beside 1.6.1 it can.
#
# Both are the newest releases and pip installs them together. The quantizer of utrees calls a private
# method of scikit-learn's base class that went in 1.7: AttributeError on any table.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat > "$folder/impute.py" <<'PY'
import sys

import numpy as np
from utrees import UnmaskingTrees

generator = np.random.default_rng(0)
x = generator.normal(size=(60, 2))
x[generator.random(x.shape) < 0.2] = np.nan
try:
    filled = UnmaskingTrees().fit(x).impute(n_impute=1, X=x)
except AttributeError as error:
    print(error)
    assert sys.argv[1] == "1.9.1", error
    assert "_validate_data" in str(error)
else:
    print("holes left:", int(np.isnan(filled).sum()))
    assert sys.argv[1] == "1.6.1"
PY
for version in 1.9.1 1.6.1; do
  "$folder/venv/bin/pip" install --quiet utrees==0.3.0 "scikit-learn==$version" xgboost==3.2.0 numpy==2.4.6
  "$folder/venv/bin/python" -W ignore "$folder/impute.py" "$version" 2> "$folder/progress"
done
