"""Converts a fitted model to ONNX in an environment of its own, and measures that it answers as the original does."""
