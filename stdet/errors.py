"""Errors that are the user's to mend, not ours.

The command line prints any ``StdetError`` as one line on stderr and exits with its ``exit_code``.
Wrong calls from Python raise ``ValueError``; everything else is a bug and shows a traceback.
"""


class StdetError(Exception):
    """Base of every error caused by a file, a configuration or a command line."""

    exit_code = 2


class ConfigError(StdetError):
    """A YAML file or a ``--set`` override does not describe a valid configuration."""


class DataError(StdetError):
    """An image, video, annotation or output file cannot be used as it is."""


class CheckpointError(StdetError):
    """A weights or resume file is missing, damaged or of another architecture."""


class TrainingError(StdetError):
    """Training cannot go on, for example because the loss is no longer finite."""


class IncompleteInputError(DataError):
    """Input ended early or was damaged part-way; what was read before has been kept.

    Raised after everything usable has been processed and written.
    """

    exit_code = 3
