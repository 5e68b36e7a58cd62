"""Writes each family of models as ONNX: families (which converter is whose), graph (how nodes are added)."""
