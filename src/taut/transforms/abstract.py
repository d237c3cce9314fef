"""`AbstractLayer`: one link between data x and latent z.

    log p(x) >= E_q[log p(z) + log p(x | z) - log q(z | x)],        z ~ q(z | x)

Each direction of a layer is Dirac or has a density (Nielsen et al. 2020, SurVAE Flows, table 1):

    kind         encode, q(z | x)      decode, p(x | z)      what enters the log-weight       number
    bijective    Dirac                 Dirac                 log |det dz/dx|                  exact
    surjective   Dirac                 density on the fibre  log p(x | z)                     exact
    surjective   density on the fibre  Dirac                 -log q(z | x)                    bound
    stochastic   density               density               log p(x | z) - log q(z | x)      bound

A bound over a finite fibre becomes exact when all of the fibre is summed over. Terms of the direction
from z to x (`log_likelihood`) belong to the model, those from x to z (`-log_q`, `log_volume`) to the
guide, so that an estimator freezes a side and not a layer.

Everything is unbatched; `condition` is what an amortized guide knows of the datum.
"""

from abc import abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import DENSITY, LOG_VOLUME, InputError, PlainFields, Terms

__all__ = [
    "AbstractBijection",
    "AbstractLayer",
    "Cost",
    "Encoded",
    "Fibre",
    "Key",
    "Kind",
    "Shape",
    "WithLogDet",
]

Kind = Literal["bijective", "surjective", "stochastic"]
Shape = tuple[int, ...]
Key = PRNGKeyArray | None  # a direction that is a function needs none
WithLogDet = tuple[Array, Float[Array, ""]]  # an image, and the log |det| of the map to it, nats


class Encoded(NamedTuple):
    """The latent end of a layer, and the guide's terms that belong to it.

    Attributes:
        z: of shape `z_shape`.
        terms: `log_volume` and `-log_q`, whichever apply, each (); nats.
    """

    z: Any
    terms: Terms


class Fibre(NamedTuple):
    """Every z that a finite q(z | x) can give.

    Attributes:
        z: (M, *z_shape).
        log_q: their log-probabilities, (M,).
    """

    z: Any
    log_q: Float[Array, " M"]


class Cost(NamedTuple):
    """Passes through the layer's network, or solutions of its equation, that each direction takes."""

    encode: int = 1
    decode: int = 1


class AbstractLayer(PlainFields, eqx.Module):
    """p(x | z) and q(z | x) between two shapes.

    Attributes:
        deterministic_encode: True when z is a function of x: the layer's number is then exact.
        deterministic_decode: True when x is a function of z.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    deterministic_encode: ClassVar[bool]
    deterministic_decode: ClassVar[bool]

    x_shape: eqx.AbstractVar[Shape]
    z_shape: eqx.AbstractVar[Shape]

    @property
    def reparameterized(self) -> bool:
        """True when z is differentiable in x and in the parameters."""
        return True

    @property
    def condition_shape(self) -> Shape | None:
        """Shape of the condition that the layer reads; None when it reads none."""
        return None

    @property
    def cell_kinds(self) -> tuple[str, ...] | None:
        """As `Measure.kinds`, of rows that begin with this layer; None where that is not known."""
        return (DENSITY,)

    @property
    def fibre_size(self) -> int | None:
        """How many z a finite q(z | x) chooses from; None where it is Dirac or has a density."""
        return None

    @property
    def cost(self) -> Cost:
        """What a pass takes in each direction."""
        return Cost()

    @abstractmethod
    def encode(self, x: Any, key: Key = None, condition: Array | None = None) -> Encoded:
        """One z ~ q(z | x) with its terms. A deterministic direction needs no key."""

    @abstractmethod
    def decode(self, z: Any, key: Key = None, condition: Array | None = None) -> Any:
        """One x ~ p(x | z). A deterministic direction needs no key."""

    @abstractmethod
    def inference_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        """The guide's terms at a given pair: what `encode` returns when it draws this z."""

    def generative_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        """The model's terms at a given pair: `log_likelihood` = log p(x | z), (), where x is drawn."""
        return {}

    def started_at(self, x: Array, *, key: PRNGKeyArray | None = None) -> "AbstractLayer":
        """The layer as a batch of its inputs, (B, *x_shape), has it start; unchanged by default.

        Arguments:
            key: for parts that draw.
        """
        return self

    def check(self, x: np.ndarray, *, where: str) -> None:
        """Refuse rows that no z decodes to; their log-weight is -inf.

        Arguments:
            x: rows, (N, *x_shape).
            where: what the message is about, such as a file or an argument.

        Raises:
            InputError: names the first bad row and cell, counted from 0, and what was found there.
        """

    def mean(self, z: Any, condition: Array | None = None) -> Any:
        """E[x | z]; x itself where it is a function of z.

        Raises:
            InputError: x is drawn and its mean is not known.
        """
        if self.deterministic_decode:
            return self.decode(z, None, condition)
        raise InputError(
            "a layer whose E[x | z] is known", f"{self.name}, which draws x",
            "drawing x with `sample`", where="mean",
        )  # fmt: skip

    def fibre(self, x: Any, condition: Array | None = None) -> Fibre:
        """All of a finite q(z | x), `fibre_size` outcomes.

        Raises:
            InputError: q(z | x) is Dirac or has a density, or its outcomes are too many to sum over.
        """
        raise InputError(
            "a layer whose rows have finitely many latents, to list them all",
            f"{self.name}, whose rows have not", "drawing z", where="latents",
        )  # fmt: skip


class AbstractBijection(AbstractLayer):
    """A layer with an inverse: x and z are functions of each other, of one shape up to reshaping."""

    kind: ClassVar[Kind] = "bijective"
    deterministic_encode: ClassVar[bool] = True
    deterministic_decode: ClassVar[bool] = True

    def at_rest(self) -> Any:
        """The layer with parameters under which it moves nothing, its dimensions' order and one scale
        for all of them apart; where a guide starts."""
        return self

    def encode_at_rest(self, x: Array) -> Array:
        """z of x under the parameters of `at_rest`, which take no evaluation; x itself by default."""
        return x

    def decode_at_rest(self, z: Array) -> Array:
        """x of z likewise; z itself by default."""
        return z

    @abstractmethod
    def encode_and_log_det(self, x: Array, condition: Array | None = None) -> WithLogDet:
        """z = f(x) and log |det dz/dx|, nats."""

    @abstractmethod
    def decode_and_log_det(self, z: Array, condition: Array | None = None) -> WithLogDet:
        """x = f^-1(z) and log |det dx/dz|, nats."""

    def encode(self, x: Any, key: Key = None, condition: Array | None = None) -> Encoded:
        z, log_det = self.encode_and_log_det(x, condition)
        return Encoded(z, {LOG_VOLUME: log_det})

    def decode(self, z: Any, key: Key = None, condition: Array | None = None) -> Any:
        return self.decode_and_log_det(z, condition)[0]

    def inference_terms(self, x: Any, z: Any, condition: Array | None = None) -> Terms:
        return {LOG_VOLUME: self.encode_and_log_det(x, condition)[1]}
