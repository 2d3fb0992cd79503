"""Axenic against what a user would otherwise run: ratios measured side by side in one process, `make bench`."""
