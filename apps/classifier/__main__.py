"""`python -m apps.classifier --port 8000` runs the service."""

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy would start a thread per CPU, and a forest uses none

from apps.classifier.service import ClassifierService
from apps.serving.machine.memory import return_large_blocks
from apps.serving.server import main

return_large_blocks()
sys.exit(main(ClassifierService()))
