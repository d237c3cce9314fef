"""Classifiers: a JAX function of one row, or a black box that is asked for many rows at once.

    differentiable    d s / d z = J^T d s / d x                                          one query
    black box         d s / d z ~ (1/K) sum_k d (s(z + h u_k) - s(z - h u_k)) / 2h u_k   2 K queries

with u_1, ..., u_K orthonormal at random among d latent dimensions, the axes where K = d: unbiased for
smooth s up to terms of order h^2, and with K = d exact for quadratic ones. What is raised is the mean
of s over these points. A classifier that is constant piece by piece, such as a forest, is known by that:
it is asked along several frames, with h, 2 h and 4 h, to see its steps from afar.

Source: Choromanski, Rowland, Sindhwani, Turner and Weller, Structured evolution with compact
architectures for scalable policy optimization (ICML 2018), section 3.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import InputError, counted, option
from taut.counterfactuals.estimators import outputs_of_estimator
from taut.networks import TorchFunction, jax_function

__all__ = ["AbstractClassifier", "BlackBox", "Differentiable", "as_classifier"]

_DIRECTIONS = 64  # most of them by default
_NARROW, _WIDE = 0.05, 0.5  # h where outputs vary everywhere, and where they are constant in pieces
_PROBES, _ALONG, _WIDTHS = 8, 24, 3


class AbstractClassifier(eqx.Module):
    """Outputs of one row: logits, a value or an anomaly score."""

    @abstractmethod
    def outputs(self, x: Array) -> Array:
        """Of one row in the data's units."""

    @abstractmethod
    def queries(self, latent_dim: int) -> int:
        """How often it is asked for a score and its gradient."""

    @abstractmethod
    def score_and_slopes(
        self,
        score: Callable[[Array], Array],
        decode: Callable[[Array], Array],
        z: Array,
        x: Array,
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, ""], Float[Array, ""], Array, Float[Array, " d"]]:
        """score(outputs(x)) at x = decode(z), what is raised for it, and the two parts of its gradient:
        the one by x, which is still to be multiplied with J^T, and the one that is by z already.

        Arguments:
            score: of the outputs.
            decode: g.
            z, x: where.
            key: of directions, where some are drawn.
        """


class Differentiable(AbstractClassifier):
    """A JAX function of one row, such as an Equinox module."""

    function: Any

    def outputs(self, x: Array) -> Array:
        return jnp.asarray(self.function(x))

    def queries(self, latent_dim: int) -> int:
        return 1

    def score_and_slopes(
        self,
        score: Callable[[Array], Array],
        decode: Callable[[Array], Array],
        z: Array,
        x: Array,
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, ""], Float[Array, ""], Array, Float[Array, " d"]]:
        value, slope = jax.value_and_grad(lambda x: score(self.outputs(x)))(x)
        return value, value, slope, jnp.zeros_like(z)


class BlackBox(AbstractClassifier):
    """A function of many rows on the host, whose gradients are estimated in latent space.

    Attributes:
        predict: from rows (N, *shape) to outputs (N, C) or (N,).
        x_shape: of a row.
        num_outputs: C; 0 for (N,).
        smoothing: h, in units of z.
        directions: K; None for all dimensions of z, at most 64.
        flat: whether it is constant piece by piece.
    """

    predict: Callable[[np.ndarray], np.ndarray] = eqx.field(static=True)
    x_shape: tuple[int, ...] = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)
    smoothing: float = _NARROW
    directions: int | None = eqx.field(static=True, default=None)
    flat: bool = eqx.field(static=True, default=False)

    def outputs(self, x: Array) -> Array:
        shape = (self.num_outputs,) if self.num_outputs else ()

        def asked(x: Any) -> np.ndarray:
            x = np.asarray(x)
            leading = x.shape[: x.ndim - len(self.x_shape)]
            found = np.asarray(self.predict(x.reshape(-1, *self.x_shape)), x.dtype)
            return found.reshape(*leading, *shape)

        result = jax.ShapeDtypeStruct(shape, x.dtype)
        return jax.pure_callback(asked, result, x, vmap_method="expand_dims")

    def queries(self, latent_dim: int) -> int:
        used = self._used(latent_dim)
        return 1 + 2 * used * self._frames(used, latent_dim)

    def score_and_slopes(
        self,
        score: Callable[[Array], Array],
        decode: Callable[[Array], Array],
        z: Array,
        x: Array,
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, ""], Float[Array, ""], Array, Float[Array, " d"]]:
        used = self._used(len(z))
        frame = self._frame(used, len(z), key, z.dtype)
        widths = self.smoothing * 2.0 ** (jnp.arange(len(frame)) // len(z) % _WIDTHS)[:, None]
        steps = widths.astype(z.dtype) * frame
        around = jax.vmap(decode)(jnp.concatenate([z + steps, z - steps]))
        values = jax.vmap(score)(jax.vmap(self.outputs)(jnp.concatenate([x[None], around])))
        ahead, behind = jnp.split(values[1:], 2)
        slopes = (ahead - behind) / (2 * widths[:, 0])
        slope = len(z) / len(frame) * slopes @ frame
        return values[0], jnp.mean(values), jnp.zeros_like(x), slope

    def _frame(self, used: int, latent_dim: int, key: PRNGKeyArray, dtype: Any) -> Array:
        """Unit directions, (K, d); the same for all points where they are whole frames."""
        if used < latent_dim:
            return jnp.linalg.qr(jax.random.normal(key, (latent_dim, used), dtype))[0].T
        shape = (self._frames(used, latent_dim) - 1, latent_dim, latent_dim)
        turned = jnp.linalg.qr(jax.random.normal(jax.random.key(0), shape, dtype))[0]
        return jnp.concatenate([jnp.eye(latent_dim, dtype=dtype), turned.reshape(-1, latent_dim)])

    def _frames(self, used: int, latent_dim: int) -> int:
        """How many frames a piecewise constant classifier is asked along."""
        return -(-_ALONG // latent_dim) if self.flat and used == latent_dim else 1

    def _used(self, latent_dim: int) -> int:
        return min(latent_dim, _DIRECTIONS if self.directions is None else self.directions)


def as_classifier(
    given: Any, x_shape: tuple[int, ...], *, black_box: bool = False
) -> AbstractClassifier:
    """A classifier of rows of this shape.

    Arguments:
        given: a JAX function or Equinox module of one row; a PyTorch module of many rows; an object with
            `predict_proba`, `decision_function` or `predict` of many rows, such as any of scikit-learn;
            one of the classes here; with `black_box` a NumPy function of many rows, or a PyTorch module
            without gradients.
        x_shape: of a row.
        black_box: whether a function is to be asked on the host, without gradients.

    Raises:
        InputError: rows of another shape, or a function that has no gradients and is not called a
            black box.
    """
    given = jax_function(given, "classifier")
    if isinstance(given, AbstractClassifier):
        made = given
    elif isinstance(given, TorchFunction):
        made = _boxed(given.of_rows, x_shape) if black_box else Differentiable(given)
    elif hasattr(given, "predict") or hasattr(given, "predict_proba"):
        made = _of_estimator(given, x_shape)
    elif black_box:
        made = _boxed(given, x_shape)
    elif callable(given):
        made = Differentiable(given)
    else:
        raise InputError(
            "a classifier: a function of a row, or an object with `predict`", type(given).__name__,
            "`lambda x: ...` that returns logits", where="classifier",
        )  # fmt: skip
    if isinstance(made, Differentiable):
        _check_traced(made, x_shape)
    return made


def num_outputs(classifier: AbstractClassifier, x_shape: tuple[int, ...]) -> int:
    """How many outputs it has of one row."""
    x = jax.ShapeDtypeStruct(x_shape, jnp.result_type(float))
    return int(np.prod(jax.eval_shape(classifier.outputs, x).shape))


def _check_traced(classifier: Differentiable, x_shape: tuple[int, ...]) -> None:
    x = jax.ShapeDtypeStruct(x_shape, jnp.result_type(float))
    try:
        parts = jax.tree.leaves(jax.eval_shape(classifier.function, x))
        if len(parts) > 1 and any(part.shape for part in parts):
            raise InputError(
                "one array of outputs of one row", f"{len(parts)} of them",
                "the logits alone; of a PyTorch module taut.from_torch(module, read=lambda out: out[0])",
                where="classifier",
            )  # fmt: skip
        found = jax.eval_shape(classifier.outputs, x)
    except InputError:
        raise
    except (jax.errors.JAXTypeError, AttributeError) as error:
        raise InputError(
            "a classifier made of JAX operations, for a search by gradients",
            f"one that cannot be differentiated ({str(error).splitlines()[0][:80]})",
            f"a black box ({option('black_box', True)}), whose gradients are estimated",
            where="classifier",
        ) from None  # fmt: skip
    except Exception as error:  # whatever a user's function does of it
        said = (str(error).splitlines() or [""])[0][:160]
        raise InputError(
            f"a classifier of one row of shape {x_shape}", f"{type(error).__name__}: {said}",
            "reshaping the row in the classifier first, or for a function of many rows "
            f"{option('black_box', True)}", where="classifier",
        ) from error  # fmt: skip
    if len([n for n in found.shape if n != 1]) > 1:
        raise InputError(
            "one output for each class of one row", f"outputs of shape {found.shape}",
            "a classifier of one row, not of many", where="classifier",
        )  # fmt: skip


def _of_estimator(estimator: Any, x_shape: tuple[int, ...]) -> BlackBox:
    expected, size = getattr(estimator, "n_features_in_", None), int(np.prod(x_shape))
    if expected is not None and expected != size:
        raise InputError(
            f"a classifier of rows with {counted(size, 'cell')}", f"one of {expected}",
            "fitting it to the rows that the model was fitted to", where="classifier",
        )  # fmt: skip

    return _boxed(outputs_of_estimator(estimator), x_shape)


def _boxed(predict: Callable[[np.ndarray], np.ndarray], x_shape: tuple[int, ...]) -> BlackBox:
    try:
        found = np.asarray(predict(np.zeros((2, *x_shape), np.float32)))
    except Exception as error:
        raise InputError(
            f"a classifier of many rows of shape {x_shape}",
            f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}",
            "reshaping the rows in the classifier first", where="classifier",
        ) from error  # fmt: skip
    if found.shape[:1] != (2,) or found.ndim > 2 or found.dtype.kind not in "fiub":
        raise InputError(
            "numbers (N,) or (N, C) for N rows", f"{found.dtype} of shape {found.shape} for two rows",
            "log-probabilities, or one score a row", where="classifier",
        )  # fmt: skip
    x = np.random.default_rng(0).normal(size=(_PROBES, *x_shape)).astype(np.float32)
    flat = np.array_equal(predict(x), predict(x + np.float32(1e-4)))
    outputs = found.shape[1] if found.ndim == 2 else 0
    return BlackBox(predict, x_shape, outputs, smoothing=_WIDE if flat else _NARROW, flat=flat)
