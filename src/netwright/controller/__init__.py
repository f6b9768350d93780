"""The controller is a recurrent network that writes architectures: a distribution over strings of tokens.

A learner owns it together with its optimiser and its baseline, and turns rewards into one update (REINFORCE).

Public names: ``policy`` has ``Policy``; ``policy_gradient`` has ``reinforce_loss`` and ``policy_gradient``;
``baseline`` has ``MovingAverage``; ``weights`` has ``Weights`` and ``Gradient``; ``learner`` has ``Learner``;
``transfer`` takes a controller over from another search.
"""
