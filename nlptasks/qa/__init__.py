"""Reading-comprehension QA over one or many passages: UniLM seq2seq and masked LM."""
