"""Exports language models for the engines `transformers` and `openvino`."""
