"""What a kill has left of a file goes when the file is written again, and nothing else does."""

import os

import pytest

from taut.core import write_atomically

NOBODY = 2**22 + 1  # no process has this number


@pytest.fixture
def temporaries(tmp_path):
    """The names of what is written beside two files, by the file."""

    def of(name: str) -> str:
        found: list[str] = []
        write_atomically(tmp_path / name, lambda file: found.extend(os.listdir(tmp_path)))
        (tmp_path / name).unlink()
        return found[0]

    return of


def test_what_is_left_of_a_file_goes_when_it_is_written_again(tmp_path, temporaries):
    own, other = temporaries("a[1].png"), temporaries("b.png")
    dead = own.replace(f"-{os.getpid()}-", f"-{NOBODY}-")
    of_other = other.replace(f"-{os.getpid()}-", f"-{NOBODY}-")
    host = own.split(".taut-")[1].split("-")[0]
    elsewhere = dead.replace(host, "00000000")
    kept = {own, elsewhere, of_other, ".a[1].png.taut", ".a1.png"}
    for name in (dead, *kept):
        (tmp_path / name).write_bytes(b"half")
    write_atomically(tmp_path / "a[1].png", lambda file: file.write(b"whole"))
    assert set(os.listdir(tmp_path)) == kept | {"a[1].png"}
    assert (tmp_path / "a[1].png").read_bytes() == b"whole"
