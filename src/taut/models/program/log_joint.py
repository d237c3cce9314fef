"""`LogJoint`: p(x, z) from a Python function of named parameters.

    log p(x, theta) = log_joint(theta, x)       log_joint
    theta_s         = T_s(z_s)                  log_volume

The function need not be normalized; then the evidence is that of its total mass.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from taut.core import LOG_VOLUME, Datum, InputError, Terms
from taut.models.program.abstract import AbstractProgram, Part
from taut.models.program.arguments import parted, whole
from taut.models.program.failures import place, reading
from taut.models.program.indices import check_indices
from taut.models.program.layout import Layout, lay_out
from taut.models.program.supports import as_site, free_shape, onto
from taut.models.program.wrappers import signature

__all__ = ["LOG_JOINT", "LogJoint"]

LOG_JOINT = "log_joint"
_KIND = "a log-joint, as there is a support,"


class LogJoint(AbstractProgram):
    """p(x, z) from a function that returns log p(x, theta) in nats.

    Attributes:
        function: of theta, a dictionary of arrays, and the data where there are any; or of one
            argument for each parameter and each entry of the data.
        places: the parameters' places in z; `LogJoint.of` makes it.
        settings: data that are no arrays.
        by_name: which of the two the function is.
    """

    function: Callable = eqx.field(static=True)
    places: Layout = eqx.field(static=True)
    settings: "_Settings" = eqx.field(static=True)
    by_name: bool = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        function: Callable,
        support: Mapping[str, Any],
        data: Mapping[str, Any] | None = None,
    ) -> tuple["LogJoint", Datum]:
        """The model, and the datum that holds its data.

        Arguments:
            function: `log_joint(parameters)`, `log_joint(parameters, data)`, or
                `log_joint(**parameters, **data)` when it has an argument named after every parameter.
            support: for each parameter a name of `SUPPORTS`, a NumPyro constraint, or a pair of one
                of these and a shape: `{"sigma": "positive", "beta": ("real", 3)}`.
            data: arrays and settings by name; Python integers stay settings.

        Raises:
            InputError: an unknown support; names that do not fit; a result that is not a real scalar.
        """
        where = place(function)
        if not support:
            wish = "a support for each parameter"
            raise InputError(wish, "none", "support={'sigma': 'positive'}", where=where)
        sites = tuple(as_site(name, wish) for name, wish in support.items())
        free_shapes = {s.name: free_shape(s.support, s.name, s.shape) for s in sites}
        layout = lay_out(sites, free_shapes, where=where)
        arrays, settings = parted(data or {})
        model = cls(function, layout, _Settings(settings), _by_name(function, support, data or {}))
        datum = Datum(x=arrays)
        _check_result(model, datum)
        check_indices(
            lambda arrays, parameters: [model._value(Datum(x=arrays), parameters)],
            arrays,
            lambda key: model.constrain(0.5 * jax.random.normal(key, (model.dim,))),
            sites=sites,
            plates={},
            where=where,
        )
        return model, datum

    @property
    def layout(self) -> Layout:
        return self.places

    @property
    def name(self) -> str:
        return place(self.function)

    def has_free_constant(self, datum: Datum) -> bool:
        return True

    def constrain(self, z: Float[Array, " d"]) -> dict[str, Array]:
        parts = self.layout.parts(z)
        return {s.name: onto(s.support, s.name)(parts[s.name]) for s in self.sites}

    def unconstrain(self, values: dict[str, Any]) -> Float[Array, " d"]:
        values = self.layout.checked(values, self.name)
        return self.layout.joined(
            {s.name: onto(s.support, s.name).inv(values[s.name]) for s in self.sites}
        )

    def terms(self, datum: Datum, z: Float[Array, " d"]) -> Terms:
        parameters, parts, log_volume = {}, self.layout.parts(z), jnp.zeros(())
        for site in self.sites:
            free, transform = parts[site.name], onto(site.support, site.name)
            value = parameters[site.name] = transform(free)
            log_volume += jnp.sum(transform.log_abs_det_jacobian(free, value))
        return {LOG_JOINT: self._value(datum, parameters), LOG_VOLUME: log_volume}

    def derived(self, datum: Datum, z: Float[Array, " d"]) -> dict[str, Array]:
        return {}

    def predictive(
        self, datum: Datum, z: Float[Array, " d"], key: PRNGKeyArray
    ) -> dict[str, Array]:
        raise InputError(
            "a NumPyro program, whose observed sites can be drawn", "a log-joint, which is a density",
            "numpyro.sample(..., obs=y) for its data", where=self.name,
        )  # fmt: skip

    def parts(self, datum: Datum, z: Float[Array, " d"]) -> dict[str, Part]:
        parameters = self.constrain(z)
        return {LOG_JOINT: Part(self._value(datum, parameters), None, None, True)}

    def _value(self, datum: Datum, parameters: dict[str, Array]) -> Any:
        data = whole(datum.x, self.settings.values)
        with reading(self.function, kind=_KIND):
            if self.by_name:
                return self.function(**parameters, **data)
            return self.function(parameters, data) if data else self.function(parameters)


class _Settings:
    """Settings, compared by identity: dictionaries cannot be hashed."""

    def __init__(self, values: dict[str, Any]):
        self.values = values


def _by_name(function: Callable, support: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
    """Whether the function takes parameters and data by name.

    Raises:
        InputError: it takes some parameters by name and lacks others, or lacks an entry of the data.
    """
    arguments = signature(function).parameters
    named = {n for n, a in arguments.items() if a.kind not in (a.VAR_POSITIONAL, a.VAR_KEYWORD)}
    if not named & set(support):
        _check_positions(function, support, data)
        return False
    known = {*support, *data}
    if clash := sorted(set(support) & set(data)):
        raise InputError(
            "different names for parameters and data",
            f"'{clash[0]}' as both",
            "renaming one of them",
            where=place(function),
        )
    required = {n for n in named if arguments[n].default is inspect.Parameter.empty}
    if missing := sorted(required - known):
        raise InputError(
            "a support or data for every argument",
            f"neither for '{missing[0]}'",
            f"'{missing[0]}' in the support or in the data",
            where=place(function),
        )
    extra = sorted(known - named)
    if extra and not any(a.kind is a.VAR_KEYWORD for a in arguments.values()):
        raise InputError(
            f"the names of its arguments ({', '.join(arguments)})",
            f"'{extra[0]}'",
            f"an argument '{extra[0]}', or leaving it out",
            where=place(function),
        )
    return True


def _check_positions(
    function: Callable, support: Mapping[str, Any], data: Mapping[str, Any]
) -> None:
    """Whether the function takes parameters, and data where there are any, by their places.

    Raises:
        InputError: it takes other arguments.
    """
    try:
        signature(function).bind(*(({}, {}) if data else ({},)))
    except TypeError:
        form = "of parameters and data" if data else "of parameters alone, as there are no data"
        names = ", ".join(f"'{name}'" for name in support)
        taken = ", ".join(map(str, signature(function).parameters.values()))
        raise InputError(
            f"a log-joint, as there is a support, {form}, or with arguments named {names}",
            f"({taken})", "leaving out the support of a NumPyro program", where=place(function),
        ) from None  # fmt: skip


def _check_result(model: LogJoint, datum: Datum) -> None:
    """Whether the function returns a real scalar that can be differentiated.

    Raises:
        InputError: it does not.
    """
    z = jnp.zeros(model.dim)
    result = jax.eval_shape(lambda d, z: model._value(d, model.constrain(z)), datum, z)
    shape, dtype = getattr(result, "shape", None), getattr(result, "dtype", None)
    if shape != () or dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        got = type(result).__name__ if shape is None else f"shape {shape} of {dtype}"
        remedy = "jnp.sum over its rows" if shape else "returning the log-density in nats"
        raise InputError("a real scalar from the log-joint", got, remedy, where=model.name)
    with reading(model.function, kind=_KIND):
        jax.eval_shape(jax.grad(lambda z: model.log_joint(datum, z)), z)
