"""Reads a .joblib file without running it: content (decompress) -> unpickle (Inert objects) -> loading (Forest)."""
