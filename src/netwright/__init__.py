"""Neural architecture search with reinforcement learning (Zoph & Le, ICLR 2017).

A recurrent controller writes a string of tokens that describes a neural network, the network is trained, and its
validation result is the reward from which the controller learns.
"""

__version__ = "0.1.0"
