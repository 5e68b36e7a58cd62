"""The engine `openvino`: models with 8-bit weights, on OpenVINO, without torch."""
