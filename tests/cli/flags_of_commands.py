"""The flags of the commands that work on a run: what is typed, and what their functions are given."""

from typing import Any

__all__ = ["BASES", "FLAGS", "OTHERWISE"]

# Commands that a recipe's options do not reach, with what they need.
BASES: dict[str, tuple[str, ...]] = {
    "evaluate": ("RUN",),
    "score": ("RUN",),
    "sample": ("RUN",),
    "fidelity": ("RUN",),
    "reconstruct": ("RUN",),
    "impute": ("RUN",),
    "predict": ("RUN",),
    "encode": ("RUN",),
    "interpolate": ("RUN", "1", "3"),
    "gradients": ("RUN",),
    "audit": ("RUN",),
    "calibrate": ("RUN",),
    "explain": ("RUN", "--classifier", "CLASSIFIER", "--target", "1"),
    "refit-prior": ("RUN",),
    "report": ("RUN",),
    "list": ("RUN",),
    "compare": ("RUN", "RUN"),
    "show": ("RUN",),
    "figures": ("RUN",),
    "resume": ("STOPPED",),
}
_SPLIT = (("--split", "train"), {"rows": "train"})
_DATA = (("--data", "OTHER"), {"rows": "other"})
_OUT = (("--out", "OUT"), {"out": True})

# (command, keyword) -> words unlike the default, and what the recorder must then have seen.
FLAGS: dict[str, dict[str, tuple[tuple[str, ...], dict[str, Any]]]] = {
    "evaluate": {
        "data": _DATA,
        "split": _SPLIT,
        "method": (("--method", "refined"), {"method": "refined"}),
        "precision_nats": (("--precision-nats", "0.25"), {"precision_nats": 0.25}),
        "seconds": (("--seconds", "17"), {"seconds": 17.0}),
        "num_particles": (("--num-particles", "17"), {"num_particles": 17}),
        "seed": (("--seed", "7"), {"key": 7}),
    },
    "sample": {
        "num_samples": (("--num-samples", "5"), {"count": 5}),
        "out": _OUT,
        "mean": (("--mean",), {"mean": True}),
        "seed": (("--seed", "7"), {"key": 7}),
    },
    "reconstruct": {
        "num_rows": (("--num-rows", "2"), {"rows": "first two"}),
        "data": _DATA,
        "split": (("--split", "train", "-n", "99"), {"rows": "train"}),
        "out": _OUT,
    },
    "impute": {
        "draws": (("--draws", "3"), {"draws": 3}),
        "num_particles": (("--num-particles", "17"), {"num_particles": 17}),
        "recorded": (("--recorded", "--draws", "3", "--split", "test"), {"values": "train"}),
        "split": _SPLIT,
        "out": _OUT,
        "seed": (("--seed", "7"), {"key": 7}),
    },
    "score": {"split": _SPLIT, "seed": (("--seed", "7"), {"key": 7})},
    "fidelity": {
        "data": (("--data", "OTHER"), {"rows": "other"}),
        "num_samples": (("--num-samples", "17"), {"num_samples": 17}),
        "seed": (("--seed", "7"), {"key": 7}),
    },
    "predict": {
        "num_particles": (("--num-particles", "17"), {"num_particles": 17}),
        "split": _SPLIT,
        "unseen": (("OTHER", "--unseen", "missing"), {"unseen": "missing"}),
        "seed": (("--seed", "7"), {"key": 7}),
    },
    "encode": {"split": _SPLIT, "out": _OUT},
    "interpolate": {
        "num_steps": (("--num-steps", "4"), {"num_steps": 4}),
        "data": (("--data", "OTHER"), {"ends": "other"}),
        "split": (("--split", "test"), {"code": 2}),  # rows 1 and 3 are of another part
        "out": _OUT,
    },
    "gradients": {
        "bound": (("--bound", "iwae"), {"bound": "iwae"}),
        "num_particles": (("--num-particles", "7"), {"minted": 7}),
        "kl": (("--kl", "sampled"), {"kl": "sampled"}),
        "estimators": (("--estimators", "stl,rloo"), {"estimators": ["stl", "rloo"]}),
        "rows": (("--rows", "2"), {"rows": "first two"}),
        "split": (("--split", "train", "--rows", "99"), {"rows": "train"}),
        "num_repeats": (("--num-repeats", "9"), {"num_repeats": 9}),
        "seed": (("--seed", "7"), {"seed": 7}),
    },
    "audit": {
        "data": (("--data", "OTHER"), {"rows": "other"}),
        "rows": (("--rows", "70"), {"count": 70}),
        "seed": (("--seed", "7"), {"key": 7}),
        "try_remedies": (("--try",), {"tried": True}),
    },
    "explain": {
        "confidence": (("--confidence", "0.7"), {"confidence": 0.7}),
        "geometry": (("--geometry", "adam"), {"geometry": "adam"}),
        "plausible": (("--plausible", "0.25"), {"quantile": 0.25, "floor": "validation"}),
        "refinements": (("--refinements", "7"), {"refinements": 7}),
        "most_unexplained": (("--most-unexplained", "0.25"), {"most_unexplained": 0.25}),
        "num_answers": (("--answers", "3"), {"num_answers": 3}),
        "rows": (("--rows", "2"), {"rows": "first two"}),
        "split": (("--split", "train", "--rows", "99"), {"rows": "train"}),
        "black_box": (("--black-box",), {"black_box": True}),
        "seed": (("--seed", "7"), {"key": 7}),
    },
    "calibrate": {
        "rows": (("--rows", "70"), {"count": 70}),
        "draws": (("--draws", "7"), {"draws": 7}),
        "seed": (("--seed", "7"), {"key": 7}),
    },
    "refit-prior": {
        "prior": (("--prior", "vamp:3"), {"prior": "vamp:3"}),
        "out": (("--out", "OUT"), {"folder": "out.npy"}),
        "steps": (("--steps", "7"), {"steps": 7}),
        "learning_rate": (("--learning-rate", "0.5"), {"learning_rate": 0.5}),
        "num_particles": (("--num-particles", "17"), {"num_particles": 17}),
        "seed": (("--seed", "7"), {"key": 7}),
        "force": (("--force", "--out", "OUT"), {"force": True}),
    },
    "report": {},
    "list": {},
    "compare": {},
    "show": {},
    "figures": {},
    "resume": {"evidence_particles": (("--evidence-particles", "17"), {"evidence_particles": 17})},
}
# What a command cannot do without, or only decides which files are written: tested with the files.
# Seen to arrive in the tests of the command itself.
OTHERWISE = {
    "calibrate": ("refits", "seconds"),
    "explain": (
        "classifier",
        "target",
        "out",
        "diagnose",
        "immutable",
        "increase_only",
        "decrease_only",
        "ranges",
        "causal",
    ),
    "score": ("out",),
    "show": ("out",),
    "fidelity": ("synthetic",),
    **dict.fromkeys(("evaluate", "audit"), ("place",)),
    "resume": ("place",),
    "sample": ("given", "num_particles"),
    "report": ("out",),
    "predict": ("out",),
}
