"""A line of text makes layers: in order, turned to their cheap direction, mixed between."""

import jax
import numpy as np
import pytest

from taut.core import InputError
from taut.transforms import (
    LAYER_NAMES,
    SPEC_NAMES,
    Chain,
    Cost,
    Inverse,
    InvertibleLinear,
    Permute,
    check_layers,
    make_layers,
)

KEY = jax.random.key(0)


def test_one_table_says_where_each_name_may_stand():
    """Bijections of a vector stand everywhere, all others in models of data alone."""
    for name, entry in LAYER_NAMES.items():
        part = f"{name}:3" if entry.needed else name
        assert check_layers(part, of_data=True) == ((name, 3 if entry.needed else 1),)
        if name in SPEC_NAMES:
            assert check_layers(part) == ((name, 1),)
        else:
            with pytest.raises(InputError, match="a layer of models of data"):
                check_layers(part)


def test_names_and_numbers_are_read():
    found = check_layers("actnorm, lu,spline-coupling:8")
    assert found == (("actnorm", 1), ("lu", 1), ("spline-coupling", 8))


@pytest.mark.parametrize("name", SPEC_NAMES)
def test_the_direction_that_is_asked_for_takes_one_pass_a_layer(name):
    layers = make_layers(f"{name}:2", 4, key=KEY)
    assert Chain(layers).cost.encode == len(layers)
    layers = make_layers(f"{name}:2", 4, key=KEY, direction="sampling")
    assert Chain(layers).cost.decode == len(layers)


def test_the_other_direction_declares_its_passes():
    assert Chain(make_layers("maf", 4, key=KEY)).cost == Cost(encode=1, decode=4)
    assert Chain(make_layers("iaf", 4, key=KEY)).cost == Cost(encode=1, decode=4)
    sampling = make_layers("maf,iaf", 4, key=KEY, direction="sampling")
    assert [type(layer) is Inverse for layer in sampling] == [True, False, False]
    assert Chain(sampling).cost == Cost(encode=9, decode=3)


def test_layers_of_halves_are_mixed_between_and_only_there():
    def kinds(spec, **options):
        return [type(layer).__name__ for layer in make_layers(spec, 4, key=KEY, **options)]

    coupling, linear = "Coupling", "InvertibleLinear"
    assert kinds("affine-coupling:2") == [coupling, "Permute", coupling]
    assert kinds("affine-coupling,lu,affine-coupling") == [coupling, linear, coupling]
    assert kinds("affine-coupling:2", between="lu") == [coupling, linear, coupling]
    assert kinds("planar:2") == ["Planar", "Planar"]
    drawn = make_layers("affine-coupling:2", 4, key=KEY, between="lu", direction="sampling")
    assert isinstance(drawn[1], Inverse)
    assert isinstance(drawn[1].layer, InvertibleLinear)


@pytest.mark.parametrize("dim", [2, 3, 4, 5, 6, 7, 8, 11, 13, 16, 21, 50])
def test_few_couplings_let_every_dimension_depend_on_every_other(dim):
    """Which inputs each output sees, by the pattern of the layers: coupling adds kept to moved."""
    couplings = 2 * int(np.ceil(np.log2(dim))) + 2
    layers = make_layers(f"affine-coupling:{couplings}", dim, key=KEY, hidden=())
    sees, moved = np.eye(dim, dtype=bool), np.arange(dim)
    times = np.zeros(dim, int)
    for layer in layers:
        if isinstance(layer, Permute):
            sees, moved = sees[list(layer.order)], moved[list(layer.order)]
        else:
            kept = dim // 2
            sees[kept:] |= sees[:kept].any(axis=0)
            times[moved[kept:]] += 1
    assert sees.all()
    assert times.min() >= 2


def test_different_layers_start_at_different_numbers():
    first, _, second = make_layers("affine-coupling:2", 4, key=KEY)
    a, b = jax.tree.leaves(first)[0], jax.tree.leaves(second)[0]
    assert np.all(np.asarray(a) != np.asarray(b))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: check_layers("spline-copling:8", where="guide"),
            f"guide: expected layers among {', '.join(SPEC_NAMES)}, got 'spline-copling'. "
            "Try 'spline-coupling'.",
        ),
        (
            lambda: check_layers("planar,vae:2", where="guide"),
            f"guide: expected layers among {', '.join(SPEC_NAMES)}, got 'vae', a layer of models of "
            'data. Try guide="affine-coupling:4".',
        ),
        (
            lambda: check_layers("affine:2,abs:3", of_data=True),
            "layers: expected abs without a number, got 'abs:3'. Try abs.",
        ),
        *(
            (
                lambda spec=spec: check_layers(spec),
                f"layers: expected planar:K with K layers, a whole number of at least 1, got '{spec}'. "
                "Try planar:8.",
            )
            for spec in (
                "planar:",
                "planar:0",
                "planar:-1",
                "planar:two",
                "planar:\N{SUPERSCRIPT TWO}",
            )
        ),
        (
            lambda: make_layers("planar", 0, key=KEY),
            "layers: expected at least one dimension, got 0. Try data with a column.",
        ),
        (
            lambda: make_layers("sylvester", 3, key=KEY, units=4),
            "sylvester: expected 1 to 3 hidden units, the number of dimensions, got 4. Try 3.",
        ),
        (
            lambda: make_layers("spline-coupling", 3, key=KEY, bins=1),
            "bins: expected 2 to 999 bins, got 1. Try 8.",
        ),
        (
            lambda: make_layers("spline-coupling", 3, key=KEY, box=0.0),
            "box: expected a box of positive half-width, got 0.0. Try 5.0.",
        ),
    ],
)
def test_what_makes_no_layers_is_refused(call, message):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message
