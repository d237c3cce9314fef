"""Scripts write JSON in one step: one that is stopped leaves the old file or the new one."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def in_pieces(source: str) -> list[int]:
    """Lines that write JSON by opening the file itself."""
    calls = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)]
    return [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and (
            (call.func.attr == "write_text" and "json.dumps" in ast.unparse(call))
            or ast.unparse(call.func) == "json.dump"
        )
    ]


def test_no_script_writes_json_in_pieces():
    scripts = [path for name in ("benchmarks", "examples") for path in (ROOT / name).glob("*.py")]
    assert len(scripts) > 50
    found = {path.name: in_pieces(path.read_text()) for path in scripts}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_planted_one_is_found():
    assert in_pieces(
        "path.write_text(json.dumps(a) + 'b')\njson.dump(a, file)\nf.write_text(b)"
    ) == [1, 2]
