"""Integrations: the controller inside other people's tools.

Public names: :class:`netwright.integrations.optuna.ControllerSampler`.
"""
