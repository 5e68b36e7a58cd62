"""Open files: raises the soft limit, and refuses what cannot fit."""


class Refused(Exception):
    """The plan exceeds a limit of this machine; the text gives value, rule and remedy."""
