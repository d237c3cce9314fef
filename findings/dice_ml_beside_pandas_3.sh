#!/usr/bin/env bash
# dice-ml 0.12 finds no counterfactual for a float32 frame beside pandas 3.1.1: TypeError; float64 is fine.
#
# Its random search writes Python floats into a frame of the query's type, which pandas 2 widened with a
# warning and pandas 3 refuses. Half of the tables that come out of JAX or torch are float32.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dice-ml==0.12 pandas==3.1.1 scikit-learn==1.9.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import dice_ml
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

generator = np.random.default_rng(0)
for dtype in (np.float32, np.float64):
    x = pd.DataFrame(generator.normal(size=(200, 2)).astype(dtype), columns=["a", "b"])
    y = (x.a + x.b > 0).astype(int)
    classifier = LogisticRegression().fit(x, y)
    data = dice_ml.Data(
        dataframe=x.assign(y=y), continuous_features=["a", "b"], outcome_name="y"
    )
    search = dice_ml.Dice(data, dice_ml.Model(model=classifier, backend="sklearn"), method="random")
    try:
        found = search.generate_counterfactuals(
            x[:1], total_CFs=1, desired_class="opposite", random_seed=0, verbose=False
        )
    except TypeError as error:
        print(dtype.__name__, error)
        assert dtype is np.float32, error
        assert "float32" in str(error)
    else:
        print(dtype.__name__, len(found.cf_examples_list[0].final_cfs_df), "found")
        assert dtype is np.float64
PY
