"""`VAE`: a variational autoencoder of rows."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from taut.sklearn.callback_tasks import with_callbacks
from taut.sklearn.parameters import Parameter, whole
from taut.sklearn.trained import TRAINING, AbstractTrained

__all__ = ["VAE"]


class VAE(AbstractTrained):
    """A variational autoencoder, which gives latents, rows and bounds of log-likelihoods.

    `score_samples` is a lower bound in expectation, of `draws` draws that are the same for every row.
    NaN is a cell that was not observed.

    Arguments:
        n_components: number of latent dimensions.
        hidden: widths of the hidden layers of the encoder, and in reverse of the decoder; None for the
            own ones of `taut.VAE`.
        prior: of the latents, by name, such as `vamp:100`; None for a standard normal.
        guide: family of q(z | x), by name, such as `iaf:4`; None for independent Gaussians.
        likelihood: of a row, by name; None for what the values look like.
        bound: what is raised, such as `iwae`; None for the ELBO.
        draws: of z for each row, that `score_samples` looks at.
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

    Weights of rows are taken by `score` alone: rows go into batches one by one, so that a weight of 2
    is not a row that occurs twice.

    Example:
        ```python
        latents = VAE(2, random_state=0).fit_transform(X)
        ```
    """

    parameters: ClassVar[Mapping[str, Parameter]] = {
        "n_components": whole(1, 2), "draws": whole(1, 100), **TRAINING,
    }  # fmt: skip

    def __init__(
        self,
        n_components: Any = 2,
        *,
        hidden: Any = None,
        prior: Any = None,
        guide: Any = None,
        likelihood: Any = None,
        bound: Any = None,
        draws: Any = 100,
        learning_rate: Any = 1e-3,
        max_epochs: Any = None,
        batch_size: Any = None,
        patience: Any = 20,
        validation_fraction: Any = 0.1,
        precision: Any = "float32",
        random_state: Any = None,
    ):
        self.n_components = n_components
        self.hidden = hidden
        self.prior = prior
        self.guide = guide
        self.likelihood = likelihood
        self.bound = bound
        self.draws = draws
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.precision = precision
        self.random_state = random_state

    @with_callbacks
    def fit(self, X: Any, y: Any = None) -> "VAE":
        """Fit the rows of X, (N, D); y is not looked at.

        Raises:
            ValueError: a parameter or the rows cannot be used.
        """
        self._trained(X, y)
        return self

    def _choices(self, x: Float[np.ndarray, "N D"]) -> dict[str, Any]:
        return {
            "model": "vae", "latent_dim": self.n_components, "hidden": self.hidden,
            "prior": self.prior, "guide": self.guide, "likelihood": self.likelihood,
            "bound": self.bound,
        }  # fmt: skip
