#!/usr/bin/env bash
# The best model of static MNIST after seven minutes on one GPU; benchmarks/results/best_mnist_gpu.json.
#
#     TAUT_DATA=FOLDER benchmarks/gpu_best_mnist.sh [--epochs N] [--runs FOLDER]
#
# Result and checkpoint are written at each eighth of the epochs, so that a run that is cut keeps them.
# Needs `pip install 'taut[cuda]'`; PYTHON names an interpreter other than .venv/bin/python.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-$here/../.venv/bin/python}
command -v "$python" > /dev/null || {
    echo "gpu_best_mnist.sh: expected Python with taut, got none at $python. Try \`make install\`, or PYTHON=." >&2
    exit 2
}
export PYTHONPATH="$here/../src${PYTHONPATH:+:$PYTHONPATH}"
exec timeout --signal=INT --kill-after=20 450 "$python" "$here/best_mnist.py" --preset gpu "$@"
