"""How a request can end."""

from enum import IntEnum


class Outcome(IntEnum):
    """How a request ended. Names in lower case are those of the JSON document."""

    OK = 0
    CONNECT = 1  # no connection, or no address
    TLS = 2
    TIMEOUT = 3
    RESET = 4  # the connection broke before the end of the answer
    HTTP = 5  # any status but 200
    INVALID = 6  # a 200 that violates the contract, or not HTTP
    STREAM = 7  # an error within a stream, after its 200
    DROPPED = 8  # due while `max_in_flight` requests were under way; never sent
    INTERRUPTED = 9  # cut off by a second signal
    LOCAL = 10  # an errno of this machine: the generator's limit, not the service's

    @property
    def label(self) -> str:
        return self.name.lower()


# Never charged to the service.
NOT_SERVICE = (Outcome.DROPPED, Outcome.INTERRUPTED, Outcome.LOCAL)
