"""Online EM, and passes over files that stay on disk."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exact_fits import mixture

from taut.core import Datum, InputError
from taut.data import StreamedRows, load_data
from taut.inference.exact import (
    Floor,
    RowBlocks,
    em,
    expectation_step,
    online_em,
    run_em,
    run_online_em,
)
from taut.inference.exact import row_blocks as blocks_module
from taut.inference.exact.online_em import _batches
from taut.models import GaussianMixture

pytestmark = pytest.mark.usefixtures("float64")


def on_disk(path, rows):
    """Training rows of a file, on disk and in memory: the same ones, in the same order."""
    np.save(path, rows)
    streamed = load_data(path, stream="yes", dtype=np.float64).train
    assert isinstance(streamed, StreamedRows)
    return streamed, RowBlocks(rows[streamed[:].index])


def test_a_file_gives_what_memory_gives(clusters, tmp_path, monkeypatch):
    monkeypatch.setattr(
        blocks_module, "_CHUNK_CELLS", 128
    )  # several chunks and blocks, with padding
    monkeypatch.setattr(blocks_module, "_BLOCK_CELLS", 90)
    source, in_memory = on_disk(tmp_path / "rows.npy", clusters.astype(np.float32))
    streamed = RowBlocks(source)
    for a, b in zip(in_memory.spread(), streamed.spread(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    chosen = np.array([3, 40])
    np.testing.assert_array_equal(streamed.take(chosen), in_memory.take(chosen))
    start = mixture(clusters, "diag")
    floor = Floor(1e-6).of(start, in_memory)
    ends = [
        run_em(start, rows, floor, tolerance=0.0, max_iterations=3).log_evidence
        for rows in (in_memory, streamed)
    ]
    np.testing.assert_allclose(*ends, rtol=1e-12)


def test_passes_in_batches_are_one_pass(clusters):
    """`em` as an algorithm: steps over batches and a finish are the driver's iteration."""
    start, rows = mixture(clusters, "diag"), RowBlocks(clusters)
    floor = Floor(1e-6).of(start, rows)
    algorithm = em(start, floor, example=Datum(clusters[0]))
    state, bounds = algorithm.init(), []
    for part in np.split(clusters, 3):
        state, metrics = algorithm.step(state, Datum(jnp.asarray(part)))
        bounds.append(float(metrics["bound"]))
    assert algorithm.finish is not None
    pair = algorithm.pair(algorithm.finish(state))
    result = run_em(start, rows, floor, tolerance=0.0, max_iterations=1)
    assert np.mean(bounds) == pytest.approx(result.log_evidence[0], rel=1e-12)
    np.testing.assert_allclose(pair.bind()[0].means, result.model.means, rtol=1e-10)


def test_steps_of_size_one_over_all_rows_are_em(clusters):
    """(t + 1)^-kappa is 1 at t = 0: the first step forgets the start's statistics."""
    start, rows = mixture(clusters, "diag"), RowBlocks(clusters)
    floor = Floor(1e-3).of(start, rows)
    algorithm = online_em(
        expectation_step(start, RowBlocks(clusters[:20])), floor, num_rows_in_all=90, delay=1.0
    )
    state, _ = algorithm.step(algorithm.init(), Datum(jnp.asarray(clusters)))
    moved = run_em(start, rows, floor, tolerance=0.0, max_iterations=1).model
    for a, b in zip(jax.tree.leaves(state.model), jax.tree.leaves(moved), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_steps_grow_smaller_as_the_decay_says(clusters):
    """One component: its mean after t steps is that of batches, weighted by (t + delay)^-kappa."""
    start = mixture(clusters, "diag", number=1)
    state = expectation_step(start, RowBlocks(clusters[:20]))
    floor = Floor(0.0).of(start, RowBlocks(clusters))
    algorithm = online_em(state, floor, num_rows_in_all=90, kappa=0.8, delay=3.0)
    state, mean = algorithm.init(), clusters[:20].mean(axis=0)
    for t, part in enumerate(np.split(clusters, 3)):
        state, _ = algorithm.step(state, Datum(jnp.asarray(part)))
        size = (t + 3.0) ** -0.8
        mean = (1 - size) * mean + size * part.mean(axis=0)
        np.testing.assert_allclose(algorithm.pair(state).bind()[0].means[0], mean, rtol=1e-9)


@pytest.mark.parametrize("first", [1, 7])
def test_batches_go_on_in_their_order_wherever_they_are_taken_up(clusters, first):
    rows = RowBlocks(clusters)
    whole = list(_batches(rows, 18, 3, 5, first=0))
    assert len(whole) == 15
    for a, b in zip(whole[first:], _batches(rows, 18, 3, 5, first=first), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("number", "batch"), [(90, 18), (90, 40), (90, 47), (37, 16), (90, 89)])
def test_a_pass_takes_every_row_once(number, batch):
    x = np.arange(float(number))[:, None]
    batches = list(_batches(RowBlocks(x), batch, 2, 5, first=0))
    half = len(batches) // 2
    for own in (batches[:half], batches[half:]):
        np.testing.assert_array_equal(np.sort(np.concatenate(own), axis=0), x)
        assert [len(rows) for rows in own[:-1]] == [batch] * (half - 1)
    assert not np.array_equal(np.concatenate(batches[:half]), np.concatenate(batches[half:]))


@pytest.mark.parametrize("batch", [30, 40, 89])
def test_every_row_of_a_pass_counts_alike(clusters, batch):
    """One component and a decay of 1: after any pass, the moments are those of all rows."""
    start, rows = mixture(clusters, "diag", number=1), RowBlocks(clusters)
    model, bounds = run_online_em(
        start, rows, Floor(0.0).of(start, rows), sample=RowBlocks(clusters[:20]),
        batch_size=batch, passes=2, kappa=1.0, delay=1.0,
    )  # fmt: skip
    assert len(bounds) == 2 * -(-90 // batch)
    assert isinstance(model, GaussianMixture)
    np.testing.assert_allclose(model.means[0], clusters.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(model.scale[0], clusters.std(axis=0), rtol=1e-9)


def test_it_comes_near_the_optimum_from_a_file(clusters, tmp_path):
    # Far apart, so that EM itself converges at once and what is left is the noise of the batches.
    clusters = clusters + 20.0 * (np.arange(90) < 45)[:, None]
    x = np.tile(clusters, (60, 1))
    rows, sample = RowBlocks(on_disk(tmp_path / "many.npy", x)[0]), clusters[::3]
    start = run_em(
        mixture(clusters, "diag"),
        RowBlocks(sample),
        Floor(1e-6).of(mixture(clusters, "diag"), rows),
    ).model
    best = run_em(start, RowBlocks(clusters), Floor(1e-6).of(start, rows), tolerance=1e-9)
    before = float(expectation_step(start, rows).statistics.log_evidence) / rows.num_rows
    model, bounds = run_online_em(
        start,
        rows,
        Floor(1e-6).of(start, rows),
        sample=RowBlocks(sample),
        batch_size=480,
        passes=4,
    )
    after = float(expectation_step(model, rows).statistics.log_evidence) / rows.num_rows
    assert len(bounds) == 4 * (rows.num_rows // 480)
    # A sample of a third of the rows loses about p / 2n per row; most of that is gained back.
    assert best.log_evidence[-1] - after < 0.2 * (best.log_evidence[-1] - before)


def test_options_and_rows_that_cannot_be_used(clusters):
    state = expectation_step(mixture(clusters, "diag"), RowBlocks(clusters))
    with pytest.raises(InputError, match=r"kappa: expected a decay in \(0.5, 1\], got 0.5"):
        online_em(state, None, num_rows_in_all=90, kappa=0.5)
    with pytest.raises(InputError, match="delay: expected a delay of at least 1 batch"):
        online_em(state, None, num_rows_in_all=90, delay=0.0)
    with pytest.raises(InputError, match="at least one row of at least one cell"):
        RowBlocks(np.zeros((0, 3)))
