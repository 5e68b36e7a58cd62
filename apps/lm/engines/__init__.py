"""The engines: each runs models with one library, such as torch or OpenVINO, behind the same protocol."""
