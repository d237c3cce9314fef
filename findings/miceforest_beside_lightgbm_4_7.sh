#!/usr/bin/env bash
# miceforest 6.0.5 cannot impute beside LightGBM 4.7.0: mean matching ends in a TypeError; 4.5.0 is fine.
#
# Both are the newest releases and pip installs them together, since miceforest asks for any LightGBM from
# 4.1.0 on. It calls a private method of the booster, whose signature changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat > "$folder/impute.py" <<'PY'
import sys

import miceforest
import numpy as np
import pandas as pd

generator = np.random.default_rng(0)
x = generator.normal(size=(200, 3))
x[generator.random(x.shape) < 0.2] = np.nan
kernel = miceforest.ImputationKernel(pd.DataFrame(x, columns=["a", "b", "c"]), random_state=0)
try:
    kernel.mice(1)
except TypeError as error:
    print(error)
    assert sys.argv[1] == "4.7.0", error
    assert "__inner_predict" in str(error)
else:
    print("holes left:", int(kernel.complete_data(0).isna().sum().sum()))
    assert sys.argv[1] == "4.5.0"
PY
for version in 4.7.0 4.5.0; do
  "$folder/venv/bin/pip" install --quiet miceforest==6.0.5 "lightgbm==$version" pandas==3.1.1 numpy==2.4.6
  "$folder/venv/bin/python" "$folder/impute.py" "$version"
done
