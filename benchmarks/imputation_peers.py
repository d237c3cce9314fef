"""Imputation by other libraries, in an environment of their own; called by `imputation.py`.

    python imputation_peers.py METHOD ROWS.npz FILLED.npz

ROWS holds `x` (N, D) with NaN in the holes, `category` (D,), and the number of draws asked for. FILLED
gets `point` (N, D), `draws` (S, N, D) where the method has some, and `seconds`, fit included, by the
clock and of the processor.
"""

import sys
import time

import numpy as np

SEED = 0


def knn(x, category, draws):
    from sklearn.impute import KNNImputer

    low, size = np.nanmin(x, 0), np.ptp(np.where(np.isnan(x), np.nanmean(x, 0), x), axis=0)
    size = np.where(size > 0, size, 1.0)
    return KNNImputer().fit_transform((x - low) / size) * size + low, None


def iterative(x, category, draws):
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    point = IterativeImputer(max_iter=20, random_state=SEED).fit_transform(x)
    made = [
        IterativeImputer(max_iter=20, sample_posterior=True, random_state=s).fit_transform(x)
        for s in range(draws)
    ]
    return point, np.stack(made)


def missforest(x, category, draws):
    """Random forests in turns (Stekhoven and Buehlmann 2012), by scikit-learn's parts: 100 trees of
    sqrt(D) candidates, ten rounds at most, numbers alone."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    trees = RandomForestRegressor(100, max_features="sqrt", random_state=SEED)
    return IterativeImputer(trees, max_iter=10, random_state=SEED).fit_transform(x), None


def miceforest(x, category, draws):
    import miceforest as mf
    import pandas as pd

    frame = pd.DataFrame(x, columns=[f"c{i}" for i in range(x.shape[1])])
    for i in np.flatnonzero(category):
        frame[f"c{i}"] = frame[f"c{i}"].astype("category")
    kernel = mf.ImputationKernel(frame, num_datasets=draws, random_state=SEED)
    kernel.mice(5, num_threads=1)
    made = np.stack([kernel.complete_data(s).to_numpy().astype(float) for s in range(draws)])
    return made.mean(0), made


def utrees(x, category, draws):
    from utrees import UnmaskingTrees

    quantize = ["categorical" if named else "continuous" for named in category]
    model = UnmaskingTrees(random_state=SEED)
    model.fit(x, quantize_cols=quantize)
    made = np.stack(model.impute(n_impute=draws)).astype(float)
    return made.mean(0), made


METHODS = {f.__name__: f for f in (knn, iterative, missforest, miceforest, utrees)}


def main(method: str, source: str, target: str) -> None:
    given = np.load(source)
    begun = time.perf_counter(), time.process_time()
    point, made = METHODS[method](given["x"], given["category"], int(given["draws"]))
    more = {} if made is None else {"draws": made}
    seconds = (time.perf_counter() - begun[0], time.process_time() - begun[1])
    np.savez(target, point=point, seconds=seconds, **more)


if __name__ == "__main__":
    main(*sys.argv[1:])
