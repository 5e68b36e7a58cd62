"""POST /v1/responses, OpenAI's newer protocol, for text."""
