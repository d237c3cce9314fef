"""The flow as a sentence of choices: layers from data to latent over a base.

    log p(x) = log p(z_T) + sum of the layers' terms

Exact where every latent is a function of the data or all of a finite fibre is summed over; a lower bound
where a layer draws (dequantization, augmentation, a VAE layer). Log-densities are in the data's own
units; of grey levels and other whole numbers they are log-probabilities.

    layers="spline-coupling:8"                        a flow
    layers="abs,affine-coupling:4"                    a surjection under a flow
    layers="dequantize,logit,squeeze,glow:4"          images
    layers="vae:32,vae:8"                             a hierarchical VAE, its guide from the data upwards
    layers="dequantize,logit,affine-coupling:2,vae:16,spline-coupling:2"
                                                      dequantization, flow, VAE and flow prior in one

Source: Nielsen, Jaini, Hoogeboom, Winther and Welling, SurVAE flows (NeurIPS 2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from taut.architectures.abstract import AbstractArchitecture
from taut.architectures.choices import at_least_one, known
from taut.core import AbstractPair, Datum, InputError, option
from taut.core.compiling import shared_jit
from taut.data import Schema, resolved_rows
from taut.guides import ChainPair
from taut.models import (
    AbstractLikelihood,
    check_prior,
    choose_likelihood,
    make_likelihood,
    make_prior,
)
from taut.networks import ACTIVATIONS
from taut.transforms import (
    Chain,
    ColumnDequantization,
    LayerOptions,
    Reshape,
    Rows,
    Standardize,
    VAELayer,
    check_layers,
    first_layer,
    make_chain,
    started,
)

__all__ = ["Flow"]

_DEPENDENT = 1e-5  # standard deviations that a column adds to the others; float32 knows it to 1e-7
_START_ROWS = 2048  # that layers with a data-dependent start see, at random: a file may be sorted


@dataclass(frozen=True)
class Flow(AbstractArchitecture):
    """A normalizing flow, whose log p(x) is exact unless a layer draws at random.

    Attributes:
        layers: names of layers with commas between them, from the data to z, such as
            `logit,affine-coupling:8`; for tables try `spline-maf:4` too, which often fits them best
            and draws rows slowly; in Python also a `Chain`, which sees the data as they are.
        hidden: widths of the networks inside the layers; of image layers the first is the number of
            channels, and how many there are the number of residual blocks.
        activation: function between the layers of these networks, such as relu or tanh.
        bins: number of pieces of each spline.
        box: splines bend values between -box and box, and leave those outside as they are.
        prior: distribution at the end of the layers: `standard-normal`, or another by name, such as
            `mixture:10`.
    """

    name: ClassVar[str] = "flow"

    layers: Any = "spline-coupling:8"
    hidden: Sequence[int] = (64, 64)
    activation: str = "relu"
    bins: int = 8
    box: float = 5.0
    prior: str = "standard-normal"

    def __post_init__(self):
        object.__setattr__(self, "hidden", tuple(self.hidden))
        for width in self.hidden:
            at_least_one(width, "hidden")
        known(self.activation, ACTIVATIONS, "activation")
        at_least_one(self.bins, "bins")
        if not self.box > 0:
            raise InputError("a positive number", f"{self.box}", "5", where="box")
        check_prior(self.prior)
        if isinstance(self.layers, str):
            check_layers(self.layers, of_data=True)
        elif not isinstance(self.layers, Chain):
            raise InputError(
                "a line of layers or a Chain", type(self.layers).__name__,
                "'spline-coupling:8', or Chain([...])", where="layers",
            )  # fmt: skip

    def check(self, schema: Schema, x: np.ndarray, *, where: str) -> None:
        if isinstance(self.layers, Chain):
            self.layers.check(x, where=where)
            return
        first = first_layer(self.layers, _rows(schema))
        if first is not None:
            first.check(x, where=where)
            return
        if schema.support == "real" and np.all(x == np.floor(x)) and np.ptp(x) > 0:
            raise InputError(
                "real numbers, since a density has no upper bound at whole ones",
                "whole numbers in every cell", option("layers", f"dequantize,{self.layers}"),
                where=where,
            )  # fmt: skip

    def init(self, schema: Schema, key: PRNGKeyArray) -> AbstractPair:
        layers_key, prior_key = jax.random.split(key)
        if isinstance(self.layers, Chain):
            chain = _for_rows(self.layers, schema)
        else:
            options = LayerOptions(tuple(self.hidden), self.activation, self.bins, self.box)
            chain = make_chain(self.layers, _rows(schema), options, key=layers_key)
        return ChainPair(chain, make_prior(self.prior, chain.z_shape[0], key=prior_key))

    def start(self, pair: AbstractPair, rows: Datum, *, schema: Schema) -> AbstractPair:
        """Refuse columns that a density has no bound on, and start layers at the rows.

        Raises:
            InputError: a standardised column that is constant over the training rows.
        """
        assert isinstance(pair, ChainPair)
        layers = pair.chain.layers
        first, *rest = layers[1:] if isinstance(layers[0], ColumnDequantization) else layers
        if isinstance(first, Standardize) and not isinstance(rest[0], VAELayer):
            x = np.asarray(rows.x)
            constant = np.flatnonzero((x == x[:1]).all(axis=0).ravel())
            if constant.size:
                found = constant.tolist()
                raise InputError(
                    "columns that vary, since a density has no upper bound on a constant",
                    f"the same number in all training rows of {schema.named(found)}",
                    f"leaving {'them' if len(found) > 1 else 'it'} out ({schema.dropped(found)}), or "
                    f"{option('model', 'vae')}", where="layers",
                )  # fmt: skip
            _refuse_dependent(x, schema)
        some = jnp.asarray(rows.x[resolved_rows(len(rows.x), _START_ROWS)])
        # One program: by itself, each operation of each layer would be compiled.
        begun = shared_jit(lambda rows: started(pair.chain, rows, key=jax.random.key(0)))
        return ChainPair(begun(some), pair.base)


def _refuse_dependent(x: np.ndarray, schema: Schema) -> None:
    """Refuse real columns of which one follows from the others, off which no row lies.

    Raises:
        InputError: names the columns that are equal, or the first that the ones before it give.
    """
    real = [i for i in range(x.shape[1]) if i not in schema.gridded] if x.ndim == 2 else []
    if len(real) < 2 or len(x) <= 2 * len(real):
        return
    columns = x[:, real].astype(np.float64)
    columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    # The size of what each column adds to those before it.
    added = np.abs(np.diag(np.linalg.qr(columns, mode="r"))) / np.sqrt(len(x))
    least = int(np.argmin(added))
    if added[least] > _DEPENDENT:
        return
    weights = np.linalg.lstsq(columns[:, :least], columns[:, least], rcond=None)[0]
    found = [*(real[i] for i in np.flatnonzero(np.abs(weights) > _DEPENDENT)), real[least]]
    raise InputError(
        "columns of which none follows from the others, since a density has no upper bound there",
        f"{schema.named([real[least]])}, which is a sum of {schema.named(found[:-1])} times constants",
        f"leaving it out ({schema.dropped([real[least]])})", where="layers",
    )  # fmt: skip


def _rows(schema: Schema) -> Rows:
    """What layers must know of the data: a VAE layer has the likelihood of their support."""

    def likelihood(shape: tuple[int, ...], of_rows: bool) -> AbstractLikelihood:
        if not of_rows:
            return make_likelihood("gaussian", shape=shape)
        name, _ = choose_likelihood(kind=schema.kind, support=schema.support, levels=schema.levels)
        return make_likelihood(name, shape=shape, levels=schema.levels)

    return Rows(schema, likelihood)


def _for_rows(chain: Chain, schema: Schema) -> Chain:
    """A user's chain with a vector at its latent end."""
    if chain.x_shape != schema.shape:
        raise InputError(
            f"layers that take the data's shape {schema.shape}",
            f"{chain.layers[0].name}, which takes {chain.x_shape}",
            "a reshape before it", where="layers",
        )  # fmt: skip
    if len(chain.z_shape) == 1:
        return chain
    size = int(np.prod(chain.z_shape))
    return Chain([*chain.layers, Reshape(chain.z_shape, (size,))])
