"""Wake-sleep as what `taut.fit` trains by."""

import numpy as np
import pytest
from scipy.special import expit

import taut
from taut.bounds import ELBO, IWAE
from taut.core import InputError
from taut.gradients import VIMCO
from taut.inference import WakeSleep


@pytest.fixture(scope="module")
def rows():
    """Three prototypes with a flip in ten cells."""
    draw = np.random.default_rng(0)
    prototypes = draw.integers(0, 2, size=(3, 8))
    kept = draw.integers(0, 3, size=300)
    return (draw.random((300, 8)) < expit(2.2 * (2 * prototypes[kept] - 1))).astype(float)


def test_wake_sleep_fits_what_columns_alone_do_not(rows):
    fitted = taut.fit(
        rows,
        model=taut.Discrete(latents="bernoulli:3", hidden=()),
        inference="wake-sleep",
        phi="both",
        learning_rate=0.02,
        epochs=60,
        batch_size=60,
        evidence_particles=50,
        validate_every=100,
        key=0,
    )
    found, alone = fitted.estimates["log_evidence"], fitted.estimates["independent_columns"]
    assert found.value - alone.value > 3 * found.data_error
    assert fitted.recipe.inference == WakeSleep("both")
    assert fitted.recipe.bound == IWAE()
    assert fitted.recipe.gradient is None


@pytest.mark.parametrize(
    ("model", "bound", "gradient", "message"),
    [
        (
            taut.VQ(), IWAE(), None,
            'a guide that draws z at random, got model="vq", whose codes are certain. Try '
            'model="discrete".',
        ),
        (
            taut.Discrete(), IWAE(), VIMCO(),
            'no estimator, for wake-sleep takes no gradient through draws, got gradient="vimco". '
            "Try leaving out one of them.",
        ),
        (
            taut.Discrete(), ELBO(), None,
            "the bound iwae, which wake-sleep raises in the model, got the bound 'elbo'. Try "
            'bound="iwae".',
        ),
        (
            taut.Discrete(), IWAE(num_particles=1), None,
            "at least two particles for the wake phase, which weighs them against each other, got "
            '1. Try num_particles=5, or phi="sleep".',
        ),
    ],
)  # fmt: skip
def test_what_wake_sleep_does_not_go_with_is_refused(model, bound, gradient, message):
    with pytest.raises(InputError) as refused:
        WakeSleep("wake").check(model, bound, gradient)
    assert str(refused.value) == f"wake-sleep: expected {message}"
