#!/usr/bin/env bash
# One GPU in at most eight minutes, unattended: every command once, then how fast what counts is.
#
#     benchmarks/gpu.sh              on a GPU; benchmarks/results/gpu.json
#     benchmarks/gpu.sh --small      small shapes on whatever there is; benchmarks/results/gpu_small.json
#
# The JSON is written anew after each part, so that a run that is cut keeps what it has. Needs
# `pip install 'taut[cuda]'`; PYTHON names an interpreter other than .venv/bin/python, and TAUT_DATA a
# folder of data sets, without which the part that needs static MNIST is left out.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-$here/../.venv/bin/python}
command -v "$python" > /dev/null || {
    echo "gpu.sh: expected Python with taut, got none at $python. Try \`make install\`, or PYTHON=." >&2
    exit 2
}
export PYTHONPATH="$here/../src${PYTHONPATH:+:$PYTHONPATH}"
exec timeout --signal=INT --kill-after=20 480 "$python" "$here/gpu.py" "$@"
