"""POST /predict/image: a picture of any size, colour and position becomes an image as the model knows them."""

import threading

import numpy as np
import pytest
from PIL import Image

from apps.classifier.forest import Forest
from apps.classifier.tests import forests
from apps.classifier.tests.pictures.pictures import bomb, chunk, difference, drawn, encoded, read_file, read_picture
from apps.serving.problems import Problem

PNG = {"content-type": "image/png"}


def test_the_digit_fills_a_box_of_20_with_its_centre_of_mass_in_the_middle():
    image = read_picture(drawn())
    rows, _ = np.nonzero(image > 60)
    assert image.shape == (28, 28) and image.dtype == np.uint8
    assert 19 <= rows.max() - rows.min() + 1 <= 20
    assert image.max() == 255
    middle = [np.average(np.arange(28), weights=image.sum(axis=axis)) for axis in (1, 0)]
    assert all(abs(place - 14) <= 0.5 for place in middle)


@pytest.mark.parametrize(
    "variant",
    [
        drawn(at=(10, 150)),
        drawn(size=(1500, 900), at=(1300, 600)),
        drawn(ink="white", paper="black"),
        drawn(ink="#111", paper="#ccc"),
        drawn(ink=0, paper=255, mode="L"),
        drawn(ink="navy", paper="ivory"),
        drawn(paper=(0, 0, 0, 0), ink=(0, 0, 0, 255), mode="RGBA"),
        drawn().convert("P"),
        drawn(ink=0, paper=1, mode="1"),
    ],
    ids=["moved", "large", "inverted", "grey", "one channel", "coloured", "transparent", "palette", "bilevel"],
)
def test_place_size_colours_and_mode_make_no_difference(variant):
    assert difference(read_picture(drawn()), read_picture(variant)) < 0.02


def sixteen_bits(picture: Image.Image) -> Image.Image:
    """Return a picture of 16 bits a pixel."""
    return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)


def lit(picture: Image.Image, light: str, share: float = 0.2) -> Image.Image:
    """Return a picture whose light falls off by `share`: from left to right, or from the middle to the corners."""
    grey = np.asarray(picture.convert("L")).astype(float)
    y, x = np.meshgrid(*(np.linspace(-1, 1, length) for length in grey.shape), indexing="ij")
    fall = {"from the left": (x + 1) / 2, "from the middle": (x * x + y * y) / 2}[light]
    return Image.fromarray(np.round(grey * (1 - share * fall)).astype(np.uint8))


def noisy(picture: Image.Image, deviation: float, seed: int = 0) -> Image.Image:
    grey = np.asarray(picture.convert("L")) + np.random.default_rng(seed).normal(0, deviation, picture.size[::-1])
    return Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))


PAPER, BOARD = drawn(paper="#ddd", ink="#222"), drawn(paper="#444", ink="#eee")
PHOTOGRAPHS = {
    "16 bits": sixteen_bits(drawn()),
    "16 bits, light on dark": sixteen_bits(drawn(paper="black", ink="white")),
    "white ink on nothing": drawn(mode="RGBA", paper=(0, 0, 0, 0), ink=(255, 255, 255, 255)),
    "white ink on transparent white": drawn(mode="RGBA", paper=(255, 255, 255, 0), ink=(255, 255, 255, 255)),
    "white ink and alpha": drawn(mode="RGBA", paper=(0, 0, 0, 0), ink=(255, 255, 255, 255)).convert("LA"),
    "mid-grey paper": drawn(paper="#777", ink="#111"),
    **{f"paper lit {light}": lit(PAPER, light) for light in ("from the left", "from the middle")},
    **{f"white paper lit {light}": lit(drawn(), light) for light in ("from the left", "from the middle")},
    **{f"a board lit {light}": lit(BOARD, light) for light in ("from the left", "from the middle")},
    **{f"noise of {deviation}": noisy(PAPER, deviation) for deviation in (2, 4, 6)},
    **{f"white paper, noise of {deviation}": noisy(drawn(), deviation) for deviation in (2, 4, 6)},
    "a board, noise of 6": noisy(BOARD, 6),
    "all of it": noisy(lit(PAPER, "from the middle"), 6),
    "all of it, large": noisy(lit(PAPER.resize((1600, 2400)), "from the left"), 6),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_depth_transparency_light_and_noise_make_little_difference(name):
    assert difference(read_picture(drawn()), read_picture(PHOTOGRAPHS[name])) < 0.06


@pytest.mark.parametrize("deviation", [4, 6])
def test_a_picture_of_nothing_but_noise_is_blank(deviation):
    paper = noisy(Image.new("L", (300, 300), 200), deviation)
    with pytest.raises(Problem, match="The image is blank"):
        read_picture(lit(paper, "from the left"))


def test_a_16_bit_picture_may_name_a_transparent_grey():
    grey = np.full((60, 60), 40_000, np.uint16)
    grey[20:40, 28:32] = 0
    assert np.array_equal(read_file(grey_png(grey, transparent=40_000)), read_file(grey_png(grey)))


def grey_png(grey: np.ndarray, transparent: int | None = None) -> bytes:
    """Return a PNG of 16 bits a pixel; pixels of the grey `transparent` are so."""
    content = encoded(Image.fromarray(grey))
    tag = b"" if transparent is None else chunk(b"tRNS", transparent.to_bytes(2))
    return content[:33] + tag + content[33:]


def test_size_and_jpeg_make_little_difference():
    large = drawn().resize((800, 1200), Image.Resampling.BICUBIC)
    assert difference(read_picture(drawn()), read_picture(large)) < 0.15
    assert difference(read_picture(drawn()), read_picture(large, "JPEG")) < 0.15


def test_the_answer_holds_the_image_and_every_probability(client, digits):
    answer = client.post("/predict/image", content=encoded(drawn()), headers=PNG).json()
    image = np.array(answer["image"], np.uint8)
    assert np.array_equal(image, read_picture(drawn()))
    expected = digits.predict_proba(forests.unit(image.reshape(1, -1)))[0]
    assert [score["probability"] for score in answer["probabilities"]] == expected.tolist()
    assert [score["label"] for score in answer["probabilities"]] == list("0123456789")
    assert answer["top"] == sorted(answer["probabilities"], key=lambda score: -score["probability"])[:3]
    assert (answer["label"], answer["model_version"]) == (answer["top"][0]["label"], "v1")


def test_predict_gives_the_same_answer_for_the_image_as_features(client):
    picture = client.post("/predict/image", content=encoded(drawn()), headers=PNG).json()
    pixels = [pixel for row in picture["image"] for pixel in row]
    assert client.post("/predict", json={"features": pixels, "scale": 255}).json()["top"] == picture["top"]


BAD = {
    "no picture": (b"hello", "image/png", 422, "not a PNG that can be decoded"),
    "nothing": (b"", "image/png", 400, "The body is empty. Send image/png or image/jpeg as the body: curl"),
    "cut short": (encoded(drawn())[:-200], "image/png", 422, "not a PNG that can be decoded"),
    "a JPEG as PNG": (encoded(drawn(), "JPEG"), "image/png", 422, "not a PNG that can be decoded"),
    "another format": (encoded(drawn(), "GIF"), "image/gif", 415, "'image/gif' is not read. Send image/png or"),
    "no type": (encoded(drawn()), "", 415, "The body has no Content-Type. Send image/png or image/jpeg as the body"),
    "a form": (b"--x", "multipart/form-data; boundary=x", 415, "--data-binary @digit.png -H 'content-type: image/png'"),
    "blank": (encoded(Image.new("L", (50, 50), 200)), "image/png", 422, "The image is blank"),
    "one pixel": (encoded(Image.new("L", (1, 1), 0)), "image/png", 422, "The image is blank"),
    "a bomb": (bomb(30_000, 30_000), "image/png", 422, "30000 x 30000; up to 50000000 pixels"),
    "a giant bomb": (bomb(2**31 - 1, 2**31 - 1), "image/png", 422, "pixels"),
    "less than it says": (bomb(5000, 5000), "image/png", 422, "not a PNG that can be decoded"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_body_that_is_no_picture_of_a_digit_gets_the_rule_that_it_breaks(client, name):
    content, media_type, status, text = BAD[name]
    answer = client.post("/predict/image", content=content, headers={"content-type": media_type})
    assert answer.status_code == status
    assert text in answer.json()["detail"]


@pytest.mark.parametrize("media_type", ["image/png; charset=utf-8", "IMAGE/PNG", "image/jpg"])
def test_a_picture_is_read_under_each_name_of_its_type(client, media_type):
    content = encoded(drawn(), "JPEG" if "jpg" in media_type else "PNG")
    assert client.post("/predict/image", content=content, headers={"content-type": media_type}).status_code == 200


def test_a_large_picture_is_refused_by_its_size_in_bytes(client):
    answer = client.post("/predict/image", content=bytes(10_485_761), headers=PNG)
    assert answer.status_code == 413
    assert "MAX_IMAGE_BYTES" in answer.json()["detail"]


@pytest.mark.parametrize("size", [(1, 40), (40, 1), (2, 2)])
def test_odd_shapes_are_answered(size):
    grey = np.zeros((50, 50), np.uint8)
    grey[5 : 5 + size[1], 5 : 5 + size[0]] = 255
    try:
        assert read_picture(Image.fromarray(grey)).max() == 255
    except Problem as problem:
        raise AssertionError(problem.detail) from None


def test_pictures_and_large_batches_leave_the_event_loop_free(client, monkeypatch):
    threads, evaluate = [], Forest.evaluate

    def watched(self, rows, work=None):
        threads.append(threading.current_thread().name)
        return evaluate(self, rows, work)

    monkeypatch.setattr(Forest, "evaluate", watched)
    pixels = forests.images(70).tolist()
    client.post("/predict", json={"features": pixels[0], "scale": 255})
    client.post("/predict", json={"instances": pixels, "scale": 255})
    client.post("/predict/image", content=encoded(drawn()), headers=PNG)
    assert ["compute" in name for name in threads] == [False, True, True]
