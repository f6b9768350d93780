"""The store is where trials live: a folder per run with one SQLite file, which one process writes and all may read.

What is on disk is enough to go on exactly where a search was stopped, at whatever moment that was.

Public names: ``run_folder.RunFolder``, ``sqlite.TrialStore`` with its ``TrialRow``, ``ranking.best_trial``,
``files.write_atomically``.
"""
