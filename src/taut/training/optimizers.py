"""The optimizers that have a name.

    adam    Kingma and Ba, Adam: a method for stochastic optimization (ICLR 2015)
    sgd     plain gradients
    muon    Jordan et al., Muon: an optimizer for hidden layers in neural networks (2024)

Muon makes the momentum of the weights of a fully connected layer orthogonal, so that a step goes as far
along each of their singular directions. Its step size is the root mean square of what a weight moves,
whatever the layer's shape (Liu et al., Muon is scalable for LLM training, 2025): near Adam's, whose
rates hold for it. Three Newton-Schulz iterations follow a preconditioning that replaces the first ones
(Boissin et al., Turbo-Muon, 2025).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import optax
from optax.contrib import MuonDimensionNumbers

__all__ = ["OPTIMIZERS"]


def _muon(learning_rate: Any) -> optax.GradientTransformation:
    return optax.contrib.muon(
        learning_rate,
        ns_steps=3,
        preconditioning="aol",
        consistent_rms=1.0,
        muon_weight_dimension_numbers=_weight_matrices,
    )


def _weight_matrices(parameters: Any) -> Any:
    """Where a weight matrix is; None elsewhere, which is Adam's with Nesterov's momentum."""

    def matrix(path: tuple[Any, ...], leaf: Any) -> MuonDimensionNumbers | None:
        named = path and getattr(path[-1], "name", None) == "weight"
        return MuonDimensionNumbers() if named and leaf.ndim == 2 else None

    return jax.tree_util.tree_map_with_path(matrix, parameters)


OPTIMIZERS: Mapping[str, Callable[[Any], optax.GradientTransformation]] = MappingProxyType(
    {"adam": optax.adam, "sgd": optax.sgd, "muon": _muon}
)
