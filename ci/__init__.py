"""Commands that set up two served models on a machine, test them, and remove everything."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - these commands start with whatever python3 a machine has
    sys.exit(f"Python is {sys.version.split()[0]}; 3.11 or newer is needed: install it and start again with it.")
