"""Simulated paths: straight, smoothly curved, kinked, rippled; every one from its own seed."""

from __future__ import annotations

import numpy as np

from axenic.interpret.vectorpath import VectorPath


def path_of(vectors, spacing=5, name="simulated"):
    rows = np.asarray(vectors, dtype=np.float64)
    return VectorPath(name, np.arange(len(rows), dtype=np.int64) * spacing, rows)


def walk(moves):
    """The path that these displacements make, from the origin."""
    return path_of(np.concatenate([np.zeros((1, moves.shape[1])), np.cumsum(moves, axis=0)]))


def coloured_noise(rng, n, dims, memory):
    """Autoregressive noise of length about 1 at each step."""
    noise = rng.standard_normal((n, dims))
    for i in range(1, n):
        noise[i] = memory * noise[i - 1] + np.sqrt(1 - memory**2) * noise[i]
    return noise / np.sqrt(dims)


def smooth_moves(seed, n_points=81, dims=24, length=8.0, noise=0.5, memory=0.8):
    """A drift, four slow Gaussian processes with this correlation length, and coloured noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_points - 1)
    root = np.linalg.cholesky(np.exp(-0.5 * ((t[:, None] - t) / length) ** 2) + 1e-8 * np.eye(len(t)))
    ways = rng.standard_normal((5, dims))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    slow = ways[0] + root @ rng.standard_normal((len(t), 4)) @ ways[1:] / 2
    return slow + noise * coloured_noise(rng, len(t), dims, memory)


def kinked_moves(seed, at, degrees, n_points=81, dims=24, noise=0.5, memory=0.0):
    """Straight on, a corner at point `at`, and straight on."""
    rng = np.random.default_rng(seed)
    one, two = np.linalg.qr(rng.standard_normal((dims, 2)))[0].T
    angle = np.radians(degrees) * (np.arange(n_points - 1) >= at)
    moves = np.cos(angle)[:, None] * one + np.sin(angle)[:, None] * two
    return moves + noise * coloured_noise(rng, n_points - 1, dims, memory)


def rippled_moves(seed, period, n_points=121, dims=24, size=1.0, noise=0.5):
    """A drift, a ripple in two dimensions of its own with this period in points, and noise."""
    rng = np.random.default_rng(seed)
    ways = np.linalg.qr(rng.standard_normal((dims, 3)))[0].T
    angle = 2 * np.pi * np.arange(n_points - 1) / period
    moves = ways[0] + size * (np.cos(angle)[:, None] * ways[1] + np.sin(angle)[:, None] * ways[2])
    return moves + noise * coloured_noise(rng, n_points - 1, dims, 0.0)
