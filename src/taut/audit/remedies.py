"""What to try against the findings of an audit, in options that the audited fit does not use yet.

Where what would help is no choice of the model, the remedy names a model of which it is one, and of a
model that was not made here what it is in words. Of what the fit has already there may be more: layers,
components, steps.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from taut.architectures import (
    ARCHITECTURES,
    VAE,
    AbstractArchitecture,
    Discrete,
    Flow,
    Ladder,
    MixtureVAE,
)
from taut.audit.latents import LatentUse
from taut.core import option
from taut.inference import AbstractAmortized, PerDatum, SemiAmortized
from taut.models import FlowPrior, MixtureOfGaussians, StandardNormal, VampPrior
from taut.recipe import Recipe, completed

__all__ = [
    "Choices",
    "another_prior",
    "fewer_latents",
    "number_of_latents",
    "other_priors",
    "richer_guide",
    "smaller_gap",
    "used_latents",
    "within_encoder",
]

_GAUSSIAN_GUIDES = ("mean-field", "low-rank")
_PRIORS = {
    MixtureOfGaussians.name: "mixture:10",
    VampPrior.name: "vamp:500",
    FlowPrior.name: "flow:affine-coupling:4",
}


@dataclass(frozen=True)
class Choices:
    """What an audited fit was asked for, by which remedies are judged.

    Attributes:
        model: with all choices made.
        inference: by name.
        refine_steps: of each row's guide; 0 where the encoder alone names it.
        beta: factor of the KL in training.
        warmup_steps: over which it rose.
        free_bits: nats of KL that cost nothing; None where the bound has no such option.
    """

    model: AbstractArchitecture
    inference: str = "joint"
    refine_steps: int = 0
    beta: float = 1.0
    warmup_steps: int = 0
    free_bits: float | None = 0.0

    @classmethod
    def of(cls, model: AbstractArchitecture, recipe: Recipe) -> "Choices":
        """Those of a fit."""
        inference = recipe.inference
        if not isinstance(inference, AbstractAmortized):
            return cls(model, inference.name, free_bits=None)
        bound = completed(recipe).bound
        sampled = getattr(bound, "kl", "") == "sampled"
        return cls(
            model,
            inference.name,
            getattr(inference, "refine_steps", 0),
            float(getattr(bound, "beta", 1.0)),
            getattr(bound, "warmup_steps", 0),
            None if sampled else getattr(bound, "free_bits", None),
        )


def richer_guide(had: Choices) -> str:
    """A family of guides that holds more."""
    if isinstance(had.model, VAE):
        return f"a richer guide: {_either(_richer_guides(had.model))}"
    if _made_here(had.model):
        full_rank = option("guide", "full-rank")
        return f"a model whose guide is a choice: {option('model', 'vae')} with {full_rank}"
    return "a richer guide"


def smaller_gap(had: Choices) -> str:
    """A guide, or what finds it, where a gap is not divided among the two."""
    if isinstance(had.model, VAE):
        another = f"another {option('guide')}"
        if had.inference == PerDatum.name:  # each row has a guide of its own already
            return another
        return f"{another}, or {_climb(had)}"
    if _made_here(had.model):
        return f"wider networks, {option('hidden')}"
    return "a richer guide, or a larger encoder"


def within_encoder(had: Choices) -> str:
    """Better members of the guide's family, where the encoder names worse ones than there are."""
    return (
        f"{_climb(had)}, which climbs from the encoder's answer, a larger encoder, or "
        f"{option('method', 'refined')} where only the evidence matters"
    )


def another_prior(had: Choices) -> str:
    """A prior that is nearer to the posteriors."""
    model, mixture = had.model, option("prior", _PRIORS[MixtureOfGaussians.name])
    if isinstance(model, VAE):
        return (
            "another prior for this model by `taut refit-prior`, or one that is learned with it: "
            f"{_either(option('prior', prior) for prior in other_priors(model.prior))}"
        )
    if isinstance(model, Discrete):
        if model.prior != "learned":
            return option("prior", "learned")
        return f"two layers of {option('latents')}, of which the upper one is a prior of the lower"
    if isinstance(model, Flow):
        if model.prior == StandardNormal.name:
            return f"a prior that is learned with the layers: {mixture}"
        return f"more {option('layers')}, which carry the rows to the prior"
    if _made_here(model):
        return f"a model whose prior is a choice: {option('model', 'vae')} with {mixture}"
    return "another prior, or one that is learned with the model"


def used_latents(had: Choices) -> str:
    """What keeps latents in use, where they say next to nothing of the rows."""
    ways = [_warmup(had)]
    if had.free_bits is not None:
        ways.append(f"more {option('free_bits')}" if had.free_bits else option("free_bits", 0.1))
    return ", or ".join(ways)


def fewer_latents(had: Choices, use: LatentUse) -> str:
    """As many latents as rows move; those of a class stay where classes alone are idle."""
    model, warmup = had.model, f"{_warmup(had)}, if they were meant to be used"
    active = use.num_active
    if isinstance(model, MixtureVAE):
        gaussian = use.active[-model.latent_dim :]
        if gaussian.all():
            return warmup
        active = int(gaussian.sum())
    if active and isinstance(model, VAE | MixtureVAE):
        return f"{option('latent_dim', active)}, or {warmup}"
    return f"fewer of them, {number_of_latents(model)}, or {warmup}"


def number_of_latents(model: AbstractArchitecture) -> str:
    """What says how many latents there are."""
    if isinstance(model, Ladder):
        return option("latent_dims")
    if isinstance(model, Discrete):
        return option("latents")
    if isinstance(model, VAE | MixtureVAE):
        return option("latent_dim")
    return option("layers") if isinstance(model, Flow) else "in the model itself"


def other_priors(prior: object) -> list[str]:
    """Two learned priors of kinds that a model does not have, by name.

    Arguments:
        prior: the model's own, by name or as an object.
    """
    own = prior.partition(":")[0] if isinstance(prior, str) else getattr(prior, "name", None)
    return [usual for name, usual in _PRIORS.items() if name != own][:2]


def _richer_guides(model: VAE) -> list[str]:
    """Guides by name that hold more than the model's own; more layers of a flow that it has."""
    guide = model.guide
    if not isinstance(guide, str) or guide.partition(":")[0] in _GAUSSIAN_GUIDES:
        return [option("guide", "full-rank"), option("guide", "iaf:4")]
    if guide == "full-rank":
        return [option("guide", "iaf:4")]
    more = f"more layers than {option('guide', guide)}"
    return [more] if guide.startswith("iaf") else [more, option("guide", "iaf:4")]


def _climb(had: Choices) -> str:
    """The gradient steps on each row's guide."""
    if had.inference == SemiAmortized.name:
        return f"more of its steps, {option('refine_steps', 2 * had.refine_steps)}"
    return option("inference", SemiAmortized.name)


def _warmup(had: Choices) -> str:
    name = option("kl_warmup_steps")
    return f"a {'longer ' if had.warmup_steps else ''}warm-up of the KL, {name}"


def _either(ways: Iterable[str]) -> str:
    return " or ".join(ways)


def _made_here(model: AbstractArchitecture) -> bool:
    return isinstance(model, tuple(ARCHITECTURES.values()))
