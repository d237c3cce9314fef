"""The flows that are compared: sizes that every library is given, and what each calls its layers."""

LAYERS = 5
HIDDEN = (64, 64)
BINS = 8
BOX = 5.0
LEARNING_RATE = 1e-3

# taut's layer, whether it is autoregressive, whether its elementwise map is a spline.
KINDS = {
    "affine-coupling": (f"affine-coupling:{LAYERS}", False, False),
    "spline-coupling": (f"spline-coupling:{LAYERS}", False, True),
    "maf": (f"maf:{LAYERS}", True, False),
}
