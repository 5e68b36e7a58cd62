"""The engine `transformers`: any causal language model of the GPT-2 or Llama families, on torch."""
