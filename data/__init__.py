"""Hold the sample data sets that `nlpk train TASK` uses by default; they are installed as `nlptasks.samples`."""
