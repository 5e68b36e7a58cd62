"""The error for problems that the user can solve."""


class TrainingError(Exception):
    """Says what went wrong, the rule and the remedy; shown without a stack trace."""
