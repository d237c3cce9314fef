"""taut: latent-variable models, fitted by maximising the ELBO, with a measure of how tight it is.

Importing it allocates no array and opens no device: names are loaded when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from taut.api import (
        Data,
        Dataset,
        Fit,
        Posterior,
        audit_model,
        compare,
        em,
        fit,
        infer,
        load,
        load_data,
        pool,
        refit_prior,
        wrap_model,
    )
    from taut.architectures import (
        FA,
        GMM,
        LCA,
        PPCA,
        VAE,
        VQ,
        Discrete,
        Flow,
        Ladder,
        Mixed,
        MixtureVAE,
    )
    from taut.bounds import ELBO, IWAE, Renyi
    from taut.core import Datum, Estimate, InputError, Particles, RunError, TautError, particles
    from taut.core.devices import over_devices
    from taut.distributions import kl
    from taut.gradients import Reparameterized
    from taut.networks import from_torch
    from taut.program_cache import cache

_HOMES = {
    "api": (
        "Data",
        "Dataset",
        "Fit",
        "Posterior",
        "audit_model",
        "compare",
        "em",
        "fit",
        "infer",
        "load",
        "pool",
        "load_data",
        "refit_prior",
        "wrap_model",
    ),
    "architectures": (
        "FA",
        "GMM",
        "LCA",
        "PPCA",
        "VAE",
        "VQ",
        "Discrete",
        "Flow",
        "Ladder",
        "Mixed",
        "MixtureVAE",
    ),
    "bounds": ("ELBO", "IWAE", "Renyi"),
    "core": ("Datum", "Estimate", "InputError", "Particles", "RunError", "TautError", "particles"),
    "core.devices": ("over_devices",),
    "distributions": ("kl",),
    "gradients": ("Reparameterized",),
    "networks": ("from_torch",),
    "program_cache": ("cache",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ELBO",
    "FA",
    "GMM",
    "IWAE",
    "LCA",
    "PPCA",
    "VAE",
    "VQ",
    "Data",
    "Dataset",
    "Datum",
    "Discrete",
    "Estimate",
    "Fit",
    "Flow",
    "InputError",
    "Ladder",
    "Mixed",
    "MixtureVAE",
    "Particles",
    "Posterior",
    "Renyi",
    "Reparameterized",
    "RunError",
    "TautError",
    "audit_model",
    "cache",
    "compare",
    "em",
    "fit",
    "from_torch",
    "infer",
    "kl",
    "load",
    "load_data",
    "over_devices",
    "particles",
    "pool",
    "refit_prior",
    "wrap_model",
]


# Subpackages that hold what a user's own parts are made of, or that a user calls.
_PACKAGES = frozenset(
    {
        "architectures",
        "bounds",
        "callbacks",
        "counterfactuals",
        "distributions",
        "evidence",
        "gradients",
        "guides",
        "inference",
        "models",
        "networks",
        "sklearn",
    }
)


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"taut.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'taut' has no attribute '{name}'")
    return getattr(importlib.import_module(f"taut.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *_PACKAGES, "__version__"])
