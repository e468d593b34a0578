"""Chinese chess: a language model of games that plays by the rules."""
