"""Teaching a model: settings, data, the loop, checkpoints and scores."""
