"""What takes PyTorch modules: audits, counterfactuals, the command line; against the same in JAX."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

import taut
from taut.cli.main import main

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
BITS = (np.random.default_rng(0).random((120, 12)) < 0.3).astype(np.float32)


class VAE(nn.Module):
    """Written by hand, with a method for the encoder."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(12, 8), nn.Tanh())
        self.mean, self.log_variance = nn.Linear(8, 2), nn.Linear(8, 2)
        self.decoder = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 12))

    def encode(self, x):
        features = self.body(x)
        return self.mean(features), (0.5 * self.log_variance(features)).exp()

    def forward(self, x):
        features = self.body(x)
        return self.mean(features), self.log_variance(features) - 2


def in_jax(vae):
    """Encoder and decoder of the same weights."""
    w = {name: jnp.asarray(value.numpy()) for name, value in vae.state_dict().items()}

    def layer(name, x):
        return w[f"{name}.weight"] @ x + w[f"{name}.bias"]

    def encode(x):
        features = jnp.tanh(layer("body.0", x))
        return layer("mean", features), jnp.exp(0.5 * layer("log_variance", features))

    return encode, lambda z: layer("decoder.2", jnp.tanh(layer("decoder.0", z)))


def test_the_audit_of_a_module_is_that_of_the_same_weights_in_jax():
    vae = VAE()

    def audited(encode, decode):
        return taut.audit_model(
            BITS[:80], held_out=BITS[80:], encode=encode, decode=decode, likelihood="bernoulli",
            rows=40,
        )  # fmt: skip

    found, wanted = audited(vae.encode, vae.decoder), audited(*in_jax(vae))
    assert [f.name for f in found.findings] == [f.name for f in wanted.findings]
    for name in ("elbo", "approximation", "amortization"):
        a, b = (getattr(one.held_out, name) for one in (found, wanted))
        assert a.value == pytest.approx(b.value, abs=2e-3), name
        assert a.side == b.side


def test_every_method_of_evidence_takes_modules():
    vae = VAE()
    parts = (vae.encode, vae.decoder), in_jax(vae)
    torched, written = (
        taut.wrap_model(BITS, encode=encode, decode=decode, likelihood="bernoulli")
        for encode, decode in parts
    )
    for method in ("importance", "refined", "annealed"):
        values = [fit.evidence(BITS[:8], method=method).values for fit in (torched, written)]
        np.testing.assert_allclose(*values, atol=1e-3)


def test_pytorch_is_imported_by_who_uses_it_alone():
    code = (
        "import sys, numpy, taut; taut.counterfactuals.search, taut.from_torch; "
        "taut.wrap_model(numpy.eye(4), encode=lambda x: (x[:2], x[:2] + 1), "
        "decode=lambda z: z.sum() + numpy.zeros(4), likelihood='bernoulli'); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_parts_that_do_not_meet_are_named():
    vae = VAE()
    given = {"decode": vae.decoder, "likelihood": "bernoulli"}
    with pytest.raises(taut.InputError, match=r"encode: .*positive scales.*taut.from_torch"):
        taut.wrap_model(BITS, encode=vae, **given)
    with pytest.raises(taut.InputError, match=r"encode: .*shape \(2, 12\)"):
        taut.wrap_model(BITS, encode=nn.Linear(3, 4), **given)
    with pytest.raises(taut.InputError, match=r"decode.*outputs have the shape \(1, 12\)"):
        taut.wrap_model(BITS, encode=vae.encode, decode=nn.Linear(2, 5), likelihood="bernoulli")


def generator():
    matrix = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    back, forth = np.linalg.pinv(matrix), jnp.asarray(matrix)
    rows = np.random.default_rng(1).normal(size=(9, 2)).astype(np.float32) @ matrix.T
    return (lambda x: jnp.asarray(back) @ x, lambda z: forth @ z), rows


def judge():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 2))


def judge_in_jax(module):
    w0, b0, w1, b1 = (jnp.asarray(p.detach().numpy()) for p in module.parameters())
    return lambda x: w1 @ jnp.tanh(w0 @ x + b0) + b1


@pytest.mark.parametrize("geometry", ["plain", "x-space", "tangent"])
def test_answers_by_a_module_are_those_by_the_same_network_in_jax(geometry):
    plane, rows = generator()
    module = judge()
    found, wanted = (
        taut.counterfactuals.search(
            plane, rows, classifier=c, target=1, confidence=0.6, geometry=geometry
        )
        for c in (module, judge_in_jax(module))
    )
    assert wanted.reached.any()
    np.testing.assert_array_equal(found.reasons, wanted.reasons)
    np.testing.assert_allclose(found.answers, wanted.answers, atol=1e-3)
    with torch.no_grad():
        said = module(torch.tensor(found.answers[:, 0])).softmax(1)[:, 1].numpy()
    assert (said[found.reached[:, 0]] >= 0.6 - 1e-5).all()
    assert module.training


def test_a_generator_of_modules_and_a_module_without_gradients():
    (_, decode), rows = generator()
    matrix = np.asarray([decode(row) for row in jnp.eye(2)]).T
    encoder, decoder = nn.Linear(5, 2, bias=False), nn.Linear(2, 5, bias=False)
    with torch.no_grad():
        encoder.weight.copy_(torch.tensor(np.linalg.pinv(matrix)))
        decoder.weight.copy_(torch.tensor(matrix))
    found = taut.counterfactuals.search(
        (encoder, decoder), rows, classifier=judge(), target=1, confidence=0.6, black_box=True
    )
    assert found.answered.any()
    assert (found.queries > found.tries + 1).all()


def test_a_classifier_that_is_none_of_these_rows_is_refused():
    plane, rows = generator()
    for module, message in (
        (nn.Linear(4, 2), r"classifier: .*here of shape \(2, 5\)"),
        (nn.LSTM(5, 2), "classifier: .*from_torch"),
    ):
        with pytest.raises(taut.InputError, match=message):
            taut.counterfactuals.search(plane, rows, classifier=module, target=1)


FILE = """
import torch
from torch import nn

torch.manual_seed(0)
judge = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
"""


def test_the_command_line_takes_a_module_of_a_file(tmp_path, capsys):
    x = np.random.default_rng(0).normal(size=(80, 2))
    np.savetxt(tmp_path / "rows.csv", x, delimiter=",", header="a,b", comments="")
    model = taut.Flow(layers="affine-coupling:2", hidden=(4,))
    taut.fit(
        taut.load_data(str(tmp_path / "rows.csv")), model=model, epochs=1, evidence_particles=2,
        out=tmp_path / "run",
    )  # fmt: skip
    (tmp_path / "judge.py").write_text(FILE)
    words = ["--target", "1", "--confidence", "0.6", "--rows", "3", "--json"]
    named = str(tmp_path / "judge.py:judge")
    assert main(["explain", str(tmp_path / "run"), "--classifier", named, *words]) == 0
    assert '"reasons"' in capsys.readouterr().out
