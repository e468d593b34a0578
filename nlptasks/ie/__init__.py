"""Information extraction: entities, and triples of subject, predicate and object, with their places in the text."""
