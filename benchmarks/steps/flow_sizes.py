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


def kept(dim: int) -> list[list[bool]]:
    """Which dimensions each coupling of a flow keeps: the first half, after taut's permutations."""
    order, masks = list(range(dim)), []
    for layer in range(LAYERS):
        masks.append([i in order[: dim // 2] for i in range(dim)])
        # A reversal and a reversed riffle in turn.
        order = order[::-1] if layer % 2 == 0 else order[1::2][::-1] + order[::2][::-1]
    return masks
