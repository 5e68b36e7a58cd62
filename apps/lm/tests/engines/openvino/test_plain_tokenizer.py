"""PlainTokenizer returns what transformers' tokenizer does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from transformers import AutoTokenizer

from apps.lm.chat_template import template_of
from apps.lm.engines.openvino.plain_tokenizer import PlainTokenizer
from apps.lm.engines.transformers.tokenizer import TransformersTokenizer
from apps.lm.tests import tiny

TEMPLATE = """{%- for message in messages %}
    {{- eos_token + message['content'] }}
{%- endfor %}
{% if add_generation_prompt %}
answer:
{% endif %}"""


@pytest.fixture(scope="module", params=sorted(tiny.FAMILIES))
def tokenizers(request, tmp_path_factory):
    """A PlainTokenizer, and transformers' tokenizer of the same folder."""
    folder = tiny.save(request.param, tmp_path_factory.mktemp("tokenizer"))
    theirs = AutoTokenizer.from_pretrained(folder)
    theirs.eos_token, theirs.chat_template = theirs.convert_ids_to_tokens(2), TEMPLATE
    theirs.save_pretrained(folder)
    return PlainTokenizer(folder), theirs


@given(text=some.text() | some.sampled_from(["<|endoftext|> x", "<s>a</s>", "  two  spaces ", "🦊 naïve 数"]))
def test_text_becomes_the_same_tokens_and_tokens_the_same_text(tokenizers, text):
    ours, theirs = tokenizers
    for special in (True, False):
        ids = theirs(text, add_special_tokens=special).input_ids
        assert ours.encode(text, add_special_tokens=special) == ids
        for skip in (True, False):
            expected = theirs.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False)
            assert ours.decode(ids, skip_special_tokens=skip) == expected


@pytest.mark.slow
def test_a_conversation_becomes_the_same_text(tokenizers):
    ours, theirs = tokenizers
    messages = [{"role": "user", "content": "the fox"}, {"role": "assistant", "content": "jumps"}]
    expected = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    for tokenizer in (ours, TransformersTokenizer(theirs)):
        template = template_of(tokenizer)
        assert template and template.render(messages) == expected


TEMPLATES = {
    "none is none": "{{ tools is none }} {{ documents is none }} {{ nothing is defined }}",
    "a block for training": "{% generation %}{{ messages[0].content }}{% endgeneration %}",
    "JSON": "{{ messages | tojson }} {{ messages[0] | tojson(indent=2) }}",
    "a token by name": "{{ bos_token }}{{ eos_token }}{{ unk_token }}{{ image_token }}",
    "an early end": "{% for message in messages %}{{ message.role }}{% break %}{% endfor %}",
}
FORMS: dict[str, dict[str, Any]] = {  # of a folder with the template
    "a file": {},
    "a setting": {"save_jinja_files": False},
}


@pytest.mark.slow
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", TEMPLATES)
def test_any_template_in_any_form_becomes_the_text_of_transformers(tmp_path, name, form, several):
    theirs = tiny.gpt2_tokenizer()
    theirs.chat_template = {"default": TEMPLATES[name], "tool_use": "tools"} if several else TEMPLATES[name]
    theirs.save_pretrained(tmp_path, **FORMS[form])
    tiny.edit_json(tmp_path / "tokenizer_config.json", extra_special_tokens={"image_token": "<image>"})
    template = template_of(PlainTokenizer(tmp_path))
    messages = [{"role": "user", "content": 'Is 1 < 2 & "ä" 🦊?'}]
    expected = AutoTokenizer.from_pretrained(tmp_path).apply_chat_template(messages, tokenize=False)
    assert template and template.render(messages) == expected


def test_the_end_token_is_the_same(tokenizers):
    assert tokenizers[0].eos_token_id == tokenizers[1].eos_token_id == 2
