#!/usr/bin/env bash
# torchax 0.0.13 with torch 2.13.0: the two install together, and `import torchax` raises AttributeError.
#
# torchax registers its lowerings by the names of ATen's overloads as it is imported, and torch 2.13 no
# longer has those for named dimensions: the first that is missing ends the import.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 torchax==0.0.13 jax==0.10.2
cat > "$folder/imported.py" <<'PY'
import torch

try:
    import torchax
except AttributeError as error:
    print(f"torch {torch.__version__}: {error}")
    if "has no overload name" not in str(error):
        raise
else:
    raise SystemExit(f"torchax {torchax.__version__} was imported, where it raised AttributeError")
PY
"$folder/venv/bin/python" "$folder/imported.py"
