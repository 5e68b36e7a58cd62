"""The error that a user can do something about."""


class TrainingError(Exception):
    """What went wrong, the rule and the remedy; shown without a stack trace."""
