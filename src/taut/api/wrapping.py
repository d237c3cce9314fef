"""`taut.wrap_model` and `taut.audit_model`: a model that was trained elsewhere, as a `Fit`."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from taut.api.auditing import audit
from taut.architectures import AbstractArchitecture, Functions, RowPrograms
from taut.core import InputError
from taut.core.provenance import device, versions
from taut.data import Data, DataOptions, Dataset, Schema
from taut.data.sources.raw_rows import numeric_rows
from taut.data.support import facts_of, support_of
from taut.fitted import Fit
from taut.fitted.facts import FitFacts, RowCounts
from taut.networks import jax_function
from taut.recipe import Recipe

if TYPE_CHECKING:
    from taut.audit import Audit

__all__ = ["audit_model", "wrap_model"]

_CHECKED = 20000  # rows of those that stay on disk


def wrap_model(
    data: Any,
    *,
    encode: Callable[..., Any] | None = None,
    decode: Callable[..., Any] | None = None,
    prior: Any = None,
    likelihood: Any = None,
    model: Callable[..., Any] | None = None,
    guide: Callable[..., Any] | None = None,
    params: Mapping[str, Any] | None = None,
    precision: str = "float32",
) -> Fit:
    """A `Fit` of a model that was trained elsewhere: its evidence, bracket, audit, calibration, samples.

    Either functions of one row and of one latent, `encode` and `decode`, or NumPyro programs of a batch
    of rows, `model` and `guide`.

    Arguments:
        data: rows, (N, *shape), in the units that the model takes: a NumPy or JAX array, or a `Data` or
            `Dataset` of taut. They say what a row is, and rows outside the support are refused.
        encode: JAX function of one row, to (mean, scale) of independent Gaussians, each (d,), or to a
            NumPyro distribution; or a PyTorch module of a batch of rows that returns both. Of one that
            returns something else, `taut.from_torch(module, read=...)` makes it.
        decode: JAX function of one z, (d,), to the outputs of `likelihood` for one row, or to a NumPyro
            distribution over one row; or a PyTorch module of a batch of z to these outputs.
        prior: NumPyro distribution p(z), or a prior of `taut.models`; N(0, I) when None.
        likelihood: by name, with its outputs before their link (logits of `bernoulli`), or one of
            `taut.models`; None where `decode` returns a distribution.
        model: NumPyro program of a batch of rows, whose one latent site has a value for each row.
        guide: NumPyro program of the same batch, with the model's latent site.
        params: what training found, `svi.get_params(svi_state)`.
        precision: `float32` or `float64`.

    Raises:
        InputError: parts whose shapes do not meet, rows outside the support, scales that are not
            positive, a program without one latent for each row.
    """
    encode, decode = jax_function(encode, "encode"), jax_function(decode, "decode")
    functions = {"encode": encode, "decode": decode, "prior": prior, "likelihood": likelihood}
    programs = {"model": model, "guide": guide, "params": params}
    given = [name for name, part in (functions | programs).items() if part is not None]
    if model is not None and guide is not None and not set(given) - programs.keys():
        return _fit(RowPrograms(model, guide, params or {}), data, precision)
    if encode is not None and decode is not None and not set(given) - functions.keys():
        return _fit(Functions(encode, decode, prior, likelihood), data, precision)
    raise InputError(
        "the functions encode and decode, or the NumPyro programs model and guide",
        ", ".join(given) or "neither", "encode=..., decode=..., or model=..., guide=..., params=...",
        where="wrap_model",
    )  # fmt: skip


def audit_model(
    data: Any,
    *,
    held_out: Any = None,
    encode: Callable[..., Any] | None = None,
    decode: Callable[..., Any] | None = None,
    prior: Any = None,
    likelihood: Any = None,
    model: Callable[..., Any] | None = None,
    guide: Callable[..., Any] | None = None,
    params: Mapping[str, Any] | None = None,
    precision: str = "float32",
    rows: int = 500,
    key: Any = 0,
) -> "Audit":
    """How tight the bound of a model is that was trained elsewhere, and where it loses nats.

    The same as `wrap_model(data, ...).audit(data, held_out=held_out, ...)`, with their arguments.

    Returns:
        an `Audit`, as of `fit.audit`.

    Raises:
        InputError: as of both.

    Example:
        ```python
        taut.audit_model(
            x_train, held_out=x_test,
            encode=lambda x: encoder(params, x), decode=lambda z: decoder(params, z),
            likelihood="bernoulli",
        )
        ```
    """
    wrapped = wrap_model(
        data, encode=encode, decode=decode, prior=prior, likelihood=likelihood, model=model,
        guide=guide, params=params, precision=precision,
    )  # fmt: skip
    return audit(wrapped, data, held_out=held_out, rows=rows, key=key)


def _fit(architecture: AbstractArchitecture, data: Any, precision: str) -> Fit:
    """A fit of parts that are trained already."""
    if precision not in ("float32", "float64"):
        raise InputError("float32 or float64", repr(precision), "float32", where="precision")
    x, schema = _rows(data, precision)
    counts = [len(x), 0, 0]
    if isinstance(data, Data):
        counts = [len(part) for part in data.parts().values()]
    with jax.enable_x64(precision == "float64"):
        pair = architecture.init(schema, jax.random.key(0))
        architecture.check(schema, x, where=schema.name)
    facts = FitFacts(
        rows=RowCounts(*counts), steps=0, best_step=0, training_seconds=0.0, evaluation_seconds=0.0,
        device=device(), versions=versions(), measure=pair.bind()[0].measure,
        notes=("the model was trained elsewhere",),
    )  # fmt: skip
    options = data.options if isinstance(data, Data) else DataOptions()
    recipe = Recipe(data=options, model=architecture)
    return Fit(pair, architecture, schema, facts, recipe, precision=precision)


def _rows(data: Any, precision: str) -> tuple[np.ndarray, Schema]:
    """Rows, or the first of those that stay on disk, and what they are."""
    if isinstance(data, Data):
        train = data.train
        data = train if isinstance(train, Dataset) else train.read(0, min(len(train), _CHECKED))
    if isinstance(data, Dataset):
        return data.x, data.schema
    if hasattr(data, "columns") or not hasattr(data, "__array__"):
        raise InputError(
            "rows as an array, as the functions take them", f"a {type(data).__name__}",
            "np.asarray(data)", where="data",
        )  # fmt: skip
    x = np.asarray(data)
    if x.ndim != 4 or not x.size:  # images of any order of their axes are the functions' own
        x = numeric_rows(data, "data")
    if not np.isfinite(x).all():
        row = int(np.argmin(np.isfinite(x).reshape(len(x), -1).all(axis=1)))
        raise InputError(
            "rows without missing cells, which a function of a row reads whole",
            f"NaN or infinity in row {row}", "leaving such rows out", where="data",
        )  # fmt: skip
    kind = "table" if x.ndim == 2 else "image"
    inferred = support_of(facts_of(x), kind, "data")
    schema = Schema(
        name="data", kind=kind, shape=x.shape[1:], support=inferred.support, levels=inferred.levels,
        dtype=precision,
    )  # fmt: skip
    return x, schema
