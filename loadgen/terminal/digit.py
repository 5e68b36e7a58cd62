"""Draws an image with two pixel rows per line of text, and tells what the classifier answered."""

import numpy as np

from loadgen.client.exchange import Exchange
from loadgen.text import duration

BAR_LENGTH = 28
INK = 96  # of 255: a lighter pixel is drawn as paper


def draw(image: np.ndarray) -> str:
    """Return `image`, uint8 (784,), as 14 lines of 28 characters, which are twice as high as wide."""
    ink = (image.reshape(14, 2, 28) >= INK).tolist()
    return "\n".join(
        "  " + "".join(" ▄▀█"[2 * upper + lower] for upper, lower in zip(*pair, strict=True)).rstrip() for pair in ink
    )


def answer_text(exchange: Exchange, label: str) -> str:
    reading = exchange.reading
    answer = reading.answer
    verdict = "right" if reading.correct else f"wrong: the label is {label}"
    pod = exchange.pod.decode("utf-8", "replace") if exchange.pod else "an unnamed host"
    return "\n".join(
        [
            f"prediction   {answer['label']}, {verdict}",
            *[score_line(entry["label"], entry["probability"]) for entry in answer["top"][:3]],
            f"model        {reading.model_version}, on {pod}, in {duration(exchange.end - exchange.sent)}",
        ]
    )


def score_line(label: str, probability: float) -> str:
    return f"             {label}  {probability:6.1%}  {'█' * round(probability * BAR_LENGTH)}".rstrip()
