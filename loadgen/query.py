"""Asks the classifier about one image, and draws it: two pixels a character, one above the other."""

from typing import Any

import numpy as np

from loadgen.client import Client
from loadgen.mnist import Mnist
from loadgen.observe import Clock, Observation
from loadgen.targets import classifier
from loadgen.terminal import duration

BAR_LENGTH = 28
INK = 96  # from here up a pixel is drawn where there are no shades


async def ask(mnist: Mnist, index: int, url: str, timeout_seconds: float) -> tuple[Observation, Any]:
    target = classifier(mnist, [index])
    client = Client(target, url, Clock(), timeout_seconds)
    try:
        return await client.send(target.samples[0])
    finally:
        await client.close()


def draw(image: np.ndarray, shades: bool) -> str:
    """`image` uint8 (784,) as 14 lines of 28 characters; with `shades` in the terminal's 24 greys."""
    rows = image.reshape(28, 28).tolist()
    cell = grey_cell if shades else block_cell
    reset = "\x1b[0m" if shades else ""
    return "\n".join(
        "  " + "".join(cell(upper, lower) for upper, lower in zip(*pair, strict=True)) + reset
        for pair in zip(rows[::2], rows[1::2], strict=True)
    )


def grey_cell(upper: int, lower: int) -> str:
    return f"\x1b[38;5;{232 + upper * 23 // 255};48;5;{232 + lower * 23 // 255}m▀"


def block_cell(upper: int, lower: int) -> str:
    return " ▄▀█"[2 * (upper >= INK) + (lower >= INK)]


def answer_text(answer: dict[str, Any], seen: Observation, label: str) -> str:
    verdict = "right" if seen.correct else f"wrong: the label is {label}"
    return "\n".join(
        [
            f"prediction   {answer['label']}, {verdict}",
            *[score_line(entry["label"], entry["probability"]) for entry in answer["top"][:3]],
            f"model        {seen.model_version}, on {seen.served_by or 'an unnamed host'}, in {duration(seen.seconds)}",
        ]
    )


def score_line(label: str, probability: float) -> str:
    return f"             {label}  {probability:6.1%}  {'█' * round(probability * BAR_LENGTH)}".rstrip()
