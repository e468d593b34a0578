"""x."""
def likeness(a, b): return {}
def variety(a): return {}
