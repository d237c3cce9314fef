"""Makes what the README shows: the answers of its Python blocks, and the picture.

    python examples/readme.py

Writes between the README's markers, `docs/digits.png`, and `examples/results/readme.json` with commit,
versions and hardware.
"""

import contextlib
import io
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from record import conditions, write_whole  # noqa: E402

from taut.cli.main import main as taut_command  # noqa: E402


def main() -> None:
    readme = (ROOT / "README.md").read_text()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        printed(lambda: taut_command(["fit", "digits"]))
        run = Path("runs/digits-vae-1")
        estimates = json.loads((run / "summary.json").read_text())["estimates"]
        shutil.copy(run / "figures" / "interpolation.png", ROOT / "docs" / "digits.png")
        names: dict = {}
        answer, verdict = (
            printed(lambda code=code: exec(compile(code, "README.md", "exec"), names))
            for code in re.findall(r"```python\n(.*?)```", readme, re.S)
        )
    readme = between(readme, "answer", fenced(answer))
    readme = between(readme, "verdict", fenced(verdict))
    (ROOT / "README.md").write_text(readme)
    content = {**conditions(), "seed": 0, "estimates": estimates, "answer": answer.strip()}
    content["verdict"] = verdict.strip()
    write_whole(ROOT / "examples" / "results" / "readme.json", content)


def printed(action) -> str:
    """What an action prints on standard output."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        action()
    return out.getvalue()


def fenced(text: str) -> str:
    """A block of text without the space that ends its lines."""
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    return "```text\n" + "\n".join(lines).strip("\n") + "\n```"


def between(text: str, name: str, content: str) -> str:
    """Replace what stands between a pair of markers."""
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    replaced, count = re.subn(pattern, lambda m: f"{m[1]}{content}\n{m[2]}", text, flags=re.S)
    assert count == 1, name
    return replaced


if __name__ == "__main__":
    main()
