"""Asks the classifier about one image, and draws the image with two pixel rows per line of text."""

from typing import Any

import numpy as np

from loadgen.client import Client
from loadgen.mnist import Mnist
from loadgen.observe import Clock, Observation
from loadgen.targets import classifier
from loadgen.terminal import duration

BAR_LENGTH = 28
INK = 96  # of 255: a lighter pixel is drawn as paper


async def ask(mnist: Mnist, index: int, url: str, timeout_seconds: float) -> tuple[Observation, Any]:
    target = classifier(mnist, [index])
    client = Client(target, url, Clock(), timeout_seconds)
    try:
        return await client.send(target.samples[0])
    finally:
        await client.close()


def draw(image: np.ndarray) -> str:
    """Return `image`, uint8 (784,), as 14 lines of 28 characters, which are twice as high as wide."""
    ink = (image.reshape(14, 2, 28) >= INK).tolist()
    return "\n".join(
        "  " + "".join(" ▄▀█"[2 * upper + lower] for upper, lower in zip(*pair, strict=True)).rstrip() for pair in ink
    )


def answer_text(answer: dict[str, Any], observation: Observation, label: str) -> str:
    verdict = "right" if observation.correct else f"wrong: the label is {label}"
    return "\n".join(
        [
            f"prediction   {answer['label']}, {verdict}",
            *[score_line(entry["label"], entry["probability"]) for entry in answer["top"][:3]],
            f"model        {observation.model_version}, on {observation.served_by or 'an unnamed host'}, "
            f"in {duration(observation.seconds)}",
        ]
    )


def score_line(label: str, probability: float) -> str:
    return f"             {label}  {probability:6.1%}  {'█' * round(probability * BAR_LENGTH)}".rstrip()
