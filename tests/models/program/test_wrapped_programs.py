"""Programs as decorators and partials make them: found in their file, with the names of their data."""

import jax
import jax.numpy as jnp
import pytest

from taut.core import InputError
from taut.models.program import NumPyroProgram, load_program, support_beside

FILE = """
import functools
import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro import handlers
from numpyro.infer.reparam import CircularReparam, LocScaleReparam


def by_wraps(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)

    return inner


@handlers.reparam(config={"m": CircularReparam()})
def angle(y):
    m = numpyro.sample("m", dist.VonMises(0.0, 1.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.VonMises(m, 2.0), obs=y)


def plain(y, sd=1.0):
    mu = numpyro.sample("mu", dist.Normal(0.0, 2.0))
    t = numpyro.sample("t", dist.Normal(mu, 1.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(t, sd), obs=y)


class Written:
    def __init__(self, sd):
        self.sd = sd

    def __call__(self, y):
        plain(y, self.sd)


partial = functools.partial(plain, sd=2.0)
seeded = handlers.seed(plain, rng_seed=0)
blocked = handlers.block(plain, hide=["other"])
scaled = handlers.scale(plain, scale=2.0)
masked = handlers.mask(plain, mask=True)
decentered = handlers.reparam(plain, config={"t": LocScaleReparam(0.0)})
both = functools.partial(handlers.scale(scale=2.0)(plain), sd=2.0)
compiled = jax.jit(plain)
wrapped = by_wraps(plain)
instance = Written(2.0)
method = instance.__call__
conditioned = handlers.condition(plain, data={"t": jnp.array(0.5)})
substituted = handlers.substitute(plain, data={"t": jnp.array(0.5)})
"""
DATA = {"y": [0.3, 1.0, -0.2]}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("programs") / "programs.py"
    path.write_text(FILE)
    return path


# Of plain at z = (1, 1): the priors' and the likelihood's nats, at sd 1 and 2.
PRIOR = -jnp.log(2 * jnp.pi) - jnp.log(2.0) - 0.125
AT_ONE = -1.5 * jnp.log(2 * jnp.pi) - 0.5 * (0.49 + 0.0 + 1.44)
AT_TWO = -1.5 * jnp.log(2 * jnp.pi) - 3 * jnp.log(2.0) - 0.125 * (0.49 + 0.0 + 1.44)
# Where t is given as 0.5.
GIVEN = PRIOR - 0.125 - 1.5 * jnp.log(2 * jnp.pi) - 0.5 * (0.04 + 0.25 + 0.49)


@pytest.mark.parametrize(
    ("name", "latents", "log_joint"),
    [
        ("plain", ("mu", "t"), PRIOR + AT_ONE),
        ("partial", ("mu", "t"), PRIOR + AT_TWO),
        ("seeded", ("mu", "t"), PRIOR + AT_ONE),
        ("blocked", ("mu", "t"), PRIOR + AT_ONE),
        ("scaled", ("mu", "t"), 2 * (PRIOR + AT_ONE)),
        ("masked", ("mu", "t"), PRIOR + AT_ONE),
        ("both", ("mu", "t"), 2 * (PRIOR + AT_TWO)),
        ("compiled", ("mu", "t"), PRIOR + AT_ONE),
        ("wrapped", ("mu", "t"), PRIOR + AT_ONE),
        ("instance", ("mu", "t"), PRIOR + AT_TWO),
        ("method", ("mu", "t"), PRIOR + AT_TWO),
        ("conditioned", ("mu",), GIVEN),
        ("substituted", ("mu",), GIVEN),
        ("decentered", ("mu", "t_decentered"), None),
        ("angle", ("m_unwrapped",), None),
    ],
)
def test_a_wrapped_program_is_the_program(file, name, latents, log_joint):
    program = load_program(f"{file}:{name}")
    model, datum = NumPyroProgram.of(program, DATA)
    assert model.coordinates == latents
    evaluated = jax.jit(lambda z: model.log_joint(datum, z))
    if log_joint is not None:
        assert abs(evaluated(jnp.ones(model.dim)) - log_joint) < 1e-5
    with pytest.raises(InputError, match=r"got 'yy'\. Try"):
        NumPyroProgram.of(program, {"yy": DATA["y"]})
    with pytest.raises(InputError, match=r"got none for y .* Try adding 'y' to the data"):
        NumPyroProgram.of(program, {})


def test_a_decorated_program_is_the_only_one_of_its_file(tmp_path):
    file = tmp_path / "one.py"
    head = FILE.split("@handlers")[0].split("def by_wraps")[0]
    angle = "@handlers" + FILE.split("@handlers")[1].split("def plain")[0]
    file.write_text(head + angle)
    assert load_program(str(file)).fn.__name__ == "angle"
    file.write_text(head + "rows = numpyro.plate('rows', 3)\ndraw = jax.random.normal\n")
    with pytest.raises(InputError, match=r"expected one function, got none\. Try defining 'model'"):
        load_program(str(file))
    file.write_text(head + angle + "model = functools.partial(angle, y=jnp.zeros(3))\n")
    assert load_program(str(file)).func.fn.__name__ == "angle"
    file.write_text("from one_more import program as model\n")
    (tmp_path / "one_more.py").write_text("def program(y):\n    return y\n")
    assert load_program(str(file)).__name__ == "program"


def test_several_programs_are_named(file):
    with pytest.raises(
        InputError, match=r"got by_wraps, angle, plain, partial, .* Try .*:by_wraps"
    ):
        load_program(str(file))


@pytest.mark.parametrize(
    ("arguments", "data", "density"),
    [
        ("p", "", True),
        ("p, data", "y", True),
        ("p, y", "y", True),
        ("a, y", "y", True),
        ("a", "a", True),
        ("*anything", "y", True),
        ("p=None", "", False),
        ("", "", False),
        ("y", "y", False),
        ("y, spare=1.0", "y", False),
        ("y, **others", "yx", False),
        ("y, x", "y", True),
    ],
)
def test_a_support_is_for_functions_that_take_more_than_data(tmp_path, arguments, data, density):
    file = tmp_path / "several.py"
    file.write_text(f"support = {{'a': 'real'}}\ndef model({arguments}):\n    return 0.0\n")
    found = support_beside(load_program(str(file)), dict.fromkeys(data, 1.0))
    assert found == ({"a": "real"} if density else None)


def test_the_support_beside_a_wrapped_log_joint(tmp_path):
    file = tmp_path / "density.py"
    file.write_text(
        "import functools\nsupport = {'a': 'real'}\ndef density(a, power):\n    return -a**power\n"
        "log_joint = functools.partial(density, power=2)\n"
    )
    assert support_beside(load_program(str(file)), {}) == {"a": "real"}
