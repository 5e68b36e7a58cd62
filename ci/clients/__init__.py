"""Asks the language model through real clients of OpenAI's API, each in an environment of its own."""
