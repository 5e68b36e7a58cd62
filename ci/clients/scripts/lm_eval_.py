import json
import os
import tempfile
from pathlib import Path

import checks

os.environ["HF_HUB_OFFLINE"] = "1"  # the tokenizer is a folder
import lm_eval
from lm_eval.tasks import TaskManager

folder = Path(tempfile.mkdtemp())
(folder / "data.jsonl").write_text(
    "".join(
        json.dumps({"question": question, "choices": ["yes", "no", "perhaps"], "answer": 1}) + "\n"
        for question in ("Is a heron a fish?", "Is an owl a plant?", "Is a wren a whale?")
    )
)
COMMON = f"""
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder / "data.jsonl"}}}}}
test_split: test
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
"""
(folder / "choice.yaml").write_text(
    "task: birds_choice\noutput_type: multiple_choice\ndoc_to_choice: choices\ndoc_to_target: answer\n"
    f"metric_list: [{{metric: acc}}]{COMMON}"
)
(folder / "open.yaml").write_text(
    "task: birds_open\noutput_type: generate_until\ndoc_to_target: 'no'\n"
    "generation_kwargs: {until: ['\\n', 'Question:'], max_gen_toks: 8}\n"
    f"metric_list: [{{metric: exact_match}}]{COMMON}"
)
ARGUMENTS = {
    "model": checks.MODEL,
    "base_url": f"{checks.URL}/completions",
    "tokenizer": os.environ["TOKENIZER"],
    "max_length": 256,
    "max_retries": 1,
}


def evaluate(task, batch_size):
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    results = lm_eval.simple_evaluate(
        "local-completions", model_args=ARGUMENTS, tasks=[task], batch_size=batch_size, task_manager=manager
    )
    assert results["samples"][task]


def check_multiple_choice():
    evaluate("birds_choice", 1)


def check_multiple_choice_in_batches():
    evaluate("birds_choice", 4)


def check_open_answers():
    evaluate("birds_open", 1)


checks.run(globals())
