"""Writing with the one BERT: prompts are read once, then one step is one forward pass for all of them.

Dimensions beside those of the backbone: P prompts, W branches (beams) of a prompt, Q questions whose prompts vote, U
tokens that may be chosen from.
"""
