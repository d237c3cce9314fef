"""Columns of different kinds: each has a family of its own, and their log-densities add up.

    real        Gaussian of u = (x - shift) / scale, less log scale
    positive    Gaussian of u = (log x - shift) / scale, less log scale + log x: log-normal
    count       negative binomial
    binary      Bernoulli
    category    categorical, with as many logits as the column has values
    ordinal     cumulative logit
    constant    nothing

A real column may have Student's t of u instead. The sum is in the columns' own units: a density in the
first two kinds, a probability in the others. A column uses the first of `num_outputs` outputs, as many
as its family has.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped
from numpyro.distributions import Distribution, constraints

from taut.core import DENSITY, MASS, NOTHING
from taut.models.column_forms import ColumnForm
from taut.models.likelihoods.abstract import AbstractLikelihood, Start, refuse_first
from taut.models.likelihoods.categorical import Categorical
from taut.models.likelihoods.cumulative_logit import CumulativeLogit
from taut.models.likelihoods.gaussian import Gaussian
from taut.models.likelihoods.negative_binomial import NegativeBinomial
from taut.models.likelihoods.registry import make_likelihood
from taut.models.likelihoods.student_t import StudentT

__all__ = ["Mixed"]

_DENSE = ("real", "positive")
_MEASURES = {"real": DENSITY, "positive": DENSITY, "constant": NOTHING}
_FITS = {
    "positive": lambda x, _: (x > 0) & np.isfinite(x),
    "count": lambda x, _: (x >= 0) & (x == np.floor(x)) & np.isfinite(x),
    "binary": lambda x, _: (x == 0) | (x == 1),
    "categorical": lambda x, levels: (x >= 0) & (x < levels) & (x == np.floor(x)),
    "ordinal": lambda x, levels: (x >= 0) & (x < levels) & (x == np.floor(x)),
}
_CODES = ("categorical", "ordinal")


class Mixed(AbstractLikelihood):
    """One family for each kind of column.

    Arguments:
        forms: of the columns.
        floor: smallest scale of a Gaussian, in standard deviations of its column.

    Attributes:
        members: the families that occur.
        places: the columns of each.
    """

    name: ClassVar[str] = "mixed"
    discrete: ClassVar[bool] = False
    members: tuple[AbstractLikelihood, ...]
    places: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    forms: tuple[ColumnForm, ...] = eqx.field(static=True)
    floor: float = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)

    def __init__(self, *, forms: Sequence[ColumnForm], floor: float = 1e-3):
        self.forms, self.floor = tuple(ColumnForm(*form) for form in forms), floor
        most = max((form.levels for form in self.forms if form.kind == "categorical"), default=0)
        families = {
            "gaussian": lambda at: Gaussian(shape=(len(at),), scale="dimension", floor=floor),
            "count": lambda at: NegativeBinomial(shape=(len(at),)),
            "binary": lambda at: make_likelihood("bernoulli", shape=(len(at),)),
            "categorical": lambda _: Categorical(levels=most),
            "student-t": lambda at: StudentT(shape=(len(at),), scale="dimension", floor=floor),
            "ordinal": lambda at: CumulativeLogit(
                shape=(len(at),), levels=[self.forms[i].levels for i in at]
            ),
        }
        found = [
            (make, tuple(i for i, form in enumerate(self.forms) if _family(form) == family))
            for family, make in families.items()
        ]
        self.places = tuple(places for _, places in found if places)
        self.members = tuple(make(places) for make, places in found if places)
        self.num_outputs = max((m.num_outputs for m in self.members), default=1)

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(_MEASURES.get(form.kind, MASS) for form in self.forms)

    def __call__(self, outputs: Float[Array, "outputs D"]) -> Distribution:
        levels = jnp.asarray([form.levels for form in self.forms])
        parts = []
        for member, places in zip(self.members, self.places, strict=True):
            own = outputs[: member.num_outputs][:, jnp.asarray(places)]
            if isinstance(member, Categorical):
                code = jnp.arange(member.levels)[:, None]
                own = jnp.where(code < levels[jnp.asarray(places)], own, -jnp.inf)
            parts.append(member(own))
        return _Columns(parts, self.places, self.forms)

    def check(self, x: np.ndarray, *, where: str) -> None:
        bad = np.isinf(x)
        for i, form in enumerate(self.forms):
            if form.kind in _FITS:
                bad[:, i] |= ~(np.isnan(x[:, i]) | _FITS[form.kind](x[:, i], form.levels))
        refuse_first(
            bad, x, where=where, expected="a value of the kind that its column has",
            remedy="rows like those that the model was made for",
        )  # fmt: skip

    def started_at(
        self, x: Shaped[Array, "N D"], weight: Float[Array, "N D"] | None = None
    ) -> Start:
        seen = None if weight is None else weight > 0
        u = _standardised(x if seen is None else jnp.where(seen, x, 1), self.forms)
        outputs = jnp.zeros((self.num_outputs, len(self.forms)), u.dtype)
        spread, members = jnp.ones_like(outputs), []
        for member, places in zip(self.members, self.places, strict=True):
            at = jnp.asarray(places)
            start = member.started_at(u[:, at], None if weight is None else weight[:, at])
            assert start is not None  # all of these families say
            members.append(start.likelihood)
            outputs = outputs.at[: member.num_outputs, at].set(start.outputs)
            spread = spread.at[: member.num_outputs, at].set(start.spread)
        moved = eqx.tree_at(lambda likelihood: likelihood.members, self, tuple(members))
        return Start(moved, outputs, spread)

    def options(self) -> dict[str, Any]:
        return {"forms": [list(form) for form in self.forms], "floor": self.floor}


class _Columns(Distribution):
    """Independent columns, (D,), of which each is in one of the parts."""

    def __init__(
        self,
        parts: list[Any],
        places: Sequence[tuple[int, ...]],
        forms: Sequence[ColumnForm],
    ):
        self.parts, self.places, self.forms = parts, tuple(places), tuple(forms)
        super().__init__(batch_shape=(len(forms),), validate_args=False)

    @property
    def support(self) -> Any:
        return constraints.real

    def log_prob(self, value: Any, intermediates: Any = None) -> Array:
        u = _standardised(value, self.forms)
        cells = jnp.zeros(value.shape, u.dtype)
        for part, places in zip(self.parts, self.places, strict=True):
            at = jnp.asarray(places)
            own = u[..., at]
            if self.forms[places[0]].kind in _CODES:
                own = own.astype(int)
            cells = cells.at[..., at].set(jnp.asarray(part.log_prob(own)))
        scale, logged = _scales(self.forms)
        inside = jnp.where(logged, value > 0, True)
        cells = cells - jnp.log(scale) - jnp.where(logged, jnp.log(_safe(value, logged)), 0.0)
        return jnp.where(inside, cells, -jnp.inf)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        keys = jax.random.split(key, max(len(self.parts), 1))
        return self._gathered([
            part.sample(k, sample_shape) for part, k in zip(self.parts, keys, strict=False)
        ])  # fmt: skip

    @property
    def mean(self) -> Array:
        """E[x]; of a category, ordered or not, the most probable, with the derivative of E[code]."""
        forms, means = self.forms, []
        for part, places in zip(self.parts, self.places, strict=True):
            if forms[places[0]].kind in _CODES:
                expected = part.probs @ jnp.arange(part.probs.shape[-1], dtype=part.probs.dtype)
                code = jnp.argmax(part.logits, axis=-1)
                means.append(code + (expected - jax.lax.stop_gradient(expected)))
                continue
            mean = jnp.asarray(part.mean)
            if forms[places[0]].kind in _DENSE:
                # Of a log-normal, in units of u: log E[e^(scale u)] / scale.
                scale = jnp.asarray([forms[i].scale for i in places])
                logged = jnp.asarray([forms[i].kind == "positive" for i in places])
                mean = mean + jnp.where(logged, scale * part.variance / 2, 0.0)
            means.append(mean)
        return self._gathered(means)

    def _gathered(self, parts: list[Any]) -> Array:
        """The columns of all parts in their own units; a constant one where it stands."""
        shape = parts[0].shape[:-1] if parts else ()
        shift = jnp.asarray([form.shift for form in self.forms])
        x = jnp.broadcast_to(shift, (*shape, len(self.forms)))
        scale, logged = _scales(self.forms)
        for part, places in zip(parts, self.places, strict=True):
            at = jnp.asarray(places)
            own = part.astype(x.dtype)
            if self.forms[places[0]].kind in _DENSE:
                own = own * scale[at] + shift[at]
                own = jnp.where(logged[at], jnp.exp(jnp.where(logged[at], own, 0.0)), own)
            x = x.at[..., at].set(own)
        return x


def _family(form: ColumnForm) -> str:
    return form.likelihood or ("gaussian" if form.kind in _DENSE else form.kind)


def _scales(forms: Sequence[ColumnForm]) -> tuple[Array, Array]:
    """The scale of each column, 1 where it has no density, and whether its logarithm is Gaussian."""
    scale = [form.scale if form.kind in _DENSE else 1.0 for form in forms]
    return jnp.asarray(scale), jnp.asarray([form.kind == "positive" for form in forms])


def _safe(x: Array, logged: Array) -> Array:
    return jnp.where(logged & (x > 0), x, 1.0)


def _standardised(x: Array, forms: Sequence[ColumnForm]) -> Array:
    """u of the columns that have a density, the others as they are."""
    scale, logged = _scales(forms)
    shift = jnp.asarray([form.shift if form.kind in _DENSE else 0.0 for form in forms])
    t = jnp.where(logged, jnp.log(_safe(x, logged)), x)
    return (t - shift) / scale
