"""A head that rows without a class shape, too: classes spread along the neighbours of all rows.

    S = D^-1/2 W D^-1/2,     W_ij = exp(-|z_i - z_j|^2 / (r_i r_j)) among the k nearest neighbours
    F = (1 - a) (I - a S)^-1 Y,      p(y_i = c) ~ q_c G_ic / sum_j G_jc,      G = D^-1/2 F

Y is 1 where the class of a row is known, r_i the distance to the k-th neighbour, and q_c the share of c
among the labelled rows, with half a row for each class beside them. Another row has the mean of its k
nearest neighbours by their W. Some of q is mixed into all, so that no class is impossible. z(x) is the
mean of q(z | x), learned from all rows: classes that hang together there need few labels, whatever
their shape.

Sources: Zhou, Bousquet, Lal, Weston and Schoelkopf, Learning with local and global consistency (2004);
Zelnik-Manor and Perona, Self-tuning spectral clustering (2004), for r; Zhu, Ghahramani and Lafferty,
Semi-supervised learning using Gaussian fields and harmonic functions (2003), section 4, for q.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

__all__ = ["PropagatedHead", "Propagation"]

_NEIGHBOURS = 5
_SPREAD = 0.99  # a, as Zhou et al. have it
_MOST = 60_000  # rows that are kept
_MIXED = 1e-3  # of q
_BLOCK = 4096  # rows whose neighbours are sought together
_PARTS = 4  # of the labels, each left out in turn


class PropagatedHead(NamedTuple):
    """What other rows have their classes by.

    Attributes:
        points: latent features, (M, d).
        radius: of each of them, (M,).
        classes: probabilities of theirs, (M, C).
        temperature: T, ().
    """

    points: Any
    radius: Any
    classes: Any
    temperature: Any

    def logits(self, z: Float[np.ndarray, "N d"]) -> Float[np.ndarray, "N C"]:
        """Log-probabilities of the classes, with temperature 1."""
        from sklearn.neighbors import NearestNeighbors

        if not len(z):
            return np.zeros((0, self.classes.shape[1]))
        points = np.asarray(self.points, np.float64)
        near = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(points))).fit(points)
        found = []
        for first in range(0, len(z), _BLOCK):
            distance, place = near.kneighbors(np.asarray(z[first : first + _BLOCK], np.float64))
            own = np.maximum(distance[:, -1:], self.radius.min())
            log_w = -(distance**2) / (own * self.radius[place])
            weight = np.exp(log_w - log_w.max(axis=1, keepdims=True))
            weight /= weight.sum(axis=1, keepdims=True)
            found.append(np.einsum("nk,nkc->nc", weight, self.classes[place]))
        return np.log(np.concatenate(found))


class Propagation:
    """Classes spread along the neighbours of all rows, with the labels that there are or with fewer.

    Arguments:
        z: features, (N, d); of more than 60,000 rows random ones are kept, and all that have a class as
            far as they go.
        codes: classes, (N,), -1 for none.
        num_classes: C.
    """

    def __init__(self, z: Float[np.ndarray, "N d"], codes: Int[np.ndarray, " N"], num_classes: int):
        kept = _kept(codes)
        self._z, self._codes, self._num_classes = z[kept], codes[kept], num_classes
        self._graph = _Graph(self._z)

    def head(self) -> PropagatedHead:
        """The head of rows with a class and of those without, with temperature 1."""
        classes = self._graph.spread(self._codes, self._num_classes)
        return PropagatedHead(
            self._z.astype(np.float32), self._graph.radius, classes.astype(np.float32),
            np.asarray(1.0),
        )  # fmt: skip

    def left_out(self) -> tuple[Float[np.ndarray, "n C"], Int[np.ndarray, " n"]]:
        """Logits of rows with a class as if theirs were not known, and their classes.

        The rows of a class are shared out among four parts, of which each is left out in turn; a row
        that is the only one of its class stays.
        """
        part = np.full(len(self._codes), -1)
        for code in np.unique(self._codes[self._codes >= 0]):
            own = np.flatnonzero(self._codes == code)
            if len(own) > 1:
                part[own] = np.arange(len(own)) % _PARTS
        out = part >= 0
        found = np.zeros((len(part), self._num_classes))
        for number in np.unique(part[out]):
            left = part == number
            told = np.where(left, -1, self._codes)
            found[left] = self._graph.spread(told, self._num_classes)[left]
        return np.log(found[out]), self._codes[out]


def _kept(codes: Int[np.ndarray, " N"]) -> Int[np.ndarray, " M"]:
    """Places of the rows that the head is made of."""
    order = np.random.default_rng(0).permutation(len(codes))
    return np.sort(order[np.argsort(codes[order] < 0, kind="stable")][:_MOST])


class _Graph:
    """Neighbours of all rows, along which classes spread.

    Arguments:
        z: features, (M, d).

    Attributes:
        radius: distance to the last neighbour of each row, (M,).
    """

    def __init__(self, z: Float[np.ndarray, "M d"]):
        from scipy.sparse import csr_array, diags_array
        from sklearn.neighbors import NearestNeighbors

        number, count = len(z), min(_NEIGHBOURS, len(z) - 1)
        distance, place = NearestNeighbors(n_neighbors=count).fit(z).kneighbors()
        least = 1e-6 * distance.mean() or 1.0  # rows that are alike are at no distance
        self.radius = np.maximum(distance[:, -1], least)
        weight = np.exp(-(distance**2) / (self.radius[:, None] * self.radius[place]))
        row = np.repeat(np.arange(number), count)
        graph = csr_array((weight.ravel(), (row, place.ravel())), shape=(number, number))
        graph = graph.maximum(graph.T)
        self._root = 1 / np.sqrt(np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1e-300))
        self._system = diags_array(np.ones(number)) - _SPREAD * (
            diags_array(self._root) @ graph @ diags_array(self._root)
        )

    def spread(self, codes: Int[np.ndarray, " M"], num_classes: int) -> Float[np.ndarray, "M C"]:
        """Probabilities of the classes of all rows, none of them zero."""
        from scipy.sparse.linalg import cg

        share = np.bincount(codes[codes >= 0], minlength=num_classes) + 0.5
        share = share / share.sum()
        mass = np.zeros((len(codes), num_classes))
        for code in np.unique(codes[codes >= 0]):
            told = (codes == code).astype(float)
            spread = np.maximum(cg(self._system, told, rtol=1e-6)[0], 0.0) * self._root
            mass[:, code] = share[code] * spread / spread.sum()
        total = mass.sum(axis=1, keepdims=True)
        found = np.where(total > 0, mass / np.where(total > 0, total, 1.0), share)
        return (1 - _MIXED) * found + _MIXED * share
