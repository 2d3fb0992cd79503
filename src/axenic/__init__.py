"""Axenic: grow, measure, dissect and contain emergent misalignment."""
