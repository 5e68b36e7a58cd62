import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import checks

GUIDELLM = str(Path(sys.executable).with_name("guidellm"))
COUNT = 3  # requests


def benchmark(path):
    folder = Path(tempfile.mkdtemp())
    words = [
        *("--backend", f"kind=openai_http,target={checks.SERVICE},model={checks.MODEL},request_format={path}"),
        *("--profile", "kind=synchronous"),
        *("--constraint", f"kind=max_requests,count={COUNT}"),
        *("--data", "kind=synthetic_text,prompt_tokens=16,output_tokens=8"),
        *("--tokenizer", f"kind=huggingface_auto,model={os.environ['TOKENIZER']}"),
    ]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "GUIDELLM__DEFAULT_RESULTS_DIR": str(folder)}
    done = subprocess.run(
        [GUIDELLM, "run", *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-1500:]
    (file,) = folder.rglob("benchmarks.json")
    (result,) = json.loads(file.read_text())["benchmarks"]
    requests = result["requests"]
    assert (len(requests["successful"]), len(requests["errored"])) == (COUNT, 0), requests["errored"]


def check_chats():
    benchmark("/v1/chat/completions")


def check_completions():
    benchmark("/v1/completions")


def check_responses():
    benchmark("/v1/responses")


checks.run(globals())
