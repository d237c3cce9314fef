"""Options of `taut fit`: one flat table for the command line, the TOML file and config.toml.

A field that is None was not given; `DEFAULTS` of the parts apply then. Options on the command line win
over the file.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from cyclopts import Group, Parameter

from taut.errors import InputError

__all__ = ["DATA_OPTIONS", "FitOptions", "merged", "read_config", "whole_numbers"]

_MODEL = Group("Model", sort_key=1)
_BOUND = Group("Bound", sort_key=2)
_TRAINING = Group("Training", sort_key=3)
_DATA = Group("Data", sort_key=4)
_RUN = Group("Run", sort_key=5)
_IN_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


@Parameter(name="*")
@dataclass(frozen=True)
class FitOptions:
    """Everything that `taut fit` can be told."""

    model: Annotated[
        Literal["vae", "flow", "ladder", "discrete", "mixture-vae", "vq"] | None,
        Parameter(group=_MODEL),
    ] = None
    """Kind of model: vae, Gaussian latents; flow, a chain of layers; ladder, Gaussian layers above each
    other; discrete; mixture-vae, a class with Gaussian latents; vq, vector-quantized. [default: vae]"""
    layers: Annotated[str | None, Parameter(group=_MODEL)] = None
    """Of flow, from the data up: spline-coupling:8; maf:5; abs,affine-coupling:4; of images
    dequantize,logit,squeeze,glow:4; dequantize,logit,vae:16,affine-coupling:2. [default:
    spline-coupling:8]"""
    bins: Annotated[int | None, Parameter(group=_MODEL)] = None
    """Of splines in a flow. [default: 8]"""
    box: Annotated[float | None, Parameter(group=_MODEL)] = None
    """Splines of a flow are the identity outside of plus and minus this. [default: 5]"""
    latents: Annotated[str | None, Parameter(group=_MODEL)] = None
    """Of discrete: bernoulli:D bits or categorical:DxC units of C outcomes, two sizes with a comma
    for two stochastic layers. Of vq: PxN, positions and codes. [default: bernoulli:200; 8x64]"""
    components: Annotated[int | None, Parameter(group=_MODEL)] = None
    """Classes of mixture-vae. [default: 10]"""
    code_dim: Annotated[int | None, Parameter(group=_MODEL)] = None
    """Dimensions of a code of vq. [default: 16]"""
    commitment: Annotated[float | None, Parameter(group=_MODEL)] = None
    """Weight of the commitment term of vq. [default: 0.25]"""
    likelihood: Annotated[str | None, Parameter(group=_MODEL)] = None
    """p(x | z): bernoulli, continuous-bernoulli, discretized-logistic, gaussian, categorical, ...
    [default: chosen from the data, with the reason]"""
    scale: Annotated[Literal["model", "dimension", "datum"] | None, Parameter(group=_MODEL)] = None
    """What one scale of gaussian or student-t stands for: the whole model, a dimension, or a cell of
    one row (from the decoder). [default: model]"""
    floor: Annotated[float | None, Parameter(group=_MODEL)] = None
    """Smallest scale, or inverse dispersion of a negative binomial. [default: 0.001; of
    discretized-logistic 0.0625 bins]"""
    library: Annotated[bool | None, Parameter(group=_MODEL)] = None
    """Condition counts on the row's total, such as the sequencing depth of a cell. [default: no]"""
    library_size: Annotated[float | None, Parameter(group=_MODEL)] = None
    """With --library, the total of rows that are drawn. [default: 10000]"""
    latent_dim: Annotated[int | None, Parameter(group=_MODEL)] = None
    """Number of latent dimensions. [default: 16]"""
    latent_dims: Annotated[str | None, Parameter(group=_MODEL)] = None
    """Ladder: latent dimensions of each level, from the data up; --hidden then has one width a level.
    [default: 32,16]"""
    network: Annotated[
        Literal["mlp", "gated-mlp", "residual-conv"] | None, Parameter(group=_MODEL)
    ] = None
    """Kind of encoder and decoder; residual-conv is for images. [default: mlp]"""
    hidden: Annotated[str | None, Parameter(group=_MODEL)] = None
    """Widths of the encoder's hidden layers, or channels at 1/2, 1/4, ... of the resolution for
    residual-conv; the decoder mirrors them. Empty for a linear model. [default: 256,256; gated-mlp
    300,300; residual-conv 32,64; of discrete none; of the networks inside a flow's layers 64,64]"""
    activation: Annotated[str | None, Parameter(group=_MODEL)] = None
    """Activation between layers; gated-mlp has none. [default: gelu; of flow relu]"""
    guide: Annotated[str | None, Parameter(group=_MODEL)] = None
    """Family of q(z | x): mean-field, full-rank, or layers of a flow: planar:8, radial:8, sylvester:8,
    iaf:4, spline-coupling:4. [default: mean-field]"""
    guide_hidden: Annotated[str | None, Parameter(group=_MODEL)] = None
    """Widths of the networks inside the layers of a flow guide. [default: two of four times the latent
    dimensions, at least 64]"""
    prior: Annotated[str | None, Parameter(group=_MODEL)] = None
    """p(z): standard-normal, mixture:C of C Gaussians that are learned, or flow:LAYERS such as
    flow:affine-coupling:4; of discrete learned or uniform. [default: standard-normal; learned]"""

    bound: Annotated[Literal["elbo", "iwae", "renyi"] | None, Parameter(group=_BOUND)] = None
    """What is maximised. [default: elbo]"""
    num_particles: Annotated[int | None, Parameter(group=_BOUND)] = None
    """Draws of z per row and step. [default: 1 for elbo, 4 with discrete; 5 for iwae and renyi]"""
    alpha: Annotated[float | None, Parameter(group=_BOUND)] = None
    """Order of the Renyi bound. [default: 0.5]"""
    kl: Annotated[Literal["auto", "closed", "sampled"] | None, Parameter(group=_BOUND)] = None
    """KL of the ELBO in closed form or from the draws. [default: auto]"""
    beta: Annotated[float | None, Parameter(group=_BOUND)] = None
    """Weight of the KL in the objective; reported numbers stay honest. [default: 1]"""
    kl_warmup: Annotated[int | None, Parameter(group=_BOUND)] = None
    """Epochs over which the KL's weight rises to beta; in iwae, that of log p(z) - log q to 1.
    [default: 0]"""
    free_bits: Annotated[float | None, Parameter(group=_BOUND)] = None
    """Nats of KL that each latent dimension keeps for nothing. [default: 0]"""
    gradient: Annotated[str | None, Parameter(group=_BOUND)] = None
    """How the bound is differentiated, by the name of an estimator. [default: reparameterized; with
    discrete what the latents and the bound allow, with the reason]"""
    wake_sleep: Annotated[Literal["wake", "sleep", "both"] | None, Parameter(group=_BOUND)] = None
    """Reweighted wake-sleep instead of a gradient: fit the guide to weighted draws at the data, to
    dreams of the model, or to both. [default: neither]"""
    enumerate: Annotated[str | None, Parameter(group=_BOUND)] = None
    """Of enumeration: all outcomes; each of the units given the others; or one factor, layer:N or
    unit:D, counted from 1, while --rest serves the others. [default: all]"""
    rest: Annotated[str | None, Parameter(group=_BOUND)] = None
    """Estimator of what --enumerate layer:N or unit:D does not sum over. [default: rloo]"""
    temperature: Annotated[float | None, Parameter(group=_BOUND)] = None
    """Of gradients that relax discrete latents; one that is given does not fall. [default: falling from
    1 to 0.5; of rebar and relax, where it is learned, 0.5 at the start]"""
    baseline: Annotated[str | None, Parameter(group=_BOUND)] = None
    """Of score-function: none, moving-average or network. [default: moving-average]"""

    epochs: Annotated[int | None, Parameter(group=_TRAINING)] = None
    """Passes over the training rows. [default: as many as make 6000 steps]"""
    batch_size: Annotated[int | None, Parameter(group=_TRAINING)] = None
    """Rows a step. [default: 128, or all rows if fewer]"""
    learning_rate: Annotated[float | None, Parameter(group=_TRAINING)] = None
    """Step size of Adam, after the warm-up. [default: 0.001]"""
    learning_rate_schedule: Annotated[
        Literal["constant", "cosine", "plateau"] | None, Parameter(group=_TRAINING)
    ] = None
    """Afterwards: constant, falling to 0 as a cosine, or halved after 5 validations without a
    better value. [default: constant]"""
    warmup_steps: Annotated[int | None, Parameter(group=_TRAINING)] = None
    """Steps over which the step size rises. [default: 0]"""
    ema: Annotated[float | None, Parameter(group=_TRAINING)] = None
    """Decay of the moving average of the parameters that is validated, kept and reported, such as
    0.999. [default: 0, the parameters themselves]"""
    clip_norm: Annotated[float | None, Parameter(group=_TRAINING)] = None
    """Largest norm of a gradient. [default: no limit]"""
    patience: Annotated[int | None, Parameter(group=_TRAINING)] = None
    """Validations without a better value before stopping; 0 never stops early. [default: 20]"""
    validate_every: Annotated[int | None, Parameter(group=_TRAINING)] = None
    """Steps between validations. [default: the whole epochs that make at least 50]"""
    validation_particles: Annotated[int | None, Parameter(group=_TRAINING)] = None
    """Decide on the IWAE bound with this many particles, which an overfitting encoder moves less.
    [default: decide on the bound that is maximised]"""
    precision: Annotated[
        Literal["float64", "float32", "bfloat16"] | None, Parameter(group=_TRAINING)
    ] = None
    """float64 or float32 for all arithmetic; bfloat16 for the networks' matrix products alone, with
    all else, and the numbers at the end, in float32. [default: float32]"""
    seed: Annotated[int | None, Parameter(group=_TRAINING)] = None
    """Everything random follows from it. [default: 0]"""

    split: Annotated[str | None, Parameter(group=_DATA)] = None
    """Shares of training, validation and test rows. [default: 0.8,0.1,0.1]"""
    split_seed: Annotated[int | None, Parameter(group=_DATA)] = None
    """Which rows go where; apart from --seed, so that fits compare on the same rows. [default: 0]"""
    label: Annotated[str | None, Parameter(group=_DATA)] = None
    """Column that is a label, not data."""
    drop: Annotated[str | None, Parameter(group=_DATA)] = None
    """Columns that are not data, with commas between them."""
    missing: Annotated[Literal["refuse", "drop-rows"] | None, Parameter(group=_DATA)] = None
    """What to do about rows with missing cells. [default: refuse]"""
    binarize: Annotated[
        Literal["none", "static", "dynamic", "threshold"] | None, Parameter(group=_DATA)
    ] = None
    """How grey values become binary. [default: none]"""
    support: Annotated[
        Literal["binary", "grey", "unit", "count", "real"] | None, Parameter(group=_DATA)
    ] = None
    """What the values are, where they look like something else. [default: inferred]"""
    standardize: Annotated[bool | None, Parameter(group=_DATA)] = None
    """Show the networks real columns at mean 0 and deviation 1; log-densities stay in the data's
    units. [default: yes]"""
    image_shape: Annotated[str | None, Parameter(group=_DATA)] = None
    """Height and width of images stored as flat rows, such as 28,28."""
    stream: Annotated[Literal["auto", "yes", "no"] | None, Parameter(group=_DATA)] = None
    """Leave the training rows of a .npy or Parquet file on disk. [default: auto, where they would take
    more than 2 GiB or a quarter of memory]"""

    checkpoint_every: Annotated[int | None, Parameter(group=_RUN)] = None
    """Steps between checkpoints, which `taut resume` goes on from. [default: 1000]"""
    evidence_particles: Annotated[int | None, Parameter(group=_RUN)] = None
    """Draws per test row for the final log-evidence. [default: 1000]"""

    def given(self) -> dict[str, Any]:
        """The options that were given, by name with hyphens, as config.toml holds them."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name.replace("_", "-"): v for name, v in values.items() if v is not None}


DATA_OPTIONS = (
    "split", "split_seed", "label", "drop", "missing", "binarize", "support", "standardize",
    "image_shape", "precision", "stream",
)  # fmt: skip
"""What decides which rows a source gives, whatever is fitted to them."""


def read_config(path: Path | str) -> dict[str, Any]:
    """A TOML file of options; sections are free, names may use hyphens or underscores.

    Returns:
        options by field name, `data` among them where it is given.

    Raises:
        InputError: the file is missing or not TOML, or a key is unknown, given twice, or of the
            wrong kind.
    """
    path = Path(path)
    text = ""
    try:
        text = path.read_text()
        content = tomllib.loads(text)
    except FileNotFoundError:
        raise InputError("a TOML file", "no such file", "the right path", where=str(path)) from None
    except IsADirectoryError:
        raise InputError(
            "a TOML file", "a folder", f"{path}/config.toml", where=str(path)
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        what = str(error).replace(
            "at end of document", f"at the end, line {len(text.splitlines())}"
        )
        raise InputError("TOML", what, "mending that line", where=str(path)) from None
    hints = {"data": str, **get_type_hints(FitOptions)}
    options: dict[str, Any] = {}
    for key, value in _flat(content):
        name = key.replace("-", "_")
        if name not in hints:
            close = difflib.get_close_matches(name, hints, n=1, cutoff=0.5)
            known = ", ".join(n.replace("_", "-") for n in hints)
            remedy = f"'{close[0].replace('_', '-')}'" if close else f"one of {known}"
            raise InputError("a known option", f"'{key}'", remedy, where=str(path))
        if name in options:
            raise InputError("each option once", f"'{key}' twice", "one of them", where=str(path))
        options[name] = _typed(value, hints[name], f"{path}, {key}")
    return options


def merged(options: FitOptions | None, config: Mapping[str, Any]) -> FitOptions:
    """Options with the gaps filled from a file's."""
    options = options or FitOptions()
    gaps = {f.name: config.get(f.name) for f in fields(options) if getattr(options, f.name) is None}
    return replace(options, **gaps)


def whole_numbers(text: str | None, where: str) -> tuple[int, ...] | None:
    """ "256,256" as (256, 256); empty text is no numbers."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise InputError(
            "whole numbers with commas between them", repr(text), "256,256", where=where
        ) from None


def _flat(content: Mapping[str, Any]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in content.items():
        pairs += _flat(value) if isinstance(value, Mapping) else [(key, value)]
    return pairs


def _typed(value: Any, hint: Any, where: str) -> Any:
    """A TOML value as the option's type: lists become the text that the command line takes."""
    kinds = _kinds(hint)
    if str in kinds and isinstance(value, list):
        return ",".join(str(v) for v in value)
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    words = [k for k in kinds if isinstance(k, str)]
    if words and value not in words:
        raise InputError(f"one of {', '.join(words)}", repr(value), words[0], where=where)
    if bool in kinds and isinstance(value, bool):
        return value
    types = tuple(k for k in kinds if isinstance(k, type))
    if not words and (not isinstance(value, types) or isinstance(value, bool)):
        wanted = " or ".join(_IN_WORDS[t] for t in types)
        raise InputError(wanted, repr(value), "the kind of value that --help shows", where=where)
    return value


def _kinds(hint: Any) -> tuple[Any, ...]:
    """Types and literal words that a hint allows, without None."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    arguments = get_args(hint)
    if not arguments:
        return () if hint is type(None) else (hint,)
    return tuple(kind for a in arguments for kind in _kinds(a))
