"""The language model service: a causal language model that continues prompts within a token budget."""
