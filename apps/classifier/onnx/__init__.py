"""Serves ONNX models: checking (what a file may hold) -> model (onnxruntime within a bound on memory)."""
