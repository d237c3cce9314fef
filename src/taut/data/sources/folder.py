"""A folder of images: PNG and JPEG files of one size, grey or colour; sub-folders are classes.

Images are read in the order of their names. Grey images become (N, H, W), colour images
(N, H, W, 3), 8 bits a channel.
"""

import warnings
from pathlib import Path

import numpy as np

from taut.data.sources.files import expanded
from taut.data.sources.raw_rows import RawRows, Request, refuse_columns
from taut.errors import InputError, counted

__all__ = ["read_folder"]

_ENDINGS = (".png", ".jpg", ".jpeg")
_MODES = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB"}
_NAMES = {"L": "grey", "RGB": "colour"}


def read_folder(source: str, request: Request) -> tuple[RawRows, ...]:
    """All images in one part, labelled by their sub-folder where there are sub-folders.

    Raises:
        InputError: no images; images beside sub-folders of images; an image that cannot be read, is
            of another size or kind than the first, or has transparency or more than 8 bits.
    """
    folder = expanded(source)
    files = _images(folder)
    nested = {p: _images(p) for p in sorted(folder.iterdir()) if p.is_dir() and p.name[0] != "."}
    nested = {p: images for p, images in nested.items() if images}
    if files and nested:
        raise InputError(
            "images, or sub-folders of images",
            f"{len(files)} images beside {len(nested)} sub-folders of images",
            "moving the images into a sub-folder of their own",
            where=source,
        )
    refuse_columns(request, source, labels=["folder"] if nested else [])
    if nested:
        files = [file for images in nested.values() for file in images]
    if not files:
        raise InputError(
            f"images ({', '.join(_ENDINGS)})", "none", "the folder that holds them", where=source
        )
    values = _stacked(files)
    labels = np.array([file.parent.name for file in files]) if nested else None
    others = sum(p.is_file() and not _is_image(p) and p.name[0] != "." for p in folder.rglob("*"))
    notes = (
        (f"{source}: left out {counted(others, 'file')}, neither PNG nor JPEG",) if others else ()
    )
    return (
        RawRows(
            values=values,
            where=source,
            labels=labels,
            label_name="folder" if nested else None,
            notes=notes,
        ),
    )


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if _is_image(p))


def _is_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in _ENDINGS and path.name[0] != "."


def _stacked(files: list[Path]) -> np.ndarray:
    """All images in one array, each compared with the first."""
    first, kind = _pixels(files[0])
    values = np.empty((len(files), *first.shape), dtype=np.uint8)
    for i, file in enumerate(files):
        pixels, own_kind = _pixels(file)
        if pixels.shape != first.shape:
            size = "{1} x {0}".format  # width x height, as image viewers say it
            raise InputError(
                f"{_NAMES[kind]}, {size(*first.shape)} pixels, as {files[0].name}",
                f"{_NAMES[own_kind]}, {size(*pixels.shape)} pixels",
                "converting all images to one size and kind",
                where=str(file),
            )
        values[i] = pixels
    return values


def _pixels(file: Path) -> tuple[np.ndarray, str]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                mode = image.mode
                pixels = np.asarray(image.convert(_MODES[mode])) if mode in _MODES else None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise InputError(
            f"images of at most {Image.MAX_IMAGE_PIXELS:,} pixels", "a larger one",
            "scaling all images down", where=str(file),
        ) from None  # fmt: skip
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(
            "a PNG or JPEG image",
            f"one that cannot be read ({type(error).__name__})",
            "fetching it again, or moving it out of the folder",
            where=str(file),
        ) from error
    if pixels is None:
        raise InputError(
            "8-bit grey or RGB without transparency",
            f"mode {mode}",
            "converting it",
            where=str(file),
        )
    return pixels, _MODES[mode]
