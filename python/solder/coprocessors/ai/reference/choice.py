"""Choices: argmax, top_k (ties to the lowest index) and tree_ensemble."""

import numpy as np

from solder.coprocessors.ai.reference.site import INT32, Array, Count, Operator, Site, Value

__all__ = ["MISSING", "OPERATORS"]

MISSING = -(1 << 31)
MAX_DEPTH = 1024
MAX_TREES = 65_536
MAX_EXTREMES = 1 << 24


def _admit_argmax(site: Site) -> list[Value]:
    x = site.value(0)
    site.at_least(0, 2)
    return [site.result(32, x.shape[:-1], 0, site.row_limit() - 1)]


def _admit_top_k(site: Site) -> list[Value]:
    x, k = site.value(0), site.integer("k")
    extent = site.static(0, -1)
    site.require(k <= extent, f"{k} of {extent}", "k")
    shape = (*x.shape[:-1], k)
    return [site.result(x.bits, shape, x.low, x.high), site.result(32, shape, 0, extent - 1)]


def _top_k(site: Site, operands: list[Array]) -> list[Array]:
    x = operands[0]
    order = np.argsort(-x, axis=-1, kind="stable")[..., : site.integer("k")].astype(np.int64)
    return [np.take_along_axis(x, order, axis=-1), order]


def _trees(site: Site) -> tuple[Array, ...]:
    """The tensors of the ensemble: feature, threshold, left, right, roots, leaves, base."""
    feature = site.tensor(1, (32,), (None,))
    nodes = (len(feature),)
    threshold, left, right = (site.tensor(index, (32,), nodes) for index in (2, 3, 4))
    roots, leaves = site.tensor(5, (32,), (None,)), site.tensor(6, (32,), (None, None))
    return feature, threshold, left, right, roots, leaves, site.tensor(7, (32,), (leaves.shape[1],))


def _depths(left: Array, right: Array) -> list[int]:
    """Comparisons on the longest way down from each node; links go to greater numbers only."""
    depths = [0] * len(left)
    for node in range(len(left) - 1, -1, -1):
        depths[node] = 1 + max(depths[link] if link >= 0 else 0 for link in (int(left[node]), int(right[node])))
    return depths


def _leaf_extremes(left: Array, right: Array, leaves: Array) -> tuple[Array, Array]:
    """For each node and class the smallest and the largest leaf below it."""
    low = np.zeros((len(left), leaves.shape[1]), dtype=np.int64)
    high = low.copy()
    for node in range(len(left) - 1, -1, -1):
        lows = [low[link] if link >= 0 else leaves[-1 - link] for link in (int(left[node]), int(right[node]))]
        highs = [high[link] if link >= 0 else leaves[-1 - link] for link in (int(left[node]), int(right[node]))]
        low[node], high[node] = np.minimum(*lows), np.maximum(*highs)
    return low, high


def _admit_tree_ensemble(site: Site) -> list[Value]:
    x, features = site.batched(0, 2, bits=32), site.static(0, 1)
    feature, _, left, right, roots, leaves, base = _trees(site)
    count = len(feature)
    site.require(int(feature.min()) >= 0 and int(feature.max()) < features, f"not within 0..{features - 1}", 1)
    for index, links in ((3, left), (4, right)):
        leaf = (links < 0) & (links >= -len(leaves))
        forward = (links > np.arange(count)) & (links < count)
        site.require(bool((forward | leaf).all()), "a link to nowhere or back", index)
    site.require(len(roots) <= MAX_TREES, f"more than {MAX_TREES} trees", 5)
    table = max(count, len(roots)) * len(base)
    site.require(table <= MAX_EXTREMES, f"{table} nodes or trees times classes, beyond {MAX_EXTREMES}", 6)
    site.require(int(roots.min()) >= -len(leaves) and int(roots.max()) < count, "a root that does not exist", 5)
    if site.given(8):
        missing = site.tensor(8, (8,), (count,))
        site.require(int(missing.min()) >= 0 and int(missing.max()) <= 1, "not 0 or 1", 8)
    depths = _depths(left, right)
    deepest = max((depths[root] for root in map(int, roots) if root >= 0), default=0)
    site.require(deepest <= MAX_DEPTH, f"a tree of depth {deepest}, beyond {MAX_DEPTH}", 5)
    low, high = _leaf_extremes(left, right, leaves)
    least, most, reach = base.copy(), base.copy(), np.abs(base)
    for root in map(int, roots):
        lows, highs = (low[root], high[root]) if root >= 0 else (leaves[-1 - root], leaves[-1 - root])
        least, most = least + lows, most + highs
        reach = reach + np.maximum(np.abs(lows), np.abs(highs))
    site.require(int(reach.max()) <= INT32, f"a sum can reach {int(reach.max())}, beyond int32", 6)
    return [site.result(32, (x.shape[0], len(base)), int(least.min()), int(most.max()))]


def _tree_ensemble(_site: Site, operands: list[Array]) -> list[Array]:
    x, feature, threshold, left, right, roots, leaves, base, *missing = operands
    out = np.tile(base, (x.shape[0], 1))
    for row, numbers in enumerate(x):
        for root in roots:
            at = int(root)
            while at >= 0:
                number = numbers[feature[at]]
                down = number <= threshold[at]
                if missing and number == MISSING:
                    down = missing[0][at] == 1
                at = int(left[at] if down else right[at])
            out[row] += leaves[-1 - at]
    return [out]


def _tree_macs(count: Count) -> int:
    _, _, left, right, roots, leaves, _ = _trees(count.site)
    depths = _depths(left, right)
    comparisons = sum(depths[root] for root in map(int, roots) if root >= 0)
    return count.operands[0][0] * (comparisons + len(roots) * int(leaves.shape[1]))


OPERATORS = (
    Operator(
        name="argmax",
        operands=("x",),
        outputs=1,
        admit=_admit_argmax,
        run=lambda _site, operands: [operands[0].argmax(axis=-1).astype(np.int64)],
        macs=lambda count: count.x,
    ),
    Operator(
        name="top_k",
        operands=("x",),
        outputs=2,
        attributes={"k": (1, 1024)},
        admit=_admit_top_k,
        run=_top_k,
        macs=lambda count: count.site.integer("k") * count.x,
    ),
    Operator(
        name="tree_ensemble",
        operands=(
            *("x", "feature:tensor", "threshold:tensor", "left:tensor", "right:tensor", "roots:tensor"),
            *("leaves:tensor", "base:tensor", "missing:tensor?"),
        ),
        outputs=1,
        admit=_admit_tree_ensemble,
        run=_tree_ensemble,
        macs=_tree_macs,
    ),
)
