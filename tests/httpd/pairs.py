# SPDX-License-Identifier: Apache-2.0
"""A small set of combinations in which every pair of values occurs."""

import itertools


def every(dimensions, allowed):
    """All combinations that allowed(dict) lets through, as dicts."""
    names = list(dimensions)
    for values in itertools.product(*dimensions.values()):
        case = dict(zip(names, values))
        if allowed(case):
            yield case


def _pairs(case):
    return set(itertools.combinations(sorted(case.items()), 2))


def covering(dimensions, allowed):
    """Cases out of every() that have all of its pairs; greedy, so that it is
    small but not the smallest, and the same each time."""
    candidates = list(every(dimensions, allowed))
    missing = set().union(*map(_pairs, candidates))
    chosen = []
    while missing:
        best = max(candidates, key=lambda c: len(_pairs(c) & missing))
        chosen.append(best)
        missing -= _pairs(best)
    return chosen
