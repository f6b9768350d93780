"""A child is the network built from an architecture: an ordinary ``torch.nn.Module``, trained from scratch.

An evaluator builds it, trains it and measures it on the validation part; it never looks at the test part.

Public names: ``conv_net`` has ``ConvNet``; ``training`` has ``train`` and ``accuracy``; ``evaluator`` has
``ImageEvaluator``; ``devices`` has ``find_devices`` and ``cores``.
"""
