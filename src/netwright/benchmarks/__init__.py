"""Benchmarks: evaluators that answer from a table of networks that others trained, so that a search takes seconds.

A strategy cannot tell a table from training. Public names: :class:`~netwright.benchmarks.tabular.TabularEvaluator`,
:func:`~netwright.benchmarks.tables.load_table` and the tables ``nasbench201``, ``nasbench_macro`` and ``toy``.
"""
