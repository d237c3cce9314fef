"""A helix: ascent through a flow follows it, and ascent in x leaves it.

    python examples/helix.py

A RealNVP of 12 couplings is fitted to points about a helix of radius 1, t from -4 to 4, and a network
with one hidden layer of 256 units tells its upper from its lower half. From 100 points of the helix,
three searches raise the confidence in the other half to 0.9: through the flow, the same with answers as
probable as the rows of the 5% quantile, and in x. Writes examples/results/helix.json and helix.png.

The network's score is not monotone along the helix. From its ends plain ascent goes outwards at first,
off the helix, and finds adversarial examples; under a floor of the log-density it does not.

The toy is that of Dombrowski, Gerken, Müller and Kessel, Diffeomorphic counterfactuals with generative
models (2022), section 5.1. Theirs has no noise, for which no density exists.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import taut
from taut.counterfactuals import Differentiable, search
from taut.counterfactuals.sklearn_classifier import as_layers
from taut.report.style import BLUE, FAINT, GREEN, VERMILION, headline, new_figure, save

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from record import conditions, write_whole  # noqa: E402

RESULTS = ROOT / "examples" / "results"
END, NOISE = 4.0, 0.03
NUM_ROWS, NUM_STARTS = 10_000, 100
OFF = 0.5  # a distance from the helix that no row has


def helix(t):
    return np.stack([np.sin(t), np.cos(t), t], axis=-1)


CURVE = helix(np.linspace(-END, END, 8001))


def distance(x):
    """Of each point to the nearest of the curve."""
    return np.sqrt(((x[:, None] - CURVE) ** 2).sum(axis=-1).min(axis=1))


def rows(rng, count):
    t = rng.uniform(-END, END, count)
    return (helix(t) + NOISE * rng.normal(size=(count, 3))).astype(np.float32), t > 0


def main() -> None:
    rng = np.random.default_rng(0)
    x, upper = rows(rng, NUM_ROWS)
    fit = taut.fit(
        x, model=taut.Flow(layers="affine-coupling:12", activation="tanh"), epochs=400,
        batch_size=500, learning_rate_schedule="cosine", patience=400, evidence_particles=2,
    )  # fmt: skip
    network = MLPClassifier((256,), learning_rate_init=1e-4, batch_size=500, max_iter=150)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as many steps as the source takes
        network.set_params(random_state=0).fit(x, upper)
    classifier = Differentiable(as_layers(np.zeros(3), np.ones(3), network))
    starts = helix(rng.uniform(-END, END, NUM_STARTS)).astype(np.float32)
    other = 1 - network.predict(starts).astype(int)
    ways = {
        "through the flow": {},
        "through the flow, under a floor": {
            "plausible": x[:2000],
            "quantile": 0.05,
            "nearest": False,
        },
        "in x": {"geometry": "x-space"},
    }
    found = {}
    for way, options in ways.items():
        answers, reached = np.empty_like(starts), np.zeros(NUM_STARTS, bool)
        for target in (0, 1):
            of_it = search(
                fit, starts[other == target], classifier=classifier, target=target, **options
            )
            answers[other == target] = of_it.answers[:, 0]
            reached[other == target] = of_it.reached[:, 0]
        found[way] = answers, reached
    # To first order in the noise, the entropy of its two normal directions and of the arc.
    entropy = np.log(2 * END * np.sqrt(2)) + np.log(2 * np.pi * np.e * NOISE**2)
    log_density = np.asarray(fit.evidence(rows(rng, 2000)[0]).values)
    content = {
        **conditions(), "seed": 0, "starts": NUM_STARTS, "noise": NOISE,
        "kl_to_the_data_nats": float(-entropy - log_density.mean()),
        "searches": {way: measured(*answers) for way, answers in found.items()},
    }  # fmt: skip
    write_whole(RESULTS / "helix.json", content)
    draw(found)
    print(f"KL of the flow to the data: {content['kl_to_the_data_nats']:.3f} nats")
    for way, numbers in content["searches"].items():
        print(f"{way}: {numbers}")


def measured(answers, reached) -> dict:
    far = distance(answers)
    return {
        "reached": int(reached.sum()),
        "median_distance": float(np.median(far)),
        "largest_of_nine_in_ten": float(np.quantile(far, 0.9)),
        "off_the_helix": int((far > OFF).sum()),
    }


def draw(found) -> None:
    figure = new_figure(9.0, 3.2)
    headline(figure, "Answers to 100 points of a helix, of which the other half is wanted")
    for place, (way, color) in enumerate(zip(found, (BLUE, GREEN, VERMILION), strict=True)):
        ax = figure.add_subplot(1, 3, place + 1, projection="3d")
        ax.plot(*CURVE.T, color=FAINT, linewidth=1.5)
        ax.scatter(*found[way][0].T, color=color, s=8, depthshade=False)
        ax.set_title(way, fontsize=9)
        ax.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), zlim=(-END, END))
        ax.set(xticks=(-2, 0, 2), yticks=(-2, 0, 2), zticks=(-4, 0, 4))
        ax.tick_params(labelsize=7)
    save(figure, RESULTS / "helix.png")


if __name__ == "__main__":
    main()
