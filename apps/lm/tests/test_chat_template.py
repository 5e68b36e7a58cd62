"""A chat template renders the text that transformers does, or an error, and cannot exhaust the service."""

import gc
import os
import resource
import sys

import pytest

from apps.lm import chat_template
from apps.lm.chat_template import ChatTemplate, RenderError, template_of
from apps.lm.engines.transformers.tokenizer import TransformersTokenizer
from apps.lm.tests import tiny

MESSAGES = [{"role": "user", "content": 'Is 1 < 2 & "ä" 🦊?'}, {"role": "assistant", "content": " yes "}]


@pytest.fixture(scope="module")
def tokenizer():
    return tiny.gpt2_tokenizer()


def render(template: str) -> str:
    return ChatTemplate(template, {"bos_token": "<s>"}).render(MESSAGES)


@pytest.mark.slow
@pytest.mark.parametrize(
    "template",
    [
        "{{ messages | tojson }}",
        "{{ messages | tojson(indent=2, ensure_ascii=True) }}",
        "{{ tools is none }} {{ documents is defined }} {{ nothing is defined }} {{ eos_token }}",
        "{% for message in messages %}{% if loop.last %}{% break %}{% endif %}{{ message.content }}{% endfor %}",
        "{% set a = 1 %}{% generation %}{% set a = 2 %}{{ messages[-1].content | trim }}{% endgeneration %}{{ a }}",
        "{% set n = namespace(x=0) %}{% for m in messages %}{% set n.x = n.x + 1 %}{% endfor %}{{ n.x }}",
        "   {% if add_generation_prompt %}\n<|assistant|>\n{% endif %}\n",
        "{{ strftime_now('%Y') }}",
    ],
)
def test_the_text_is_that_of_transformers(tokenizer, template):
    expected = tokenizer.apply_chat_template(
        MESSAGES, chat_template=template, tokenize=False, add_generation_prompt=True
    )
    assert ChatTemplate(template, tokenizer.special_tokens_map).render(MESSAGES) == expected


def test_of_several_templates_the_default_one_is_used():
    tokenizer = tiny.gpt2_tokenizer()
    tokenizer.chat_template = {"tool_use": "tools", "default": "plain"}
    template = template_of(TransformersTokenizer(tokenizer))
    assert template and template.render(MESSAGES) == "plain"


HOSTILE = {
    "6 GB": "{{ 'a' * 6000000000 }}",
    "6 GB by doubling": "{% set n = namespace(x='ab') %}{% for i in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "6 GB by a filter": "{{ 'a' | center(6000000000) }}",
    "6 GB by a format": "{{ '%6000000000d' % 1 }}",
    "6 GB of replacements": "{% set x = 'a' * 100000 %}{{ x | replace('a', x) }}",
    "an endless number": "{% set x = 9 ** (9 ** 9) %}{{ x }}",
    "loops in loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "recursive macros": "{% macro f(n) %}{{ f(n - 1) }}{{ f(n - 1) }}{% endmacro %}{{ f(200) }}",
    "endless recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a text that is too long": "{{ 'a' * 9000000 }}",
}


# The first two compute until their CPU time is used up, the others for long.
SLOW = ("an endless number", "loops in loops", "6 GB by doubling", "6 GB of replacements", "a text that is too long")


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in HOSTILE])
def test_a_template_that_takes_too_much_is_an_error_and_takes_little_of_the_service(name):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RenderError):
        render(HOSTILE[name])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@pytest.mark.slow
@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('no tools here') }}", "no tools here"),
        ("{{ 1 / 0 }}", "ZeroDivisionError: division by zero"),
        ("{{ messages[0].content + 1 }}", "TypeError"),
        ("{{ nothing.at.all }}", "undefined"),
        ("{% for %}", "xpected"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ 'x' | nofilter }}", "nofilter"),
        ("{{ strftime_now(7) }}", "TypeError"),
    ],
)
def test_an_error_that_a_template_raises_is_reported(template, message):
    with pytest.raises(RenderError, match=message):
        render(template)


def test_after_a_conversation_that_ends_the_process_the_next_one_gets_a_new_process():
    template = ChatTemplate("{% if messages[0].content == 'x' %}{{ 'a' * 10 ** 10 }}{% else %}fine{% endif %}", {})
    bad = [{"role": "user", "content": "x"}]
    for _ in range(2):
        with pytest.raises(RenderError):
            template.render(bad)
        assert template.render(MESSAGES) == "fine"


@pytest.mark.parametrize("prefix", ["/bytecode", None])
def test_the_process_reads_compiled_modules_where_the_service_does(monkeypatch, tmp_path, prefix):
    script = "import json, sys; sys.stdin.readline(); print(json.dumps({'text': str(sys.pycache_prefix)}))"
    (tmp_path / "prefix.py").write_text(script)
    monkeypatch.setattr(chat_template, "SCRIPT", tmp_path / "prefix.py")
    monkeypatch.setattr(sys, "pycache_prefix", prefix)
    assert render("") == str(prefix)


def test_an_incomplete_answer_of_the_process_is_an_error(monkeypatch, tmp_path):
    (tmp_path / "cut.py").write_text("import sys; sys.stdin.readline(); sys.stdin.readline(); print('{\"text', end='')")
    monkeypatch.setattr(chat_template, "SCRIPT", tmp_path / "cut.py")
    with pytest.raises(RenderError, match="takes too much time or memory"):
        render("fine")


@pytest.mark.slow
def test_the_process_ends_with_its_template():
    template = ChatTemplate("fine", {})
    template.render(MESSAGES)
    assert template._process
    number = template._process.pid
    del template
    gc.collect()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
