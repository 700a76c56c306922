#!/usr/bin/env python3
"""What numpy makes of the same numbers, in float64: singular values, cosine transforms, robust aggregates.

Reads JSON on standard input and prints JSON: for each part of the input that is there, its answer. Needs numpy.
"""
import json
import sys

import numpy as np


def matrix(case, name="values"):
    return np.array(case[name], dtype=np.float64).reshape(case["rows"], case["columns"])


def low_rank(case):
    """How far from the best approximation of that rank the given one is, and how its columns' space lies to the best one's."""
    a, b, rank = matrix(case), matrix(case, "approximation"), case["rank"]
    u, s, _ = np.linalg.svd(a, full_matrices=False)
    best = np.sqrt((s[rank:] ** 2).sum()) / np.linalg.norm(a)
    found = np.linalg.norm(a - b) / np.linalg.norm(a)
    basis = np.linalg.svd(b, full_matrices=False)[0][:, :rank]
    cosines = np.linalg.svd(u[:, :rank].T @ basis, compute_uv=False)
    return {"best": best, "found": found, "leastCosine": cosines.min()}


def cosine_matrix(n):
    k, i = np.arange(n)[:, None], np.arange(n)[None, :]
    d = np.cos(np.pi * (2 * i + 1) * k / (2 * n)) * np.sqrt(2 / n)
    d[0] = np.sqrt(1 / n)
    return d


def transform(case):
    a, height, width = matrix(case), case["height"], case["width"]
    out = np.empty_like(a)
    for row in range(0, a.shape[0], height):
        for column in range(0, a.shape[1], width):
            tile = a[row:row + height, column:column + width]
            out[row:row + height, column:column + width] = cosine_matrix(height) @ tile @ cosine_matrix(width).T
    return out.ravel().tolist()


def aggregate(case):
    x = np.array(case["payloads"], dtype=np.float64)
    n = len(x)
    ordered = np.sort(x, axis=0)
    cut = min(int(n * case["trimmedShare"]), (n - 1) // 2)
    norms = np.sort(np.linalg.norm(x, axis=1))
    radius = case["radius"] * norms[(n - 1) // 2]
    v = np.zeros_like(x[0])
    for _ in range(case["rounds"]):
        difference = x - v
        lengths = np.linalg.norm(difference, axis=1)
        scale = np.minimum(1, radius / np.maximum(lengths, 1e-300))
        v = v + (difference * scale[:, None]).mean(axis=0)
    return {"mean": x.mean(axis=0).tolist(), "median": ordered[(n - 1) // 2].tolist(),
            "trimmedMean": ordered[cut:n - cut].mean(axis=0).tolist(), "centeredClip": v.tolist()}


def effective_rank(case):
    """In 256ths, weighted by elements."""
    weighted = elements = 0
    for tensor in case["tensors"]:
        s = np.linalg.svd(matrix(tensor), compute_uv=False)
        held = np.cumsum(s ** 2) / (s ** 2).sum()
        weighted += (int((held < case["energy"]).sum()) + 1) * tensor["rows"] * tensor["columns"]
        elements += tensor["rows"] * tensor["columns"]
    return weighted * 256 // elements


parts = {"lowRank": low_rank, "transform": transform, "aggregate": aggregate, "effectiveRank": effective_rank,
         "eigenvalues": lambda case: sorted(np.linalg.eigvalsh(matrix(case)).tolist(), reverse=True)}
print(json.dumps({name: [parts[name](case) for case in cases] for name, cases in json.load(sys.stdin).items()}))
