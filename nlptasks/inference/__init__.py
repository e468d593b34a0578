"""Asking a model: rows in, answers out, in order."""
