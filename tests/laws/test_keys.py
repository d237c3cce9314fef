"""Registry x law: no key and no seed serves twice, from the first parameter to the last number."""

import inspect
import textwrap
from dataclasses import fields

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from key_record import recorded

import taut
from taut import architectures
from taut.architectures import ARCHITECTURES, VAE, VQ, Discrete, Flow, Ladder, MixtureVAE
from taut.audit import gradient_bench
from taut.bounds import ELBO, IWAE
from taut.core import Datum, host_generator, host_seed, key_from, num_rows
from taut.data import Schema
from taut.evidence import EVIDENCE, expected_bound
from taut.evidence.tempered import AbstractTempered
from taut.gradients import ESTIMATORS, Reparameterized
from taut.guides import AmortizedGuide, PerDatumGuide, RefinedPair, Refinement
from taut.inference import Refined, amortized
from taut.inference.algorithm import Algorithm
from taut.inference.amortized import Aggressive, Alternate, codebook_averages
from taut.inference.amortized.check import check_step
from taut.models.priors import PRIORS
from taut.transforms import SPEC_NAMES, LayerOptions, check_layers, make_layers
from taut.transforms.spec import data_chain, vector_chain

BITS = Schema(name="bits", kind="table", shape=(4,), support="binary", dtype="float32")
REALS = Schema(
    name="reals", kind="table", shape=(4,), support="real", dtype="float32",
    shift=(0.0,) * 4, scale=(1.0,) * 4,
)  # fmt: skip
IMAGE = Schema(name="image", kind="image", shape=(4, 4, 2), support="unit", dtype="float32")
GREY = Schema(name="grey", kind="image", shape=(4, 4, 1), support="grey", dtype="float32", levels=4)
ROWS = Datum(jnp.asarray([[1.0, 0, 1, 1], [0, 0, 1, 0], [1, 1, 1, 0]]), index=jnp.arange(3))
EXAMPLE = jax.tree.map(lambda leaf: leaf[0], ROWS)
STEPS = 3
MINTED = {"dreg": 2}  # how often the same draws are minted, once for their weights

VECTOR_LINES = (
    *(f"{name}:2" for name in SPEC_NAMES), "abs", "generative-abs", "sort", "generative-sort", "shuffle",
    "slice:2", "augment:2", "actnorm,lu,maf:2",
)  # fmt: skip
IMAGE_LINES = (
    "squeeze,glow:2,multi-scale,glow:2", "squeeze,conv-coupling:2,multi-scale,invertible-conv",
    "squeeze,multi-scale,conv-coupling:1,conv-coupling:1,multi-scale", "max-pool,affine-coupling:2",
)  # fmt: skip
GREY_LINES = ("dequantize,logit,maf:2", "dequantize-variational,logit,maf:2", "vae:2,maf:2")
ARCHITECTURE_CASES = [
    *((VAE(latent_dim=2, hidden=(3,), prior=name), BITS) for name in PRIORS),
    *((VAE(latent_dim=2, hidden=(3,), guide=f"{name}:2"), BITS) for name in SPEC_NAMES),
    (VAE(latent_dim=2, guide="maf:2", network="residual-conv", hidden=(2, 2)), GREY),
    *((Flow(layers=line, hidden=(3,)), REALS) for line in VECTOR_LINES),
    *((Flow(layers=line, hidden=(3,)), IMAGE) for line in IMAGE_LINES),
    *((Flow(layers=line, hidden=(3,)), GREY) for line in GREY_LINES),
    (Ladder(latent_dims=(2, 2, 2), hidden=(3, 3, 3)), BITS),
    (Discrete(latents="bernoulli:3,2"), BITS),
    (Discrete(latents="categorical:2x3", hidden=(3,)), BITS),
    (MixtureVAE(components=2, latent_dim=2, hidden=(3,)), BITS),
    (VQ(latents="2x3", code_dim=2, hidden=(3,)), BITS),
    (architectures.GMM(components=2), REALS),
    (architectures.LCA(components=2), BITS),
    (architectures.Mixed(components=2), REALS),
    (architectures.PPCA(components=2), REALS),
    (architectures.FA(components=2), REALS),
]


def name_of(case):
    architecture, schema = case
    given = [str(getattr(architecture, n, "")) for n in ("layers", "prior", "guide", "latents")]
    return "-".join([architecture.name, schema.name, *(g for g in given if g)])


def test_every_architecture_is_tried():
    assert {type(architecture) for architecture, _ in ARCHITECTURE_CASES} == set(
        ARCHITECTURES.values()
    )


@pytest.mark.parametrize("case", ARCHITECTURE_CASES, ids=name_of)
def test_no_key_serves_two_parameters(case):
    architecture, schema = case
    with recorded() as record:
        architecture.init(schema, jax.random.key(0))
    assert not record.faults()


@pytest.mark.parametrize("direction", ["density", "sampling"])
@pytest.mark.parametrize("between", ["permutation", "lu"])
def test_no_key_serves_two_layers(direction, between):
    line = ",".join(f"{name}:2" for name in SPEC_NAMES)
    with recorded() as record:
        make_layers(
            line, 4, key=jax.random.key(0), between=between, direction=direction, hidden=(3,)
        )
    assert not record.faults()
    assert len(record.draws) > 20


def gaussian(key):
    return VAE(latent_dim=2, hidden=(3,), guide="iaf:1").init(BITS, key)


def plain(key):
    return VAE(latent_dim=2, hidden=(3,)).init(BITS, key)


def bits(key):
    return Discrete(latents="bernoulli:3").init(BITS, key)


def codes(key):
    return VQ(latents="2x3", code_dim=2, hidden=(3,)).init(BITS, key)


def jittered(datum, key):
    """What the model sees of a stored row is drawn anew in every step."""
    return Datum(1.0 * jax.random.bernoulli(key, 0.5, datum.x.shape), index=datum.index)


SGD = optax.sgd(0.1)


def joint_of(make, estimator, bound):
    def algorithm(init_key, key):
        return amortized.joint(
            make(init_key), bound, estimator, SGD, example=EXAMPLE, key=key, prepare=jittered
        )

    return algorithm


def of_averages(init_key, key):
    return amortized.averaged(joint_of(gaussian, Reparameterized(), ELBO())(init_key, key), 0.9)


def of_codes(init_key, key):
    return amortized.quantized(
        codes(init_key), ELBO(), SGD, commitment=0.25, decay=0.9, example=EXAMPLE, key=key
    )


def of_wake_sleep(phi):
    return lambda init_key, key: amortized.wake_sleep(
        gaussian(init_key), SGD, SGD, num_particles=2, phi=phi, key=key, prepare=jittered
    )


def of_alternation(alternation):
    return lambda init_key, key: amortized.variational_em(
        gaussian(init_key), ELBO(), Reparameterized(), SGD, SGD,
        example=EXAMPLE, key=key, alternation=alternation, prepare=jittered,
    )  # fmt: skip


def of_refinement(init_key, key):
    pair = plain(init_key)
    refined = RefinedPair(pair, Refinement(num_steps=2))
    return amortized.semi_amortized(
        refined, ELBO(), Reparameterized(), SGD, example=EXAMPLE, key=key, prepare=jittered
    )


def of_rows(init_key, key):
    pair = plain(init_key)
    assert isinstance(pair.guide, AmortizedGuide)
    return amortized.per_datum(
        pair.model, PerDatumGuide.start(pair.guide.family, ROWS), ELBO(), Reparameterized(), SGD,
        example=EXAMPLE, key=key, model_optimizer=SGD, inner_steps=2, prepare=jittered,
    )  # fmt: skip


ALGORITHM_CASES = {
    "joint": joint_of(gaussian, Reparameterized(), IWAE(num_particles=2)),
    "averaged": of_averages,
    "quantized": of_codes,
    "wake_sleep": of_wake_sleep("wake"),
    "wake_sleep-sleep": of_wake_sleep("sleep"),
    "wake_sleep-both": of_wake_sleep("both"),
    "variational_em": of_alternation(Alternate()),
    "variational_em-aggressive": of_alternation(Aggressive(probe=ROWS, seed=7)),
    "semi_amortized": of_refinement,
    "per_datum": of_rows,
}


def faults_of_steps(make, *, times=1):
    with recorded() as record:
        init_key, train_key = jax.random.split(jax.random.key(0))
        algorithm = make(init_key, train_key)

        @eqx.filter_jit
        def steps(state):
            body = lambda _, state: algorithm.step(state, ROWS)[0]  # noqa: E731
            return jax.lax.fori_loop(0, STEPS, body, state)

        steps(algorithm.init())
    return record.faults(times=times)


def test_every_algorithm_is_tried():
    makers = {
        name
        for name in amortized.__all__
        if inspect.isfunction(make := getattr(amortized, name))
        and inspect.signature(make).return_annotation is Algorithm
    }
    assert makers == {name.split("-")[0] for name in ALGORITHM_CASES}


@pytest.mark.parametrize("name", ALGORITHM_CASES)
def test_no_key_serves_two_draws_of_the_steps(name):
    assert not faults_of_steps(ALGORITHM_CASES[name])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_no_key_serves_two_draws_of_a_gradient(name):
    tried = 0
    for make in (bits, gaussian):
        pair = make(jax.random.key(0))
        for bounds in ((ELBO(num_draws=2), ELBO()), (IWAE(num_particles=2),)):
            for bound in bounds:  # one draw alone where two are refused
                try:
                    check_step(pair, bound, ESTIMATORS[name](), EXAMPLE)
                except taut.InputError:
                    continue  # what the estimator refuses with a reason
                steps = joint_of(make, ESTIMATORS[name](), bound)
                assert not faults_of_steps(steps, times=MINTED.get(name, 1))
                tried += 1
                break
    assert tried


def test_no_key_serves_two_draws_of_an_estimator_of_evidence(monkeypatch):
    monkeypatch.setattr("taut.evidence.tempering._PILOT_GRID", 4)
    monkeypatch.setattr("taut.evidence.tempering._PILOT_CHAINS", 3)
    quick = {"num_particles": 3, "temperatures": 3, "num_simulated": 10, "randomisations": 3}
    for method in (*EVIDENCE.values(), Refined):
        known = {f.name for f in fields(method)}
        with recorded() as record:
            # Chains move by the density alone: programs without the flow are half as long.
            make = plain if issubclass(method, AbstractTempered) else gaussian
            pair = make(jax.random.key(1))
            chosen = method(**{name: quick[name] for name in known & set(quick)})
            chosen(pair, ROWS, key=jax.random.key(0))
        assert not record.faults()
        assert len(record.draws) >= 2 * num_rows(ROWS)


def test_no_key_serves_two_draws_of_an_expected_bound():
    with recorded() as record:
        pair = gaussian(jax.random.key(1))
        expected_bound(pair, ROWS, ELBO(), key=jax.random.key(0), num_repeats=3)
    assert not record.faults()
    assert len(record.draws) >= 3 * num_rows(ROWS)


@pytest.mark.parametrize("name", ["rloo", "relax", "vimco"])
def test_no_key_serves_two_draws_of_a_gradient_bench(name):
    bound = IWAE(num_particles=2) if name == "vimco" else ELBO(num_draws=2)
    with recorded() as record:
        gradient_bench(  # which times its gradients with the keys 0 to 15
            bits(jax.random.key(101)), ROWS, bound, estimators={name: ESTIMATORS[name]()},
            key=jax.random.key(100), num_repeats=10, learning_steps=3,
        )  # fmt: skip
    assert not record.faults()


@pytest.mark.parametrize("guide", ["full-rank", "laplace", "low-rank", "iaf:2"])
def test_no_key_and_no_seed_serves_two_draws_of_inference(guide):
    def log_joint(z, y):
        return -0.5 * jnp.sum(z**2) - 0.5 * jnp.sum((y - z) ** 2)

    with recorded() as record:
        taut.infer(
            log_joint, data={"y": np.array([0.3, -1.0, 0.4])}, support={"z": ("real", 3)},
            guide=guide, num_starts=2, num_draws=200, key=jax.random.key(0),
        )  # fmt: skip
    assert not record.faults()
    assert record.seeds


def test_host_streams_of_one_key_have_the_words_of_that_key():
    key = jax.random.key(5)
    assert host_seed(key) == int(jax.random.bits(key, dtype=jnp.uint32))
    expected = np.random.default_rng(np.asarray(jax.random.key_data(key))).integers(2**31)
    assert jnp.array_equal(
        jax.random.key_data(key_from(host_generator(key))),
        jax.random.key_data(jax.random.key(int(expected))),
    )


def planted(function, *changes):
    """The function with pieces of its text changed."""
    source = textwrap.dedent(inspect.getsource(function))
    for here, fault in changes:
        assert source.count(here) == 1, here
        source = source.replace(here, fault)
    names = dict(vars(inspect.getmodule(function)))
    exec(compile(source, inspect.getfile(function), "exec"), names)
    return names[function.__name__]


def test_planted_a_fold_beside_the_split_of_an_architecture_is_seen(monkeypatch):
    fault = planted(VAE.init, ("key=guide_key", "key=jax.random.fold_in(key, 1)"))
    monkeypatch.setattr(VAE, "init", fault)
    with recorded() as record:
        VAE(latent_dim=2, hidden=(3,), guide="iaf:2").init(BITS, jax.random.key(0))
    assert record.faults()


def test_planted_a_fold_beside_the_split_of_the_ascent_is_seen():
    fault = planted(
        codebook_averages.quantized,
        (
            "ascent_key, restart_key = jax.random.split(key)",
            "restart_key = jax.random.fold_in(key, 1)",
        ),
        ("key=ascent_key", "key=key"),
    )

    def make(init_key, key):
        return fault(
            codes(init_key), ELBO(), SGD, commitment=0.25, decay=0.9, example=EXAMPLE, key=key
        )

    assert faults_of_steps(make)


def test_planted_a_fold_beside_the_split_of_a_layer_is_seen():
    fault = planted(
        vector_chain.of_vector, ("keys[len(names) + i]", "jax.random.fold_in(keys[i], 1)")
    )
    parts, options = check_layers("affine-coupling:2"), LayerOptions(hidden=(3,))
    with recorded() as record:
        fault(parts, 4, options, key=jax.random.key(0), between="lu")
    assert record.faults()


def test_planted_a_fold_among_those_of_the_inner_layers_is_seen(monkeypatch):
    fault = planted(
        data_chain._split,
        ("jax.random.split(key, len(parts) + 1)[-1]", "jax.random.fold_in(key, 1)"),
    )
    monkeypatch.setattr(data_chain, "_split", fault)
    with recorded() as record:
        Flow(layers=IMAGE_LINES[2], hidden=(3,)).init(IMAGE, jax.random.key(0))
    assert record.faults()


def test_planted_draws_that_repeat_inside_of_loops_and_batches_are_seen():
    @jax.jit
    def twice_per_row(key):
        def row(key, number):
            def body(total, _):
                return total + jax.random.normal(jax.random.fold_in(key, number // 2)), None

            return jax.lax.scan(body, 0.0, None, length=1)[0]

        return jax.vmap(row, in_axes=(None, 0))(key, jnp.arange(4))

    with recorded() as record:
        twice_per_row(jax.random.key(0))
    assert len(record.draws) == 2
    assert len(record.faults()) == 2


def test_planted_a_seed_that_starts_two_generators_is_seen():
    with recorded() as record:
        host_generator(jax.random.key(0)), host_generator(jax.random.key(0))
    assert len(record.faults()) == 1
