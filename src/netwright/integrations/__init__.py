"""Integrations: the controller inside other people's tools.

Public names: :class:`netwright.integrations.optuna.ControllerSampler` and
:func:`netwright.integrations.optuna.write_study`.
"""
