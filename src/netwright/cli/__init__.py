"""The command line: one file a command, which parses, loads, calls one function and prints.

``main.main`` registers them and turns every error of netwright into one line and its exit code.

Public names: ``main.main``, which the command ``netwright`` calls; ``main.app``.
"""
