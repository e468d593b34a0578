"""A question about one table in, checked and executed SQL out; no generation, tens of milliseconds on a CPU."""
