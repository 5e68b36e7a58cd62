"""Draws apps/classifier/digit.png, the digit that the README posts: `python -m apps.classifier.tests.digit`."""

from pathlib import Path

from PIL import Image, ImageDraw

FILE = Path(__file__).parents[1] / "digit.png"
SEVEN = [(70, 85), (110, 72), (165, 75), (205, 68), (190, 105), (160, 150), (135, 195), (120, 240)]


def draw() -> Image.Image:
    """A seven, written with a pen on white paper."""
    paper = Image.new("L", (280, 280), 255)
    pen = ImageDraw.Draw(paper)
    pen.line(SEVEN, fill=0, width=22, joint="curve")
    for x, y in (SEVEN[0], SEVEN[-1]):
        pen.circle((x, y), 11, fill=0)
    return paper.resize((140, 140), Image.Resampling.LANCZOS).quantize(4)


if __name__ == "__main__":
    draw().save(FILE, optimize=True)
