"""Data made by a program, and the program given data of its own making.

    theta ~ p(theta),  x ~ p(x | theta)        then        p(theta | x) by the same lines

Observed sites take made values in place of the program's own, wherever these came from, so that no
argument of the program need be known to hold them. What the program computes from its arguments, such as
covariates or earlier values of a series, stays as it is.
"""

import functools
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray
from numpyro import validation_enabled
from numpyro.handlers import seed, trace, uncondition
from numpyro.primitives import Messenger

from taut.core import Datum
from taut.errors import InputError
from taut.models.program.arguments import whole
from taut.models.program.failures import reading
from taut.models.program.numpyro_program import NumPyroProgram

__all__ = ["given_observed", "made_data", "with_observed"]

_OBSERVED = "taut observed"  # no name of an argument


def made_data(
    model: NumPyroProgram, datum: Datum, key: PRNGKeyArray
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Latents from their priors and observed values given them, by name.

    Arguments:
        model: of all rows.
        datum: its data, of which observed values are not used.
        key: of the draws.

    Raises:
        InputError: a prior that nothing can be drawn from, or a density that the draws do not follow.
    """
    program, name = model.reading.program, model.name
    with (
        validation_enabled(False), reading(program), trace() as sites, uncondition(),
        seed(rng_seed=key),
    ):  # fmt: skip
        program(**whole(datum.x, model.reading.settings))
    sampled = {n: s for n, s in sites.items() if s["type"] == "sample"}
    for site_name, site in sampled.items():
        factor = site["infer"].get("is_auxiliary")
        if factor or site["scale"] is not None:
            what = "a factor" if factor else "a scale"
            raise InputError(
                "a program whose draws follow its density", f"{what} at site '{site_name}'",
                "distributions in place of it", where=name,
            )  # fmt: skip
    latents = {site.name: jnp.asarray(sampled[site.name]["value"]) for site in model.sites}
    observed = {
        n: jnp.asarray(s["value"]) for n, s in sampled.items() if s["infer"].get("was_observed")
    }
    return latents, observed


def given_observed(model: NumPyroProgram, observed: dict[str, Any]) -> NumPyroProgram:
    """The program whose observed sites take their values from the datum that `with_observed` makes.

    Arguments:
        model: the program.
        observed: some values of its observed sites.
    """
    read, program = model.reading, model.reading.program

    @functools.wraps(program)
    def given(**arguments: Any) -> None:
        with _Observed(arguments.pop(_OBSERVED)):
            program(**arguments)

    settings = {**read.settings, _OBSERVED: dict.fromkeys(observed)}
    held = None if read.held is None else {**read.held, _OBSERVED: observed}
    return NumPyroProgram(replace(read, program=given, settings=settings, held=held))


def with_observed(datum: Datum, observed: dict[str, Any]) -> Datum:
    """The data of a program with values of observed sites beside them, for `given_observed`."""
    return replace(datum, x={**datum.x, _OBSERVED: observed})


class _Observed(Messenger):
    """Gives observed sites other values."""

    def __init__(self, values: dict[str, Any]):
        super().__init__()
        self.values = values

    def process_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "sample" and msg["is_observed"] and msg["name"] in self.values:
            msg["value"] = self.values[msg["name"]]
