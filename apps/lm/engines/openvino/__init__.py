"""The engine `openvino`: models with 8-bit weights, on OpenVINO GenAI, without torch."""
