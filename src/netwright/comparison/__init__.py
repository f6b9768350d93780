"""A comparison sets strategies against each other on a table, seed by seed.

Public names: ``contests`` has ``compare`` and ``Standings``; ``plots`` draws them.
"""
