"""A classifier two-sample test: whether boosted trees can tell two tables apart.

    score = 1 - (2 max(AUC, 1/2) - 1)

with the area under the curve of three-fold cross-validation: 1 where the tables are indistinguishable to
the trees, 0 where they are told apart without fault (Lopez-Paz and Oquab 2017).
"""

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["indistinguishable"]

_FOLDS = 3
_MOST_CATEGORIES = 255  # of a column, that the trees take; more of them are numbers to them


def indistinguishable(
    real: Float[np.ndarray, "N D"],
    other: Float[np.ndarray, "M D"],
    category: Bool[np.ndarray, " D"],
    *,
    generator: np.random.Generator,
) -> float:
    """The score of the test; NaN for tables of fewer rows than folds.

    Arguments:
        real: rows, NaN where a cell is missing.
        other: those that are to be like them; as many as there are of the smaller table are taken.
        category: which columns hold codes.
        generator: of the rows that are taken and of the folds.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from threadpoolctl import threadpool_limits

    count = min(len(real), len(other))
    if count < _FOLDS:
        return np.nan
    a, b = (rows[generator.permutation(len(rows))[:count]] for rows in (real, other))
    # A hole tells what is real where only real rows have holes: each row lends its own to another.
    b = np.where(np.isnan(a), np.nan, b)
    a = np.where(np.isnan(b), np.nan, a)
    x, y = np.concatenate([a, b]), np.repeat([0, 1], count)
    most = np.nanmax(np.where(np.isnan(x), 0, x), axis=0)
    trees = HistGradientBoostingClassifier(
        categorical_features=category & (most < _MOST_CATEGORIES),
        random_state=int(generator.integers(2**31)),
    )
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=int(generator.integers(2**31)))
    # Threads of OpenMP wait for each other by spinning: beside other work a fit takes 40 times as long.
    with threadpool_limits(1, user_api="openmp"):
        area = float(cross_val_score(trees, x, y, cv=folds, scoring="roc_auc").mean())
    return 1 - (2 * max(area, 0.5) - 1)
