"""`PosteriorOptions`: what a user can choose about fitting q(z) to the posterior of a program.

The fields are the keywords of `taut.infer` beside the program, its data and the random key, the flags
of `taut infer`, and the entries of its `config.toml`.
"""

import numbers
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from taut.errors import InputError, nearest, option

__all__ = ["PosteriorOptions"]

_Init = Literal["random", "pathfinder"]
_Refine = Literal["auto", "none", "smc"]
_Precision = Literal["float32", "float64"]


@dataclass(frozen=True)
class PosteriorOptions:
    """How a guide is fitted to a posterior, and how its draws are weighed.

    Attributes:
        guide: family of q(z): full-rank, mean-field, low-rank[:RANK], laplace, structured, flow, or
            the layers of a flow, such as spline-coupling:4 or planar:8; None for full-rank up to 150
            dimensions of z and low-rank:8 above, or structured where a plate is subsampled.
        precision_nats: optimization stops when the ELBO can still rise by less than this many nats.
        num_starts: number of starting points; the one with the highest ELBO is continued.
        init: starting points: `random`, or `pathfinder`, which moves them near the bulk of the
            posterior first.
        num_draws: weighted draws for the evidence, k-hat and the moments; None for 10000, or fewer
            with many rows of data.
        refine: what goes on from the guide's draws to the posterior: `smc`, tempered sequential Monte
            Carlo; `none`; `auto` for smc where the guide's draws are not to be believed and it takes
            about a minute at most. Before that, latents whose scale moves with others are tried as
            location and scale times standard numbers.
        subsample: rows in a minibatch, by name of the plate that is subsampled; None for all rows.
        precision: type of floating-point numbers. Float32 loses, in gradients of sums over many
            rows, what an ELBO to a tenth of a nat needs.

    Raises:
        InputError: a value that cannot be used.
    """

    guide: str | None = None
    precision_nats: float = 0.1
    num_starts: int = 4
    init: _Init = "random"
    num_draws: int | None = None
    refine: _Refine = "auto"
    subsample: Mapping[str, int] | None = None
    precision: _Precision = "float64"

    def __post_init__(self):
        if not (_is_number(self.precision_nats) and self.precision_nats > 0):
            got = repr(self.precision_nats)
            raise InputError(
                "a positive number of nats", got, "0.1", where=option("precision_nats")
            )
        _check_count(self.num_starts, 1, "start", "4", "num_starts")
        if self.num_draws is not None:
            _check_count(self.num_draws, 100, "draws", "10000", "num_draws")
        _check_among(self.init, get_args(_Init), "pathfinder", "init")
        _check_among(self.refine, get_args(_Refine), "auto", "refine")
        _check_among(self.precision, get_args(_Precision), "float64", "precision")
        # An empty table asks for nothing.
        object.__setattr__(self, "subsample", dict(self.subsample) if self.subsample else None)
        if self.subsample and self.refine == "smc":
            raise InputError(
                f"all rows at once with {option('refine', 'smc')}", "minibatches",
                f"leaving out {option('subsample')}, or {option('refine', 'none')}",
                where=option("refine"),
            )  # fmt: skip
        for plate, rows in (self.subsample or {}).items():
            _check_count(rows, 1, f"row of plate '{plate}'", "1000", "subsample")

    def to_dict(self) -> dict[str, Any]:
        """The options as plain values by name; those that are None are left out."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "PosteriorOptions":
        """The inverse of `to_dict`; what is left out has its default.

        Raises:
            InputError: an unknown name, or a value that cannot be used.
        """
        known = [f.name for f in fields(cls)]
        for name in content:
            if name not in known:
                raise InputError(
                    "an option of taut infer", f"'{name}'", nearest(name, known), where="options"
                )
        return cls(**content)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _check_count(value: Any, least: int, what: str, remedy: str, where: str) -> None:
    if not (_is_number(value) and isinstance(value, numbers.Integral) and int(value) >= least):
        expected = f"at least {'one' if least == 1 else least} {what}"
        raise InputError(expected, repr(value), remedy, where=option(where))


def _check_among(value: Any, choices: tuple[str, ...], remedy: str, where: str) -> None:
    if value not in choices:
        raise InputError(" or ".join(choices), repr(value), remedy, where=where)
