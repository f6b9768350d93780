"""A network is an architecture with its task, its training and its weights: what a person takes home from a search.

Public names: ``network`` has ``Network``; ``finding`` finds one by what a person calls it; ``training`` trains it to
the end, ``tuning`` tries settings of training on it; ``tensor_file`` keeps weights.
"""
