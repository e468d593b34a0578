"""The command line of nlpk: one file, one command; nothing heavy at the top of any."""

__version__ = "0.1.0"
