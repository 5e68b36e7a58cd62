"""From a PNG or JPEG to a model's 28 x 28 pixels: picture_file (strip) -> decoding (grey pixels) -> digit (28 x 28)."""
