import checks
import instructor
import openai
from pydantic import BaseModel, ConfigDict, Field

client = openai.OpenAI(base_url=checks.URL, api_key="none", max_retries=0)
TURNS = [{"role": "user", "content": "Invent a person."}]


class Person(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=12)
    age: int = Field(ge=0, le=150)


def create(mode):
    patched = instructor.from_openai(client, mode=mode)
    person = patched.chat.completions.create(
        model=checks.MODEL, messages=TURNS, response_model=Person, max_retries=0, temperature=0, max_tokens=150
    )
    assert isinstance(person, Person)


def check_mode_JSON_SCHEMA():
    create(instructor.Mode.JSON_SCHEMA)


def check_mode_TOOLS():
    create(instructor.Mode.TOOLS)


checks.run(globals())
