"""Folders of images."""

import numpy as np
import pytest
from PIL import Image

from taut.data import load_data
from taut.data.sources import Request, read_source


def save(path, pixels, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(pixels))
    (image.convert(mode) if mode else image).save(path)


def grey(seed=0, shape=(5, 4)):
    return np.random.default_rng(seed).integers(0, 256, size=shape, dtype=np.uint8)


def only(folder):
    (rows,) = read_source(str(folder), Request())
    return rows


def test_grey_images_in_the_order_of_their_names(tmp_path):
    for i in (2, 0, 1):
        save(tmp_path / f"{i}.png", grey(i))
    rows = only(tmp_path)
    np.testing.assert_array_equal(rows.values, [grey(0), grey(1), grey(2)])
    assert rows.labels is None


def test_colour_images(tmp_path):
    save(tmp_path / "a.png", grey(0, (5, 4, 3)))
    save(tmp_path / "b.PNG", grey(1, (5, 4, 3)))
    np.testing.assert_array_equal(only(tmp_path).values, [grey(0, (5, 4, 3)), grey(1, (5, 4, 3))])


def test_jpeg(tmp_path):
    save(tmp_path / "a.jpg", np.full((8, 8), 77, np.uint8))
    np.testing.assert_allclose(only(tmp_path).values, 77, atol=1)  # JPEG rounds a flat block


def test_folders_are_classes(tmp_path):
    for i in range(20):
        save(tmp_path / ("cat" if i % 2 else "ant") / f"{i:02}.png", grey(i))
    (tmp_path / "ant" / "notes.txt").write_text("x")
    (tmp_path / ".hidden").write_text("x")
    data = load_data(tmp_path, name="pets")
    assert data.schema.classes == ("ant", "cat")
    assert data.schema.label_name == "folder"
    assert any("left out 1 file, neither PNG nor JPEG" in note for note in data.notes)
    names = [f"{i:02}" for i in [*range(0, 20, 2), *range(1, 20, 2)]]
    for part in (data.train, data.validation, data.test):
        for x, label, index in zip(part.x, part.label, part.index, strict=True):
            number = int(names[index])
            assert label == number % 2
            np.testing.assert_array_equal(np.rint(x * 255), grey(number))


def test_two_valued_images_are_binary(tmp_path):
    for i in range(10):
        save(tmp_path / f"{i}.png", grey(i) > 127)
    data = load_data(tmp_path)
    assert (data.schema.support, data.schema.levels) == ("binary", 256)
    assert set(np.unique(data.train.x)) == {0.0, 1.0}
    assert data.notes == ("all values are 0 or 255: read as 0 and 1",)


def test_images_of_different_sizes(tmp_path, refusal):
    save(tmp_path / "a.png", grey())
    save(tmp_path / "b.png", grey(shape=(4, 5)))
    assert refusal(only, tmp_path) == (
        "b.png: expected grey, 4 x 5 pixels, as a.png, got grey, 5 x 4 pixels. "
        "Try converting all images to one size and kind."
    )


def test_grey_beside_colour(tmp_path, refusal):
    save(tmp_path / "a.png", grey())
    save(tmp_path / "b.png", grey(shape=(5, 4, 3)))
    assert ", got colour, 4 x 5 pixels. Try converting" in refusal(only, tmp_path)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16"])
def test_transparency_and_depth(tmp_path, refusal, mode):
    save(tmp_path / "a.png", grey(), mode)
    assert refusal(only, tmp_path) == (
        f"a.png: expected 8-bit grey or RGB without transparency, got mode {mode}. "
        "Try converting it."
    )


@pytest.mark.parametrize("keep", [0, 60])
def test_image_that_cannot_be_read(tmp_path, refusal, keep):
    save(tmp_path / "a.png", grey())
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:keep])
    message = refusal(only, tmp_path)
    assert message.startswith("a.png: expected a PNG or JPEG image, got one that cannot be read (")


def test_folder_without_images(tmp_path, refusal):
    assert refusal(only, tmp_path) == (
        "FOLDER: expected images (.png, .jpg, .jpeg), got none. Try the folder that holds them."
    )


def test_images_beside_folders_of_images(tmp_path, refusal):
    save(tmp_path / "a.png", grey())
    save(tmp_path / "b" / "c.png", grey())
    assert refusal(only, tmp_path) == (
        "FOLDER: expected images, or sub-folders of images, got 1 images beside 1 sub-folders of "
        "images. Try moving the images into a sub-folder of their own."
    )
