import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import checks

folder = Path(tempfile.mkdtemp())
(folder / "extra-openai-models.yaml").write_text(
    f"- model_id: ours\n  model_name: {checks.MODEL}\n  api_base: {checks.URL}\n  api_key_name: none\n"
    "  supports_schema: true\n  supports_tools: true\n"
)
LLM = str(Path(sys.executable).with_name("llm"))


def ask(*words):
    environment = os.environ | {"LLM_USER_PATH": str(folder)}
    done = subprocess.run([LLM, *words], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.strip(), done.stderr
    return done.stdout


def check_prompts_and_a_conversation():
    ask("-m", "ours", "--key", "none", "-o", "max_tokens", "8", "-s", "Be brief.", checks.QUESTION)
    ask("-c", "--key", "none", "-o", "max_tokens", "8", checks.QUESTION)


def check_answers_at_once():
    ask(
        "-m", "ours", "--key", "none", "--no-stream", "-o", "max_tokens", "8", "-o", "temperature", "0", checks.QUESTION
    )


def check_tools_that_the_model_may_call():
    ask("-m", "ours", "--key", "none", "-T", "llm_version", "-o", "max_tokens", "8", checks.QUESTION)


def check_schemas():
    schema = json.dumps(checks.PERSON)
    checks.require_person(json.loads(ask("-m", "ours", "--key", "none", "--schema", schema, "Invent a person.")))


checks.run(globals())
