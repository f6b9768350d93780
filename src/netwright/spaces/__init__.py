"""A search space is a set of architectures together with the grammar that writes them as tokens, one per decision.

An architecture is data: layers and skip connections, or a recurrent cell, with canonical JSON and a content hash,
without weights and without torch.

Public names: ``grammar`` has ``Choice``, ``Anchor``, ``Plan`` and ``Tokens``; ``base`` has ``SearchSpace``; ``conv``,
``recurrent_cell`` and ``choice`` have ``ConvSpace``, ``RecurrentCellSpace`` and ``ChoiceSpace``; ``architecture`` has
the records and ``parse_architecture``; ``published`` has the paper's networks by name; ``cost`` has ``cost`` and
``geometry``.
"""
