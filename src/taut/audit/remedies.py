"""What to try against the findings of an audit, in options that the audited model has.

Where what would help is no choice of the model, the remedy names a model of which it is one, and of a
model that was not made here what it is in words.
"""

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

__all__ = ["another_prior", "fewer_latents", "number_of_latents", "richer_guide", "smaller_gap"]


def richer_guide(model: AbstractArchitecture) -> str:
    """A family of guides that holds more."""
    full_rank = option("guide", "full-rank")
    if isinstance(model, VAE):
        return f"a richer guide: {full_rank} or {option('guide', 'iaf:4')}"
    if _made_here(model):
        return f"a model whose guide is a choice: {option('model', 'vae')} with {full_rank}"
    return "a richer guide"


def smaller_gap(model: AbstractArchitecture) -> str:
    """A guide, or what finds it, where a gap is not divided among the two."""
    if isinstance(model, VAE):
        return f"another {option('guide')}, or {option('inference', 'semi-amortized')}"
    if _made_here(model):
        return f"wider networks, {option('hidden')}"
    return "a richer guide, or a larger encoder"


def another_prior(model: AbstractArchitecture) -> str:
    """A prior that is nearer to the posteriors."""
    mixture = option("prior", "mixture:10")
    if isinstance(model, VAE):
        return (
            "another prior for this model by `taut refit-prior`, or one that is learned with it: "
            f"{mixture} or {option('prior', 'vamp:500')}"
        )
    if isinstance(model, Discrete):
        if model.prior != "learned":
            return option("prior", "learned")
        return f"two layers of {option('latents')}, of which the upper one is a prior of the lower"
    if isinstance(model, Flow):
        return f"a prior that is learned with the layers: {mixture}"
    if _made_here(model):
        return f"a model whose prior is a choice: {option('model', 'vae')} with {mixture}"
    return "another prior, or one that is learned with the model"


def fewer_latents(model: AbstractArchitecture, use: LatentUse) -> str:
    """As many latents as rows move; those of a class stay where classes alone are idle."""
    warmup = f"a warm-up of the KL, {option('kl_warmup_steps')}, if they were meant to be used"
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


def _made_here(model: AbstractArchitecture) -> bool:
    return isinstance(model, tuple(ARCHITECTURES.values()))
