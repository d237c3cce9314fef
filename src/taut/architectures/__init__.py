"""Named sentences of choices: prior, decoder, likelihood, encoder, guide."""

from collections.abc import Iterable
from dataclasses import fields

from taut.architectures.abstract import AbstractArchitecture
from taut.architectures.closed_form import AbstractClosedForm
from taut.architectures.discrete import Discrete
from taut.architectures.factor import FA, PPCA
from taut.architectures.flow import Flow
from taut.architectures.functions import Functions
from taut.architectures.ladder import Ladder
from taut.architectures.mixed import Mixed
from taut.architectures.mixture import GMM, LCA
from taut.architectures.mixture_vae import MixtureVAE
from taut.architectures.row_programs import RowPrograms
from taut.architectures.vae import VAE
from taut.architectures.vq import VQ

__all__ = [
    "ARCHITECTURES",
    "FA",
    "GMM",
    "LCA",
    "PPCA",
    "RENAMED",
    "VAE",
    "VQ",
    "AbstractArchitecture",
    "AbstractClosedForm",
    "Discrete",
    "Flow",
    "Functions",
    "Ladder",
    "Mixed",
    "MixtureVAE",
    "RowPrograms",
    "name_today",
]

ARCHITECTURES: dict[str, type[AbstractArchitecture]] = {
    a.name: a for a in (VAE, Flow, Ladder, Discrete, MixtureVAE, VQ, GMM, LCA, Mixed, PPCA, FA)
}

RENAMED = {"mixed": "mixture-vae"}  # names in files of taut 0.1, and what stands for them


def name_today(name: str, choices: Iterable[str]) -> str:
    """The name of an architecture that a file names, by the choices that stand beside it.

    An older name may be that of another architecture by now, which has none of the older one's own.
    """
    older = RENAMED.get(name)
    if older is None:
        return name
    own, now = ({f.name for f in fields(ARCHITECTURES[n])} for n in (older, name))
    return older if (own - now) & set(choices) else name
