import pytest

from apps.lm.tests import tiny
from apps.lm.tests.conftest import serving

CONTEXT = 800
TEMPLATE = """{% if tools %}{{ tools | tojson }}
{% endif %}{% for message in messages %}{{ message.role }}: {{ message.content }}
{% endfor %}assistant:"""


@pytest.fixture(scope="session")
def calling(tmp_path_factory):
    """A client of a model that ends its answers, and whose template shows tools."""
    folder = tiny.save("gpt2", tmp_path_factory.mktemp("models") / "tiny-gpt2_v1", eos=0, context=CONTEXT)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    with serving(tiny.publish(folder), max_total_tokens=CONTEXT) as client:
        yield client
