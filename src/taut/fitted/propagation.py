"""A head that rows without a class shape, too: classes spread along the neighbours of all rows.

    S = D^-1/2 W D^-1/2,     W_ij = exp(-|z_i - z_j|^2 / (r_i r_j)) among the k nearest neighbours
    F = (1 - a) (I - a S)^-1 Y,      p(y_i = c) ~ q_c G_ic / sum_j G_jc,      G = D^-1/2 F

Y is 1 where the class of a row is known, r_i the distance to the k-th neighbour, and q_c the share of c
among the labelled rows, with half a row for each class beside them. Another row has the mean of its k
nearest neighbours by their W. Some of q is mixed into all, so that no class is impossible. z(x) is the
mean of q(z | x), learned from all rows: classes that hang together there need few labels, whatever
their shape.

What has spread may settle: every row takes the class that leads in it, some steps of the random walk
D^-1 W blur the classes again, and so on until hardly a row changes, so that borders move to where few
neighbours lie on both sides. The share of a class is held within a tenth of that among labels, for left
to itself a class that another touches would be eaten.

Sources: Zhou, Bousquet, Lal, Weston and Schoelkopf, Learning with local and global consistency (2004);
Zelnik-Manor and Perona, Self-tuning spectral clustering (2004), for r; Zhu, Ghahramani and Lafferty,
Semi-supervised learning using Gaussian fields and harmonic functions (2003), section 4, for q;
Garcia-Cardona, Merkurjev, Bertozzi, Flenner and Percus, Multiclass data segmentation using diffuse
interface methods on graphs (2014), for what settles; Jacobs, Merkurjev and Esedoglu, Auction dynamics: a
volume constrained MBO scheme (2018), for the bounds of shares.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["JudgedHead", "PropagatedHead", "Propagation"]

_NEIGHBOURS = 5
_SPREAD = 0.99  # a, as Zhou et al. have it
_MOST = 60_000  # rows that are kept
_MIXED = 1e-3  # of q
_BLOCK = 4096  # rows whose neighbours are sought together
_PARTS = 4  # of the labels, each left out in turn
_STEPS = 10  # of the walk after rows have taken classes
_ROUNDS = 50  # at most
_STILL = 1e-4  # of the rows: when fewer change, all has settled
_LEAST, _AT_MOST = 0.9, 1.1  # rows of a class, in units of its share among labels
_WEIGHING, _WEIGHINGS = (
    0.1,
    100,
)  # first step, and steps at most, until shares are within their bounds


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


class JudgedHead(NamedTuple):
    """A head, and what it would have said of its own labels.

    Attributes:
        head: with temperature 1.
        logits: of rows with a class, as if that of a quarter of them, theirs among it, were not known,
            (n, C).
        codes: their classes, (n,).
    """

    head: PropagatedHead
    logits: Float[np.ndarray, "n C"]
    codes: Int[np.ndarray, " n"]


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

    def heads(self) -> list[JudgedHead]:
        """A head by what has spread, and one by what has settled, with temperature 1."""
        part = self._parts()
        left = [part == number for number in range(part.max() + 1)]
        told = [self._codes, *(np.where(out, -1, self._codes) for out in left)]
        spread = [self._graph.spread(codes, self._num_classes) for codes in told]
        settled = [self._graph.settle(*each) for each in zip(spread, told, strict=True)]
        return [self._judged(classes, left) for classes in (spread, settled)]

    def _parts(self) -> Int[np.ndarray, " N"]:
        """Which of four parts leaves a row with a class out, -1 for none.

        The rows of a class are shared out among them; a row that is the only one of its class stays.
        """
        part = np.full(len(self._codes), -1)
        for code in np.unique(self._codes[self._codes >= 0]):
            own = np.flatnonzero(self._codes == code)
            if len(own) > 1:
                part[own] = np.arange(len(own)) % _PARTS
        return part

    def _judged(
        self, classes: list[Float[np.ndarray, "N C"]], left: list[Bool[np.ndarray, " N"]]
    ) -> JudgedHead:
        """Of probabilities by all labels, and of those by the labels without each part."""
        head = PropagatedHead(
            self._z.astype(np.float32), self._graph.radius, classes[0].astype(np.float32),
            np.asarray(1.0),
        )  # fmt: skip
        found, out = np.ones_like(classes[0]), np.zeros(len(self._codes), bool)
        for rows, probabilities in zip(left, classes[1:], strict=True):
            found[rows], out[rows] = probabilities[rows], True
        return JudgedHead(head, np.log(found[out]), self._codes[out])


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
        from scipy.sparse.csgraph import connected_components
        from sklearn.neighbors import NearestNeighbors

        number, count = len(z), min(_NEIGHBOURS, len(z) - 1)
        distance, place = NearestNeighbors(n_neighbors=count).fit(z).kneighbors()
        least = 1e-6 * distance.mean() or 1.0  # rows that are alike are at no distance
        self.radius = np.maximum(distance[:, -1], least)
        weight = np.exp(-(distance**2) / (self.radius[:, None] * self.radius[place]))
        row = np.repeat(np.arange(number), count)
        graph = csr_array((weight.ravel(), (row, place.ravel())), shape=(number, number))
        graph = csr_array(graph.maximum(graph.T))
        graph.eliminate_zeros()
        self._component = connected_components(graph, directed=False)[1]
        self._root = 1 / np.sqrt(np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1e-300))
        self._walk = diags_array(self._root**2) @ graph
        self._system = diags_array(np.ones(number)) - _SPREAD * (
            diags_array(self._root) @ graph @ diags_array(self._root)
        )

    def spread(self, codes: Int[np.ndarray, " M"], num_classes: int) -> Float[np.ndarray, "M C"]:
        """Probabilities of the classes of all rows, none of them zero."""
        from scipy.sparse.linalg import cg

        share = _share(codes, num_classes)
        mass = np.zeros((len(codes), num_classes))
        for code in np.unique(codes[codes >= 0]):
            told = (codes == code).astype(float)
            spread = np.maximum(cg(self._system, told, rtol=1e-6)[0], 0.0) * self._root
            mass[:, code] = share[code] * spread / spread.sum()
        return _mixed(mass, share)

    def settle(
        self, classes: Float[np.ndarray, "M C"], codes: Int[np.ndarray, " M"]
    ) -> Float[np.ndarray, "M C"]:
        """Probabilities when the classes have settled; rows that no label reaches keep theirs.

        Arguments:
            classes: probabilities by what has spread.
            codes: the classes that are known, -1 for none.
        """
        told = np.flatnonzero(codes >= 0)
        reached = np.isin(self._component, self._component[told])
        one = np.eye(classes.shape[1])
        share = np.bincount(codes[told], minlength=len(one)) / len(told)
        raised = blurred = classes
        before = np.full(len(codes), -1)
        for _ in range(_ROUNDS):
            raised = np.maximum(blurred + _weights(blurred[reached], share), 0.0)
            now = raised.argmax(axis=1)
            if np.mean(now != before) < _STILL:
                break
            blurred, before = one[now], now
            for _ in range(_STEPS):
                blurred[told] = one[codes[told]]
                blurred = self._walk @ blurred
        settled = _mixed(raised, _share(codes, len(one)))
        return np.where(reached[:, None], settled, classes)


def _share(codes: Int[np.ndarray, " M"], num_classes: int) -> Float[np.ndarray, " C"]:
    """q of the classes, half a row for each of them beside the rows that have one."""
    count = np.bincount(codes[codes >= 0], minlength=num_classes) + 0.5
    return count / count.sum()


def _mixed(
    mass: Float[np.ndarray, "M C"], share: Float[np.ndarray, " C"]
) -> Float[np.ndarray, "M C"]:
    """Probabilities in proportion to masses, or shares where there are none, and some of the shares."""
    total = mass.sum(axis=1, keepdims=True)
    found = np.where(total > 0, mass / np.where(total > 0, total, 1.0), share)
    return (1 - _MIXED) * found + _MIXED * share


def _weights(
    classes: Float[np.ndarray, "M C"], share: Float[np.ndarray, " C"]
) -> Float[np.ndarray, " C"]:
    """What is added to probabilities so that no class leads in too few rows or in too many.

    Each weight goes up or down in steps, which are halved where they have gone too far.
    """
    weights, step, before = (
        np.zeros(len(share)),
        np.full(len(share), _WEIGHING),
        np.zeros(len(share)),
    )
    for _ in range(_WEIGHINGS):
        leads = np.bincount((classes + weights).argmax(axis=1), minlength=len(share)) / len(classes)
        way = (leads < _LEAST * share) * 1.0 - (leads > _AT_MOST * share) * 1.0
        if not way.any():
            break
        step = np.where(way * before < 0, step / 2, step)
        weights += step * way
        before = np.where(way != 0, way, before)
    return weights
