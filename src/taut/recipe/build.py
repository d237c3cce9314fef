"""From options by their flat names to a recipe: what the command line, a TOML file and keywords share.

    recipe_of({"model": "vae", "latent_dim": 4, "bound": "iwae", "epochs": 10})

`flat` is the way back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from taut.architectures import ARCHITECTURES, AbstractArchitecture
from taut.bounds import AbstractBound
from taut.core import InputError, nearest, option, plain, pythonic
from taut.gradients import AbstractEstimator, Enumeration
from taut.inference import AbstractInference
from taut.models.likelihoods import LIKELIHOODS
from taut.recipe.option import Option, typed
from taut.recipe.recipe import Recipe
from taut.recipe.tables import CHOICES, OPTIONS_OF, option_named, options

__all__ = ["component_range", "flat", "recipe_of", "typed_seed"]

_MOST_NUMBERS = 10_000  # of components to choose from

_Given = dict[str, tuple[Option, Any]]  # by field


def recipe_of(given: Mapping[str, Any]) -> Recipe:
    """A recipe from options; what is left out, or None, has its default.

    Arguments:
        given: values as Python, TOML or the command line have them, by flat names; `model`, `bound`,
            `gradient` and `inference` are names, or objects with their options inside.

    Raises:
        InputError: an unknown option, a wrong value, or an option that the choices do not have.
    """
    given = pythonic(dict(given))
    named = {name: given.get(name) for name in CHOICES}
    tables = _by_table({k: v for k, v in given.items() if k not in (*CHOICES, "seed")})
    if named["model"] is None:
        named["model"] = "flow" if "layers" in tables.get("model", {}) else "vae"
    architecture = _model(named["model"], tables)
    inference = _choice("inference", named["inference"] or architecture.default_inference, tables)
    gradient = _gradient(named["gradient"], tables)
    bound = _bound(named["bound"], architecture, gradient, inference, tables)
    others = {table: _made(kind, tables.pop(table, {})) for table, kind in OPTIONS_OF.items()}
    seed = given.get("seed", 0)
    return Recipe(
        model=architecture, bound=bound, gradient=gradient, inference=inference,
        seed=0 if seed is None else typed_seed(seed), **others,
    )  # fmt: skip


def flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """What `Recipe.to_dict` gave by flat option names, `data` being the source."""
    found: dict[str, Any] = {k: v for k, v in content.items() if k == "seed"}
    by_field = {(o.table, o.field): o.name for o in options().values()}
    for table in (*CHOICES, *OPTIONS_OF):
        for key, value in content.get(table, {}).items():
            if key == "name" and table in CHOICES:
                found[table] = value
            elif (table, key) == ("data", "source"):
                found["data"] = value
            elif key == "likelihood_options":
                found |= {by_field["likelihood", k]: v for k, v in value.items()}
            elif (table, key) in by_field:
                found[by_field[table, key]] = value
    return found


def component_range(text: str) -> tuple[int, ...]:
    """ "5" as (5,), "1-4" as (1, 2, 3, 4), "2,4,8" as (2, 4, 8).

    Raises:
        InputError: anything else.
    """
    numbers: list[int] = []
    try:
        for part in text.split(","):
            low, _, high = part.strip().partition("-")
            several = range(int(low), int(high or low) + 1)
            numbers += several if len(several) <= _MOST_NUMBERS else []
            if len(several) > _MOST_NUMBERS or not several:
                raise ValueError(part)
    except (ValueError, OverflowError):
        numbers = []
    if not numbers:
        raise InputError(
            "a number, a range or a list of them",
            repr(text),
            "5, 1-10 or 2,4,8",
            where="components",
        )
    return tuple(numbers)


def _by_table(given: Mapping[str, Any]) -> dict[str, _Given]:
    """Options by table and field, each with its typed value; None stands for the default."""
    tables: dict[str, _Given] = {}
    for name, value in given.items():
        known = option_named(name)
        if known is None:
            raise InputError(
                "a known option",
                f"'{name}'",
                nearest(name, [*CHOICES, *options()]),
                where="options",
            )
        if value is not None:
            tables.setdefault(known.table, {})[known.field] = (known, typed(known, value))
    return tables


def _made(kind: type, given: _Given) -> Any:
    """A dataclass of options; a field that holds a choice by the class's own reader."""
    readers = getattr(kind, "readers", {})
    return kind(
        **{
            field: readers[field](value) if field in readers and _is_plain(value) else value
            for field, (_, value) in given.items()
        }
    )


def _choice(table: str, wanted: Any, tables: dict[str, _Given]) -> Any:
    """A choice by name with its options, or the object itself, which has them inside."""
    given = tables.pop(table, {})
    if isinstance(wanted, type) and wanted in CHOICES[table].values():
        wanted = wanted.name  # the class for the choice that it makes
    if not isinstance(wanted, str):
        for beside, _ in given.values():
            raise InputError(
                f"{beside.field} inside the {table} that is given", f"{beside.mentioned} beside it",
                f"{type(wanted).__name__}({beside.field}=...)", where=beside.mentioned,
            )  # fmt: skip
        return wanted
    registry = CHOICES[table]
    if wanted not in registry:
        raise InputError(
            f"one of {', '.join(registry)}", repr(wanted), nearest(wanted, registry), where=table
        )
    for asked, _ in given.values():
        if wanted not in asked.owners:
            raise _unserved(asked, table, wanted)
    return _made(registry[wanted], given)


def _model(wanted: Any, tables: dict[str, _Given]) -> AbstractArchitecture:
    """The architecture, with the options of its likelihood."""
    of_likelihood = tables.pop("likelihood", {})
    made: Any = _choice("model", wanted, tables)
    if not of_likelihood:
        return made
    first = next(iter(of_likelihood.values()))[0]
    if "likelihood_options" not in {f.name for f in fields(made)} or not isinstance(wanted, str):
        with_one = [n for n, a in ARCHITECTURES.items() if "likelihood_options" in _field_names(a)]
        raise InputError(
            f"{first.mentioned} with {_any_of('model', with_one)}", option("model", made.name),
            f"leaving out {first.mentioned}", where=first.mentioned,
        )  # fmt: skip
    if made.likelihood in LIKELIHOODS:
        for asked, _ in of_likelihood.values():
            if made.likelihood not in asked.owners:
                raise _unserved(asked, "likelihood", made.likelihood)
    values = {field: value for field, (_, value) in of_likelihood.items()}
    if "library_size" in values and not values.get("library"):
        raise InputError(
            f"{option('library', True)} with {option('library_size')}", "none",
            f"{option('library', True)}, or leaving out {option('library_size')}",
            where=option("library_size"),
        )  # fmt: skip
    return replace(made, likelihood_options=values)


def _gradient(wanted: Any, tables: dict[str, _Given]) -> AbstractEstimator | None:
    """The estimator; where a factor is enumerated, the options of the rest are the rest's."""
    given = tables.get("gradient", {})
    if wanted is None:
        for asked, _ in given.values():
            raise InputError(
                f"{option('gradient')} with {asked.mentioned}", "none",
                option("gradient", asked.owners[0]), where=asked.mentioned,
            )  # fmt: skip
        return None
    if wanted == Enumeration.name:
        own = {f: g for f, g in given.items() if wanted in g[0].owners}
        rest = {f: g for f, g in given.items() if f not in own}
        if "rest" in own and own["rest"][1] == plain(Enumeration().rest):
            del own["rest"]  # a file holds the default too
        over = own["over"][1] if "over" in own else "all"
        of_rest = [g[0] for g in (*rest.values(), *([own["rest"]] if "rest" in own else []))]
        if of_rest and Enumeration(over).factor is None:
            raise InputError(
                f"a layer or a unit to sum over with {of_rest[0].mentioned}, which is of the rest",
                option("enumerate", over),
                f"{option('enumerate', 'layer:1')}, or leaving out {of_rest[0].mentioned}",
                where=of_rest[0].mentioned,
            )  # fmt: skip
        if rest:
            name = own["rest"][1] if "rest" in own else "rloo"
            own["rest"] = (options()["rest"], _rest(name, rest))
        tables["gradient"] = own
    return _choice("gradient", wanted, tables)


def _rest(name: str, given: _Given) -> AbstractEstimator:
    for asked, _ in given.values():
        if name not in asked.owners:
            raise _unserved(asked, "rest", name)
    return _choice("gradient", name, {"gradient": given})


def _bound(
    wanted: Any, model: AbstractArchitecture, gradient: AbstractEstimator | None,
    inference: AbstractInference, tables: dict[str, _Given],
) -> AbstractBound | None:  # fmt: skip
    """The bound; where none is named the inference's, or the first that the gradient serves."""
    if wanted is None:
        served = [] if gradient is None else [claim.bound for claim in gradient.claims]
        default = inference.default_bound(model)
        if default is None:
            return None
        wanted = served[0] if served and default.name not in served else default.name
    if wanted == "elbo":
        # An architecture may want more draws than one.
        draws = (options()["num_draws"], model.default_draws)
        tables["bound"] = {"num_draws": draws, **tables.get("bound", {})}
    return _choice("bound", wanted, tables)


def _unserved(asked: Option, choice: str, name: str) -> InputError:
    return InputError(
        f"{asked.mentioned} with {_any_of(choice, asked.owners)}", option(choice, name),
        f"leaving out {asked.mentioned}", where=asked.mentioned,
    )  # fmt: skip


def _any_of(choice: str, names: Sequence[str]) -> str:
    """A choice that is one of several: the first in full, the others by their names."""
    return " or ".join([option(choice, names[0]), *names[1:]])


def typed_seed(value: Any) -> int:
    """A seed of TOML or the command line.

    Raises:
        InputError: no whole number, or one that does not fit 64 bits.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError("a whole number", repr(value), "0", where="seed")
    if abs(value) >= 2**63:
        raise InputError("a whole number that fits 64 bits", repr(value), "0", where="seed")
    return value


def _field_names(cls: type) -> set[str]:
    return {f.name for f in fields(cls)}


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | Mapping)
