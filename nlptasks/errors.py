"""Everything a user can put right: one sentence that says what was found, what was expected and the remedy."""


class NlpkError(Exception):
    """A mistake outside the program; the command line shows it as one line and ends with status 2."""


class UsageError(NlpkError):
    """Options or arguments that do not fit together."""


class InputError(NlpkError):
    """A file or stream that cannot be read, or is not in the format expected."""


class RecordError(NlpkError):
    """One record that cannot be used; the stream goes on without it."""


class ModelError(NlpkError):
    """A model folder that is missing, damaged, or made for something else."""
