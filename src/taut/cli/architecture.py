"""What `--model` and the options that shape it make."""

from typing import TYPE_CHECKING, Any

from taut.cli.options import FitOptions, whole_numbers
from taut.errors import InputError

if TYPE_CHECKING:
    from taut.architectures import AbstractArchitecture

__all__ = ["architecture"]

_SERVED_BY = {
    "latent_dim": ("vae", "mixture-vae"),
    "guide": ("vae",),
    "guide_hidden": ("vae",),
    "prior": ("vae", "discrete", "flow"),
    "network": ("vae", "discrete", "mixture-vae", "vq"),
    "latent_dims": ("ladder",),
    "layers": ("flow",),
    "bins": ("flow",),
    "box": ("flow",),
    "latents": ("discrete", "vq"),
    "components": ("mixture-vae",),
    "code_dim": ("vq",),
    "commitment": ("vq",),
}
_WITH_LIKELIHOOD = ("vae", "ladder", "discrete", "mixture-vae", "vq")
_OF_LIKELIHOOD = ("scale", "floor", "library", "library_size")


def architecture(given: FitOptions) -> "AbstractArchitecture":
    """The architecture that the options choose.

    Raises:
        InputError: an option that the model does not have, or that another one must come with.
    """
    from taut.architectures import ARCHITECTURES

    name = given.model or "vae"
    of_likelihood = dict.fromkeys(("likelihood", *_OF_LIKELIHOOD), _WITH_LIKELIHOOD)
    for option, models in {**_SERVED_BY, **of_likelihood}.items():
        if getattr(given, option) is not None and name not in models:
            flag = option.replace("_", "-")
            raise InputError(
                f"--{flag} with --model {' or '.join(models)}", f"--model {name}",
                f"leaving out --{flag}", where=flag,
            )  # fmt: skip
    if given.library_size is not None and not given.library:
        raise InputError(
            "--library with --library-size", "none", "--library, or leaving out --library-size",
            where="library-size",
        )  # fmt: skip
    choices: dict[str, Any] = {
        "hidden": whole_numbers(given.hidden, "hidden"),
        "activation": given.activation,
        **{option: getattr(given, option) for option in _SERVED_BY},
        "latent_dims": whole_numbers(given.latent_dims, "latent-dims"),
        "guide_hidden": whole_numbers(given.guide_hidden, "guide-hidden"),
    }
    if name in _WITH_LIKELIHOOD:
        choices["likelihood"] = given.likelihood
        choices["likelihood_options"] = _present({n: getattr(given, n) for n in _OF_LIKELIHOOD})
    return ARCHITECTURES[name](**_present(choices))


def _present(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
