"""One file per kind of picture. Each function takes plain values and returns a `Drawing`: two SVGs, wide and narrow."""
