"""The part of OpenAI's HTTP API that a text model answers, so that its clients work unchanged."""
