"""Feeds: streamed rows train as the same rows in the same order do on the device."""

from concurrent.futures import Future, ThreadPoolExecutor

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from taut.architectures import VAE
from taut.bounds import ELBO
from taut.core import Datum, InputError
from taut.data import Gatherer, StreamedRows, load_data
from taut.data import row_order as order_module
from taut.gradients import Reparameterized
from taut.inference.amortized import joint
from taut.inference.compiled_steps import compiled_steps
from taut.training import Loop, train
from taut.training import feeds as feeds_module
from taut.training.feeds import ResidentFeed, StreamedFeed, feed_of

ROWS = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
STEPS = 50  # over two epochs of 160 rows


@pytest.fixture
def on_disk(tmp_path, monkeypatch) -> StreamedRows:
    monkeypatch.setattr(order_module, "_BLOCK_BYTES", 60)
    monkeypatch.setattr(order_module, "_MOST_BLOCKS", 4)
    np.save(tmp_path / "a.npy", ROWS)
    rows = load_data(tmp_path / "a.npy", stream="yes").train
    assert isinstance(rows, StreamedRows)
    return rows


def _algorithm(schema):
    return joint(
        VAE(latent_dim=2, hidden=(4,), likelihood="gaussian").init(schema, jax.random.key(0)),
        ELBO(),
        Reparameterized(),
        optax.adam(1e-2),
        example=Datum(ROWS[0], index=np.int32(0)),
        key=jax.random.key(1),
    )


def _bytes(state):
    leaves = jax.tree.leaves(eqx.filter(state.parameters, eqx.is_array))
    return [np.asarray(leaf).tobytes() for leaf in leaves]


def test_any_cut_gives_the_bits_of_the_same_rows_in_memory(on_disk, monkeypatch):
    algorithm = _algorithm(on_disk.schema)
    _, numbers = Gatherer(on_disk, 16, seed=5).gather(0, STEPS)
    rows = Datum(jnp.asarray(ROWS), index=jnp.arange(200, dtype=jnp.int32))
    order = numbers.reshape(STEPS, 16)
    resident, log = compiled_steps(algorithm)(algorithm.init(), rows, order, STEPS)
    loop = Loop(num_steps=STEPS, batch_size=16, seed=5, validate_every=50)
    for chunk_bytes, every in ((2**25, 50), (16 * 12 * 7, 9)):  # chunks of 50 steps, and of 7
        monkeypatch.setattr(feeds_module, "_CHUNK_BYTES", chunk_bytes)
        state = train(algorithm, on_disk, loop._replace(validate_every=every))
        assert _bytes(state.inference) == _bytes(resident)
    assert np.isfinite(log["bound"]).all()


def test_bytes_in_memory_train_as_their_numbers_on_the_device_do(monkeypatch):
    monkeypatch.setattr(feeds_module, "_CHUNK_BYTES", 16 * 12 * 7)
    grey = np.random.default_rng(1).integers(0, 256, (200, 3), dtype=np.uint8)
    rows = load_data(grey, support="grey").train
    resident = ResidentFeed(rows.datum(), batch_size=16, seed=5)
    made = feed_of(rows, batch_size=16, seed=5, num_steps=STEPS)
    assert isinstance(made, StreamedFeed)
    for step in (0, 5, 9, STEPS - 1):
        found, expected = (
            jax.tree.map(lambda leaf, order=feed[1][0]: np.asarray(leaf)[order], feed[0])
            for feed in (made.supply(step, 1), resident.supply(step, 1))
        )
        np.testing.assert_array_equal(found.x, expected.x)
        np.testing.assert_array_equal(found.index, expected.index)


def test_going_on_from_any_step_sees_the_same_rows(on_disk, monkeypatch):
    monkeypatch.setattr(feeds_module, "_CHUNK_BYTES", 16 * 12 * 7)
    feed = StreamedFeed(on_disk, batch_size=16, seed=5, num_steps=STEPS)
    assert feed.num_rows == len(on_disk) == 160
    _, numbers = Gatherer(on_disk, 16, seed=5).gather(0, STEPS)
    for step in (0, 3, 7, 20, 1, STEPS - 1):
        rows, order, count = feed.supply(step, 100)
        assert 1 <= count <= 7
        seen = np.asarray(rows.index)[order[:count]]
        expected = numbers.reshape(STEPS, 16)[step : step + count]
        np.testing.assert_array_equal(seen[: len(expected)], expected)
        np.testing.assert_array_equal(np.asarray(rows.x), ROWS[np.asarray(rows.index)])


def test_the_next_chunk_is_prepared_while_the_present_one_is_used(on_disk, monkeypatch):
    monkeypatch.setattr(feeds_module, "_CHUNK_BYTES", 16 * 12 * 7)
    asked = []

    def submit(self, work):
        done = Future()
        done.set_result(work())
        asked.append(done)
        return done

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    feed = StreamedFeed(on_disk, batch_size=16, seed=5, num_steps=14)
    feed.supply(0, 7)
    assert len(asked) == 2
    feed.supply(7, 7)
    assert len(asked) == 2  # nothing beyond the last step


@pytest.mark.usefixtures("float64")
def test_float64_reaches_the_device(tmp_path):
    np.save(tmp_path / "a.npy", ROWS.astype(np.float64) + 1e-12)
    rows = load_data(tmp_path / "a.npy", stream="yes", dtype=np.float64).train
    assert isinstance(rows, StreamedRows)
    x = StreamedFeed(rows, batch_size=16, seed=5, num_steps=3).supply(0, 1).rows.x
    assert x.dtype == jnp.float64


def test_a_file_that_shrinks_stops_the_run(on_disk, tmp_path):
    with (tmp_path / "a.npy").open("r+b") as file:
        file.truncate(400)
    loop = Loop(num_steps=5, batch_size=16, seed=5, validate_every=5)
    with pytest.raises(InputError, match="200 rows, as when the file was opened"):
        train(_algorithm(on_disk.schema), on_disk, loop)


def test_rows_up_to_a_doubling_reach_the_device_in_one_shape_and_no_step_sees_the_filling():
    shapes = set()
    for count in (33, 57, 64):
        feed = ResidentFeed(Datum(ROWS[:count]), batch_size=8, seed=0)
        rows, order, _ = feed.supply(0, 20)
        assert order.max() < feed.num_rows == count
        np.testing.assert_array_equal(rows.x[:count], ROWS[:count])
        shapes.add(rows.x.shape)
    assert len(shapes) == 1
