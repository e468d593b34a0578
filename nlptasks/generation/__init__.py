"""Texts written to conditions (conditional LayerNorm, or none at all) and text to text (UniLM seq2seq)."""
