"""Starts the service: `MODEL_NAME=models/smollm2-135m-instruct_v1 python -m apps.lm --port 8100`"""

import sys

from apps.lm.service import LanguageModelService
from apps.serving.server import main

if __name__ == "__main__":
    sys.exit(main(LanguageModelService()))
