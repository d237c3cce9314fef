"""`Flow`: a normalizing flow of rows."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from taut.architectures import Flow as FlowArchitecture
from taut.sklearn.callback_tasks import with_callbacks
from taut.sklearn.parameters import Parameter
from taut.sklearn.trained import TRAINING, AbstractTrained

__all__ = ["Flow"]


class Flow(AbstractTrained):
    """A normalizing flow: `transform` maps rows to latents, and `score_samples` is exact.

    Arguments:
        layers: names of layers with commas between them, from the data to z, such as `spline-maf:4`;
            None for those of `taut.Flow`, after `dequantize` where every value is a whole number.
        hidden: widths of the networks inside the layers; None for the own ones of `taut.Flow`.
        learning_rate: step size.
        max_epochs: passes over the rows at most; None for as many as make 6000 steps.
        batch_size: rows of a step; None for 128, or all if there are fewer.
        patience: validations without a better value before training stops; 0 never stops early.
        validation_fraction: the share of the rows that decides when to stop and trains nothing.
        precision: `float32` or `float64`, also of what `transform` gives.
        random_state: seed or generator of everything random.

    Attributes:
        fit_: the fitted model, a `taut.Fit`.
        n_iter_: steps that were made.

    Where a layer draws, as `dequantize` does, `score_samples` is a lower bound in expectation; of values
    on a grid, such as those with one decimal, it is of log-probabilities. Weights of rows are taken by
    `score` alone: rows go into batches one by one.

    Example:
        ```python
        densities = Flow(random_state=0).fit(X).score_samples(X)
        ```
    """

    parameters: ClassVar[Mapping[str, Parameter]] = TRAINING
    holes: ClassVar[bool] = False

    def __init__(
        self,
        layers: Any = None,
        *,
        hidden: Any = None,
        learning_rate: Any = 1e-3,
        max_epochs: Any = None,
        batch_size: Any = None,
        patience: Any = 20,
        validation_fraction: Any = 0.1,
        precision: Any = "float32",
        random_state: Any = None,
    ):
        self.layers = layers
        self.hidden = hidden
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.precision = precision
        self.random_state = random_state

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> "Flow":
        """Fit the rows of X, (N, D); y is not looked at.

        Raises:
            ValueError: a parameter or the rows cannot be used.
        """
        self._trained(X, y)
        return self

    def _support(self) -> str | None:
        return "real"

    def _choices(self, x: Float[np.ndarray, "N D"]) -> dict[str, Any]:
        layers = self.layers
        if layers is None:
            own = FlowArchitecture.layers
            layers = f"dequantize,{own}" if np.all(x == np.floor(x)) else own
        return {"model": "flow", "layers": layers, "hidden": self.hidden}
