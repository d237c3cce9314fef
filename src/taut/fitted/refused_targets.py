"""Targets that nothing can be learned of, refused before anything is fitted."""

import numpy as np

from taut.architectures import VAE, AbstractArchitecture
from taut.architectures.networked import AbstractNetworked
from taut.core import InputError, option
from taut.data import Data, Schema
from taut.data.targets import known_targets
from taut.recipe import Recipe

__all__ = ["refuse_target"]


def refuse_target(model: AbstractArchitecture, data: Data, recipe: Recipe) -> None:
    """Refuse data whose target nothing can be learned of.

    Raises:
        InputError: fewer than two different values among the training rows; a target that is a column
            of a model that takes no missing cells, or that is given the totals of rows; a head that does
            not go with model and target.
    """
    name = data.schema.target
    if recipe.training.head != "auto":
        _check_head(model, data, recipe)
    if name is None:
        return
    where = f"{data.schema.name}, target '{name}'"
    known, label = known_targets(data.train)
    number = len(np.unique(label)) if len(known) else 0
    if number < 2:
        raise InputError(
            "two or more different values among the training rows with a target",
            f"{number} in {len(known)} rows of {len(data.train)}",
            "more labels, or another split of the rows", where=where,
        )  # fmt: skip
    if data.schema.place_of_target is not None and not model.takes_holes:
        raise InputError(
            f"a model that takes missing cells with {option('target_as', 'column')}",
            option("model", model.name), option("target_as", "label"), where=where,
        )  # fmt: skip
    if data.schema.place_of_target is not None and _given_total(model, data.schema):
        raise InputError(
            "a target that is no part of its row's total",
            f"one that is, with {option('library', True)}", option("target_as", "label"), where=where,
        )  # fmt: skip


def _check_head(model: AbstractArchitecture, data: Data, recipe: Recipe) -> None:
    """Refuse a head where there are no latent features that it takes, or no classes.

    Raises:
        InputError: names what there is instead.
    """
    schema, inference = data.schema, recipe.inference
    wanted, where = option("head", recipe.training.head), option("head")
    if recipe.training.head != "mixture-vae" and model.learns_classes:
        raise InputError(
            f"a model whose latents are no classes with {wanted}", option("model", model.name),
            option("model", "vae"), where=where,
        )  # fmt: skip
    if recipe.training.head == "mixture-vae" and (
        not isinstance(model, VAE) or inference.claims.guides != "any"
    ):
        got = f"{option('model', model.name)} by {inference.name}"
        raise InputError(
            f"a vae with an encoder with {wanted}", got, option("model", "vae"), where=where
        )
    if schema.target is None or schema.place_of_target is not None or schema.classes is None:
        got = "no target" if schema.target is None else f"the target '{schema.target}'"
        raise InputError(
            f"a target of classes beside the columns with {wanted}", got,
            f"leaving out {option('head')}", where=where,
        )  # fmt: skip
    if data.streamed and recipe.training.head != "logistic":
        raise InputError(
            f"rows in memory with {wanted}", "rows that stay on disk", option("stream", "no"),
            where=where,
        )  # fmt: skip


def _given_total(model: AbstractArchitecture, schema: Schema) -> bool:
    """Whether rows are conditioned on their totals: two values of a cell are then of two models."""
    if not isinstance(model, AbstractNetworked):
        return False
    return bool(model.resolved(schema)[0].make_likelihood(schema).options().get("library"))
