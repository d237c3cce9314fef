"""M2 on the latent features of M1: the stack M1+M2.

    p(y) p(v) p(z | y, v) p(x | z),        q(z | x) q(y | z) q(v | z, y)

p(x | z) and q(z | x) are those of a fitted VAE. The upper model, a `MixtureVAE` of rows z, is fitted to
draws z ~ q(z | x_n), new in every step, by the objective that it has for rows of data; so the stack has
the bound

    log p(x) >= E_{q(z | x)} [log p(x | z) - log q(z | x) + L(z)],      L(z) the upper model's own,

which is the VAE's ELBO plus E_{q(z | x)} [L(z) - log p(z)]. Of q(y | z) the mean of q(z | x) is z where
classes are predicted.

The aggregated posterior of the VAE is near its prior, so that a class gains little of L: told a few
labels alone, the upper model would spend its classes on whatever gains most. Where neighbours among the
features tell classes, it is told theirs, too (`class_head.spread_labels`).

Source: Kingma, Mohamed, Rezende and Welling, Semi-supervised learning with deep generative models
(2014), section 2.1 and 4.1.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from taut.architectures import MixtureVAE
from taut.bounds import ELBO
from taut.core import AbstractPair, Datum, Estimate, as_key, as_proposal, host_seed
from taut.data import Schema, has_label, load_data
from taut.evidence import expected_bound
from taut.fitted.class_latent import class_logits, with_classification
from taut.inference.amortized import joint
from taut.inference.amortized.prior_ascent import expected_log_prior, features_of, latents_of
from taut.training import Loop, TrainingOptions, schedule, train

__all__ = ["StackedHead", "stack_gain", "stacked_head"]

_CHECKS = 40  # validations in all
_JUDGED = 1000  # validation rows at most that each of them looks at
_FORM, _LEAF = "stack_form", "stack_"


class StackedHead(NamedTuple):
    """q(y | z)^(1/T) of the upper model, normalised.

    Attributes:
        pair: the upper model and its guide, over rows z.
        hidden: widths of its networks.
        temperature: T, ().
    """

    pair: Any
    hidden: tuple[int, ...]
    temperature: Any

    def logits(self, z: Float[np.ndarray, "N d"]) -> Float[np.ndarray, "N C"]:
        """log q(y | z) of every class."""
        guide = self.pair.bind()[1]
        precise = guide.units.shift.dtype == np.float64
        with jax.enable_x64(bool(precise)):
            return class_logits(self.pair, Datum(np.asarray(z, guide.units.shift.dtype)))

    def arrays(self) -> dict[str, np.ndarray]:
        """All that is needed to make it again."""
        guide = self.pair.guide
        family, columns = guide.family, guide.units.shift.size
        sizes = [family.num_classes, columns, family.within_dim, *self.hidden]
        leaves = jax.tree.leaves(eqx.filter(self.pair, eqx.is_array))
        kept = {f"{_LEAF}{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
        return {_FORM: np.asarray(sizes), "temperature": np.asarray(self.temperature)} | kept

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "StackedHead | None":
        """The inverse of `arrays`; None where they are those of another predictor."""
        if _FORM not in arrays:
            return None
        classes, columns, within, *widths = map(int, arrays[_FORM])
        leaves = [arrays[f"{_LEAF}{i}"] for i in range(len(arrays) - 2)]
        precision = "float64" if any(leaf.dtype == np.float64 for leaf in leaves) else "float32"
        some = np.random.default_rng(0).normal(size=(8, columns))  # for their form alone
        schema = _schema(some, classes, precision)
        upper = MixtureVAE(
            components=classes, latent_dim=within, hidden=tuple(widths), likelihood="gaussian"
        )  # fmt: skip
        with jax.enable_x64(precision == "float64"):
            form = eqx.filter_eval_shape(upper.init, schema, jax.random.key(0))
        shapes, rest = eqx.partition(form, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
        pair = jax.tree.unflatten(jax.tree.structure(shapes), leaves)
        return cls(eqx.combine(pair, rest), tuple(widths), arrays["temperature"])


def stacked_head(
    pair: AbstractPair,
    rows: tuple[Datum, Datum],
    labels: tuple[Int[np.ndarray, " N"], Int[np.ndarray, " M"]],
    num_classes: int,
    training: TrainingOptions,
    *,
    num_steps: int,
    key: PRNGKeyArray | int = 0,
) -> StackedHead:
    """Fit the upper model; kept are the parameters that are best on validation rows.

    Best is the sum of their mean bound, without labels, and of alpha times the mean of log q(y | z)
    over those with a label.

    Arguments:
        pair: the VAE, with an encoder.
        rows: training and validation rows, without labels.
        labels: their classes, -1 for none.
        num_classes: C.
        training: optimizer, step size and its schedule, batch size, patience and precision.
        num_steps: at most.
        key: random key.
    """
    guide = pair.bind()[1]
    init_key, draw_key, order_key, train_key, judge_key = jax.random.split(as_key(key), 5)
    with jax.enable_x64(training.storage == "float64"):
        features, held = (features_of(guide, part) for part in rows)
        z, judged = (latents_of(guide, part, key=draw_key) for part in (features, held))
        schema = _schema(z, num_classes, training.storage)
        upper = MixtureVAE(components=num_classes, likelihood="gaussian").resolved(schema)[0]
        start = upper.start(upper.init(schema, init_key), Datum(z, label=labels[0]), schema=schema)
        rate = schedule(
            training.learning_rate_schedule, training.learning_rate, num_steps=num_steps,
            warmup_steps=training.learning_rate_warmup,
        )  # fmt: skip

        def drawn(datum: Datum, key: PRNGKeyArray) -> Datum:
            z = as_proposal(guide.family(datum.x)).draw(key, 1).z[0]
            return Datum(z, None, datum.label, datum.index, datum.weight)

        bound = ELBO()
        algorithm = joint(
            start, bound, upper.gradient(bound)[0], training.transformation(rate),
            example=Datum(z[0], label=labels[0][0]), key=train_key, prepare=drawn,
        )  # fmt: skip
        some = judged[:: -(-len(judged) // _JUDGED)]  # from all over them, as rows may be sorted
        known = np.flatnonzero(has_label(labels[1]))

        def validate(moved: AbstractPair) -> Estimate:
            found = expected_bound(moved, Datum(some), bound, key=judge_key)
            told = Datum(judged[known]), labels[1][known]
            return with_classification(found, moved, told, upper.label_alpha)

        loop = Loop(
            num_steps=num_steps, batch_size=min(training.batch_size or 128, len(z)),
            seed=host_seed(order_key), validate_every=max(1, num_steps // _CHECKS),
            patience=training.patience, plateau=training.plateau,
        )  # fmt: skip
        told = Datum(features.x, label=np.asarray(labels[0]))
        best = train(algorithm, told, loop, validate=validate).best
        fitted = eqx.combine(best, eqx.partition(start, eqx.is_array)[1])
        return StackedHead(fitted, tuple(upper.hidden or ()), np.asarray(1.0))


def stack_gain(
    pair: Any, head: StackedHead, rows: Datum, *, precise: bool, key: PRNGKeyArray | int = 1
) -> Estimate:
    """E_{q(z | x)} [L(z) - log p(z)]: the stack's bound less the VAE's ELBO, nats per row."""
    guide = pair.bind()[1]
    with jax.enable_x64(precise):
        features = features_of(guide, rows)
        upper = expected_bound(
            head.pair, Datum(latents_of(guide, features, key=as_key(key))), ELBO(), key=as_key(key)
        )  # fmt: skip
        prior = expected_log_prior(pair, features, key=as_key(key))
    values = np.asarray(upper.values) - np.asarray(prior.values)
    return Estimate.from_rows(values, side="unbiased", mc_errors=np.nan, index=rows.index)


def _schema(z: Float[np.ndarray, "N d"], num_classes: int, precision: str) -> Schema:
    """Of rows z with a target of so many classes."""
    data = load_data(
        (z, z[:1], z[:1]), dtype=precision, support="real", name="latents", stream="no"
    )
    return replace(data.schema, target="y", classes=tuple(map(str, range(num_classes))))
