"""Converts an exported model to OpenVINO with 8-bit weights, and measures what that changes."""
