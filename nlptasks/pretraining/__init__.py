"""A backbone of one's own: words hidden, read on and written on, learned from plain text."""
