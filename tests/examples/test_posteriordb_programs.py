"""The NumPyro programs of posteriordb have the log densities of the Stan programs, up to a constant."""

import json
import os
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density
from stan_densities import DENSITIES

PROGRAMS = Path(__file__).parents[2] / "examples" / "posteriordb"
FOLDER = Path(os.environ.get("TAUT_DATA", "")) / "posteriordb"
needs_data = [
    pytest.mark.needs_data,
    pytest.mark.skipif("TAUT_DATA" not in os.environ, reason="TAUT_DATA names no folder"),
]


def program(name):
    return runpy.run_path(str(PROGRAMS / f"{name}.py"))["model"]


def reference(name):
    """Data, and the reference means and deviations of the parameters by site."""
    data_name = json.loads((FOLDER / "posteriors" / f"{name}.json").read_text())["data_name"]
    data = json.loads((FOLDER / "data" / f"{data_name}.json").read_text())
    data = {k: np.asarray(v, float) if isinstance(v, list) else v for k, v in data.items()}
    summary = json.loads((FOLDER / "summary" / f"{name}.json").read_text())
    sites = {}
    for label, mean, sd in zip(summary["names"], summary["mean"], summary["sd"], strict=True):
        sites.setdefault(label.partition("[")[0], []).append((mean, sd, "[" in label))
    columns = {site: np.array([(m, s) for m, s, _ in own]) for site, own in sites.items()}
    return data, {
        site: column if sites[site][0][2] else column[0] for site, column in columns.items()
    }


def difference(log_p, points):
    return log_p(points[1]) - log_p(points[0])


def check(name, data, points, *, model=None):
    """Differences of log densities between points, by both routes."""
    model = model or program(name)
    arrays = {k: jnp.asarray(v) if isinstance(v, np.ndarray) else v for k, v in data.items()}
    log_p = jax.jit(lambda p: log_density(model, (), arrays, p)[0])
    found = difference(lambda p: float(log_p(p)), points)
    expected = difference(lambda p: float(DENSITIES[name](data, p)), points)
    assert abs(expected) > 0.01
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def made_up(name):
    """Seven rows and two points within the supports."""
    g = np.random.default_rng(len(name))
    positive = {key: 1 + g.random(7) for key in (
        "earn", "weight", "diam1", "diam2", "canopy_height", "total_height", "sigma",
    )}  # fmt: skip
    real = {key: g.normal(size=7) for key in (
        "height", "x", "y", "kid_score", "mom_iq", "partyid7", "real_ideo", "race_adj", "educ1",
        "gender", "income",
    )}  # fmt: skip
    data = {
        **positive,
        **real,
        "mom_hs": np.array([0.0, 1, 1, 0, 1, 0, 1]),
        "group": np.array([0.0, 1, 1, 0, 1, 0, 1]),
        "age_discrete": np.array([1.0, 2, 3, 4, 1, 2, 4]),
        "X": g.normal(size=(7, 5)),
        "sigma1": 0.5,
        "pmualpha": 0.4,
        "psalpha": 3.0,
        "pmubeta": -0.1,
        "psbeta": 0.7,
    }
    return data, [points(name, g) for _ in range(2)]


def points(name, g):
    low, high = np.sort(g.normal(size=2))
    length = {"earnings": 2, "kidiq-kidscore_momiq": 2, "kidiq-kidscore_interaction": 4,
              "mesquite": 6, "nes2000": 9, "sblri": 5}  # fmt: skip
    beta = next((n for start, n in length.items() if name.startswith(start)), None)
    own = {
        "eight_schools": {"mu": g.normal(), "tau": g.gamma(2), "theta_trans": g.normal(size=7)},
        "garch": {"mu": g.normal(), "alpha0": g.gamma(2), "alpha1": 0.6 * g.random(),
                  "beta1": 0.4 * g.random()},
        "gp_pois": {"rho": 1 + g.gamma(2), "alpha": g.gamma(2), "sigma": 1 + g.gamma(2)},
        "kilpis": {"alpha": g.normal(), "beta": g.normal(), "sigma": 1 + g.random()},
        "low_dim": {"mu": np.array([low, high]), "sigma": g.gamma(2, size=2), "theta": g.random()},
    }  # fmt: skip
    if beta:
        return {"beta": g.normal(size=beta), "sigma": 1 + g.random()}
    return next(p for start, p in own.items() if name.startswith(start))


def test_every_program_is_checked():
    assert {path.stem for path in PROGRAMS.glob("*.py")} == set(DENSITIES)


@pytest.mark.parametrize("name", DENSITIES)
def test_log_density_is_that_of_the_stan_program(name, float64):
    check(name, *made_up(name))


@pytest.mark.parametrize("name", [pytest.param(n, marks=needs_data) for n in DENSITIES])
def test_so_it_is_on_the_data_about_the_reference_posterior(name, float64):
    data, sites = reference(name)
    g = np.random.default_rng(0)
    near = [
        {site: m[..., 0] + 0.3 * m[..., 1] * g.random() for site, m in sites.items()}
        for _ in range(2)
    ]
    if name.startswith("eight_schools"):
        for point in near:
            point["theta_trans"] = (point.pop("theta") - point["mu"]) / point["tau"]
    check(name, data, near)


def test_a_prior_that_is_not_flat_is_noticed(float64):
    """beta1 uniform on (0, 1 - alpha1) without the factor that makes it flat."""
    name = "garch-garch11"
    curved = handlers.block(program(name), hide=["flat"])
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check(name, *made_up(name), model=curved)
