"""The currency of the library: data, draws, numbers with errors, and the mint that makes log-weights."""

from taut.core.choices import (
    Choice,
    PlainFields,
    chosen,
    is_users,
    options_from_dict,
    options_to_dict,
    plain,
    pythonic,
)
from taut.core.counts import check_count, is_whole
from taut.core.csv_table import write_csv
from taut.core.datum import Datum, num_rows
from taut.core.diagonal_gaussians import gaussian_log_densities
from taut.core.discrete_proposals import (
    MOST_OUTCOMES,
    AbstractDiscreteProposal,
    AbstractFactorizedProposal,
    BernoulliProposal,
    CategoricalProposal,
    check_outcomes,
)
from taut.core.estimate import (
    CALIBRATED,
    FREE_CONSTANT,
    NO_BOUND,
    Estimate,
    Side,
    paired_difference,
)
from taut.core.far_rows import FarRows, far_rows, far_rows_of
from taut.core.files import is_temporary, sweep, write_atomically, write_json
from taut.core.keys import as_key, host_generator, host_seed, key_from, key_of_row
from taut.core.layered_proposal import LayeredProposal
from taut.core.measure import DENSITY, MASS, NOTHING, Measure
from taut.core.mint import over_draws, particles, particles_at
from taut.core.mixture import MixtureProposal
from taut.core.over_rows import over_rows, padded_block, padded_size
from taut.core.owners import Owner, this_process
from taut.core.particles import (
    LOG_LIKELIHOOD,
    LOG_MASK,
    LOG_PRIOR,
    LOG_VOLUME,
    NEG_LOG_Q,
    Particles,
    Terms,
    log_weighted_sum,
    total,
    weighted_sum,
)
from taut.core.product import ProductProposal
from taut.core.proposals import (
    AbstractProposal,
    Companion,
    Dirac,
    DistributionProposal,
    Draws,
    Enumerated,
    as_proposal,
    equal_mass,
)
from taut.core.protocols import AbstractModel, AbstractPair, Pair, frozen
from taut.core.stratified import StratifiedProposal
from taut.errors import (
    InputError,
    RunError,
    TautError,
    counted,
    counted_are,
    in_python,
    nearest,
    option,
    refuse_unheard,
)

__all__ = [
    "CALIBRATED",
    "DENSITY",
    "FREE_CONSTANT",
    "LOG_LIKELIHOOD",
    "LOG_MASK",
    "LOG_PRIOR",
    "LOG_VOLUME",
    "MASS",
    "MOST_OUTCOMES",
    "NEG_LOG_Q",
    "NOTHING",
    "NO_BOUND",
    "AbstractDiscreteProposal",
    "AbstractFactorizedProposal",
    "AbstractModel",
    "AbstractPair",
    "AbstractProposal",
    "BernoulliProposal",
    "CategoricalProposal",
    "Choice",
    "Companion",
    "Datum",
    "Dirac",
    "DistributionProposal",
    "Draws",
    "Enumerated",
    "Estimate",
    "FarRows",
    "InputError",
    "LayeredProposal",
    "Measure",
    "MixtureProposal",
    "Owner",
    "Pair",
    "Particles",
    "PlainFields",
    "ProductProposal",
    "RunError",
    "Side",
    "StratifiedProposal",
    "TautError",
    "Terms",
    "as_key",
    "as_proposal",
    "check_count",
    "check_outcomes",
    "chosen",
    "counted",
    "counted_are",
    "equal_mass",
    "far_rows",
    "far_rows_of",
    "frozen",
    "gaussian_log_densities",
    "host_generator",
    "host_seed",
    "in_python",
    "is_temporary",
    "is_users",
    "is_whole",
    "key_from",
    "key_of_row",
    "log_weighted_sum",
    "nearest",
    "num_rows",
    "option",
    "options_from_dict",
    "options_to_dict",
    "over_draws",
    "over_rows",
    "padded_block",
    "padded_size",
    "paired_difference",
    "particles",
    "particles_at",
    "plain",
    "pythonic",
    "refuse_unheard",
    "sweep",
    "this_process",
    "total",
    "weighted_sum",
    "write_atomically",
    "write_csv",
    "write_json",
]
