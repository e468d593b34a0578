"""Sentence embedding and similarity: SimCSE, CoSENT, BERT-whitening."""
