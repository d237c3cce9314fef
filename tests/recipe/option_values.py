"""For every option a value unlike its default, and what must come with it; made of the option's type."""

from dataclasses import MISSING
from typing import Any, Literal, Union, get_args, get_origin

from taut.recipe import Option

# Text and objects that no type tells apart from others.
_VALUES: dict[str, Any] = {
    "activation": "tanh",
    "alternation": "aggressive",
    "baseline": "network",
    "columns": "auto",
    "covariance": "diag",
    "guide": "full-rank",
    "label": "kind",
    "layers": "affine-coupling:2",
    "latents": "bernoulli:3",
    "likelihood": "student-t",
    "network": "gated-mlp",
    "optimizer": "sgd",
    "prior": "mixture:3",
    "rest": "score-function",
    "scale": "dimension",
    "target": "kind",
    "temperature": 0.7,
    "validation_particles": 7,
    "enumerate": "layer:1",
}
# Options that are refused alone.
_WITH: dict[str, dict[str, Any]] = {
    "rest": {"enumerate": "layer:1"},
    "library_size": {"library": True},
    "reg_covar": {"model": "gmm"},
    "closed_form": {"model": "ppca"},
    "candidates": {"model": "gmm"},
    "select": {"model": "gmm"},
}


def value_of(option: Option, owner: str | None) -> Any:
    """A value that is not the option's default."""
    if owner == "discrete" and option.name == "prior":
        return "uniform"
    if owner == "vq" and option.name == "latents":
        return "3x5"
    if owner == "discrete" and option.name == "latents":
        return "categorical:2x3"
    if option.name in _VALUES:
        return _VALUES[option.name]
    return _unlike(option.hint, option.default)


def with_it(option: Option) -> dict[str, Any]:
    """Options without which this one is refused."""
    return _WITH.get(option.name, {})


def _unlike(hint: Any, default: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return next(word for word in arguments if word != default)
    if origin is Union or str(origin) == "<class 'types.UnionType'>":
        return _unlike(next(a for a in arguments if a is not type(None)), default)
    if hint is bool:
        return default is not True
    if hint is int:
        return 3 if default in (None, MISSING) else default + 2
    if hint is float:
        return 0.25 if default in (None, MISSING, 0, 0.0) else default / 2
    if arguments:
        of = arguments[0]
        return {int: (5, 4), float: (0.5, 0.25, 0.25), str: ("a", "b")}[of]
    raise AssertionError(f"a value for {hint}: add it to the table")
