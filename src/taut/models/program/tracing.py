"""Running a NumPyro program with its latents given, and what can be read off such a run."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray
from numpyro import validation_enabled
from numpyro.distributions import (
    CategoricalLogits,
    CategoricalProbs,
    Delta,
    Distribution,
    ExpandedDistribution,
    Independent,
    MaskedDistribution,
)
from numpyro.handlers import seed, substitute, trace, uncondition
from numpyro.primitives import Messenger

from taut.distributions import accurate
from taut.errors import InputError, counted, option
from taut.models.program.density_within import bounds_move, log_prob_within
from taut.models.program.discrete import Cells, Choice, choose, is_finite
from taut.models.program.distribution_support import tight_support
from taut.models.program.masked_latents import kept
from taut.models.program.subsampled_plate import SubsampledPlate

__all__ = ["cells", "drawn", "factor", "is_latent", "is_summed", "log_prob", "plates_of", "run"]

_AROUND = (ExpandedDistribution, Independent, MaskedDistribution)


def run(
    program: Callable,
    arguments: dict[str, Any],
    value_of: Callable[[dict[str, Any]], Array],
    plate: SubsampledPlate | None = None,
    index: Int[Array, " B"] | None = None,
    choice: Choice | None = None,
    idle: dict[str, Array] | None = None,
    chance: Callable[[], PRNGKeyArray] | None = None,
) -> dict[str, dict[str, Any]]:
    """One run of a program.

    Arguments:
        program: a function with NumPyro primitives.
        arguments: its keyword arguments.
        value_of: the value of a latent, from NumPyro's message about its site.
        plate: the one that is subsampled; None for all rows.
        index: what that plate hands to the program, (B,).
        choice: values of the discrete latents by their numbers; the first ones where there is none.
        idle: cells of masked latents that keep their own density.
        chance: what a program gets that asks for a random key; None for some fixed one.

    Returns:
        The sites by name, in order, as NumPyro describes them; `scale` holds N/B for single rows.

    Raises:
        InputError: a learned `param`; a latent inside `scan`; a plate that subsamples by itself or
            whose size is not that of the data.
    """
    # The key serves programs that ask for one; no latent is drawn with it.
    # Validation would evaluate constraints one operation at a time at every trace.
    with (
        validation_enabled(False),
        seed(rng_seed=0),
        trace() as sites,
        _Given(value_of, plate, index, choice or {}, idle or {}, chance),
    ):
        program(**arguments)
    return sites


def drawn(
    program: Callable, arguments: dict[str, Any], latents: dict[str, Array], key: PRNGKeyArray
) -> dict[str, Array]:
    """New values of the observed sites, by name, each drawn given the latents.

    Discrete latents that are summed out elsewhere are drawn given the others: they are those of new
    rows. Factors hold no data and are left out.

    Arguments:
        program: a function with NumPyro primitives.
        arguments: its keyword arguments, all rows.
        latents: values by name.
        key: of the draws.
    """
    with (
        validation_enabled(False),
        trace() as sites,
        substitute(data=latents),
        uncondition(),
        seed(rng_seed=key),
    ):
        program(**arguments)
    return {
        name: jnp.asarray(site["value"])
        for name, site in sites.items()
        if site["type"] == "sample"
        and site["infer"].get("was_observed")
        and not site["infer"].get("is_auxiliary")
    }


def log_prob(site: dict[str, Any]) -> Array:
    """A site's log-probability cell by cell in nats, before scaling."""
    fn, value = site["fn"], site["value"]
    if isinstance(_family(fn), (CategoricalLogits, CategoricalProbs)):
        value = jnp.asarray(value, int)  # they index by it; whole numbers may come as floats
    with validation_enabled(False):
        # A latent lies in its support by the map onto it, where a constraint describes the support.
        loose = tight_support(fn) is None if is_latent(site) else bounds_move(fn)
        return log_prob_within(fn, value) if loose else jnp.asarray(accurate(fn).log_prob(value))


def cells(site: dict[str, Any]) -> Cells:
    """What a site adds to the log-joint."""
    return Cells(log_prob(site), factor(site))


def is_latent(site: dict[str, Any]) -> bool:
    """Whether a site is a latent that has a place in z."""
    return _is_hidden(site) and not is_finite(site["fn"])


def is_summed(site: dict[str, Any]) -> bool:
    """Whether a site is a discrete latent that is summed out."""
    return _is_hidden(site) and is_finite(site["fn"])


def _family(fn: Distribution) -> Distribution:
    """A distribution without what expands, masks or joins it."""
    return _family(fn.base_dist) if isinstance(fn, _AROUND) else fn


def _is_joined(fn: Distribution) -> bool:
    return isinstance(fn, Independent) or (isinstance(fn, _AROUND) and _is_joined(fn.base_dist))


def _is_hidden(site: dict[str, Any]) -> bool:
    return site["type"] == "sample" and not site["is_observed"]


def plates_of(site: dict[str, Any]) -> tuple[str, ...]:
    """Names of the plates around a site, innermost first."""
    return tuple(frame.name for frame in site["cond_indep_stack"])


def factor(site: dict[str, Any]) -> Any:
    """The scale of a site's log-probability."""
    return 1.0 if site["scale"] is None else site["scale"]


class _Given(Messenger):
    """Gives each latent its value and the subsampled plate its rows."""

    def __init__(
        self,
        value_of: Callable,
        plate: SubsampledPlate | None,
        index: Array | None,
        choice: Choice,
        idle: dict[str, Array],
        chance: Callable[[], PRNGKeyArray] | None,
    ):
        super().__init__()
        self.value_of, self.plate, self.index = value_of, plate, index
        self.choice, self.idle, self.chance = choice, idle, chance
        self.rest = 1.0  # what a plate that sees B rows, not N, lacks of the factor N/B

    def process_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "param":
            raise InputError(
                "latents with priors",
                f"the parameter '{msg['name']}' without one",
                "numpyro.sample in place of numpyro.param",
                where=f"site '{msg['name']}'",
            )
        if msg["type"] == "plate":
            self._plate(msg)
        elif msg["type"] == "sample":
            self._sample(msg)
        elif msg["type"] == "prng_key" and self.chance is not None:
            msg["value"] = self.chance()

    def _plate(self, msg: dict[str, Any]) -> None:
        size, batch = msg["args"]
        where = f"plate '{msg['name']}'"
        if batch is not None and batch != size:
            raise InputError(
                "a plate over all rows",
                f"one that draws {batch} of {size} by itself",
                f"no subsample_size in the program and {option('subsample', {msg['name']: batch})}",
                where=where,
            )
        plate = self.plate
        if plate is None or msg["name"] != plate.name or not plate.partial:
            return
        if size not in (plate.size, plate.batch_size):
            raise InputError(
                f"{counted(plate.size, 'row')}, or the {plate.batch_size} of a batch",
                f"{size}",
                "the length of the data as the plate's size, such as len(y)",
                where=where,
            )
        self.rest = plate.size / size
        msg["args"], msg["value"] = (size, plate.batch_size), self.index

    def _sample(self, msg: dict[str, Any]) -> None:
        if self.plate is not None and self.rest != 1.0 and self.plate.name in plates_of(msg):
            msg["scale"] = factor(msg) * self.rest
        if _is_hidden(msg) and msg.get("_control_flow_done"):
            raise InputError(
                "latents outside of scan",
                f"'{msg['name']}' inside one",
                "drawing it in a plate before a jax.lax.scan",
                where=f"site '{msg['name']}'",
            )
        if msg["value"] is not None:
            msg["is_observed"] = True  # by substitute or replay, too
            return
        if copies := msg["kwargs"].get("sample_shape", ()):  # plates take it in by themselves
            msg["fn"] = msg["fn"].expand((*copies, *msg["fn"].batch_shape))
            msg["kwargs"]["sample_shape"] = ()
        if msg["name"] in self.idle:
            msg["fn"] = kept(msg["fn"], self.idle[msg["name"]])
        if isinstance(_family(msg["fn"]), Delta):
            msg["value"] = jnp.broadcast_to(msg["fn"].sample(None), msg["fn"].shape())
            msg["is_observed"] = True
            return
        summed = is_finite(msg["fn"])
        if summed and _is_joined(msg["fn"]):
            raise InputError(
                "discrete latents one by one", f"'{msg['name']}', several as one event",
                "leaving out .to_event", where=f"site '{msg['name']}'",
            )  # fmt: skip
        msg["value"] = choose(msg, self.choice) if summed else jnp.asarray(self.value_of(msg))
