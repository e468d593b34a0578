"""The one BERT that every task shares.

Dimensions, everywhere below: B rows, T tokens, S tokens that can be seen (memory and T), N tokens of all rows laid end
to end, H hidden width, A attention heads, D width of a head, V vocabulary, L labels, K kept dimensions, C condition.
"""
