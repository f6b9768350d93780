"""A report is what a person reads of a run: tables, summaries and drawings of architectures.

It reads the store and writes text, and never changes a run.

Public names: ``summary`` has ``run_summary``, ``run_summary_text``, ``trial_table`` and ``tuning_table``; ``diagram``
has ``draw``, ``svg`` ``architecture_svg``; ``page`` has ``report_page``, ``tensorboard`` ``write_curves``, ``export``
``exported_files``.
"""
