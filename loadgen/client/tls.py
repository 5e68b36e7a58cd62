"""The TLS settings of a run."""

import ssl
from pathlib import Path


def context(ca: Path | None, insecure: bool) -> ssl.SSLContext:
    """Return a context that trusts the system's authorities and those in `ca`; `insecure` trusts every certificate.

    Raises OSError if `ca` cannot be read, ssl.SSLError if it holds no certificate.
    """
    made = ssl.create_default_context()
    if ca is not None:
        made.load_verify_locations(ca)
    if insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    made.set_alpn_protocols(["http/1.1"])
    return made
