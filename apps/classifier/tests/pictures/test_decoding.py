"""The bounds on pictures (size, shape, parts, memory), and that decoding stops once it is cancelled."""

import io

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from apps.classifier.pictures.decoding import Bounds, bounds_within_memory
from apps.classifier.service import ClassifierService
from apps.classifier.settings import ClassifierSettings
from apps.classifier.tests.pictures.pictures import (
    bar,
    bomb,
    chunk,
    difference,
    drawn,
    encoded,
    read_file,
    read_picture,
    with_scans,
    with_segments,
)
from apps.serving import startup
from apps.serving.app import create_app
from apps.serving.problems import ClientGone, Problem

TURNS = {  # EXIF orientation -> how the picture is stored in the file
    1: (),
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_90,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_270,),
}
PROGRESSIVE = {"progressive": True, "subsampling": 0}
MANY = "more than 100 scans or 1000 segments, and is not decoded. Save it as a baseline JPEG without metadata."


def exif(orientation: int, **entries) -> Image.Exif:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def scanned_apart(jpeg: bytes) -> bytes:
    """Return a baseline JPEG whose scan holds one component of three, so that libjpeg expects further scans."""
    start = jpeg.index(b"\xff\xda")
    return jpeg[:start] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + jpeg[start + 14 :]


BEYOND = {
    "too many pixels": (bomb(10_000, 5_001), "The image is 10000 x 5001; up to 50000000 pixels are decoded"),
    "too wide": (bomb(10_000_000, 1), "10000000 x 1; a side may be up to 100 times the other. Cut it to the digit."),
    "too high": (bomb(3, 301), "The image is 3 x 301; a side may be up to 100 times the other."),
    "too many scans": (with_scans(encoded(drawn(), "JPEG", **PROGRESSIVE), 200), MANY),
    "too many segments": (with_segments(encoded(drawn(), "JPEG"), b"\xff\xe3\x00\x02" * 1000), MANY),
}


@pytest.mark.parametrize("name", BEYOND)
def test_the_answer_to_a_picture_beyond_a_bound_names_the_bound(name):
    content, text = BEYOND[name]
    with pytest.raises(Problem) as refused:
        read_file(content)
    assert refused.value.status == 422 and text in refused.value.detail


@pytest.mark.parametrize(
    "content, size",
    [
        (encoded(drawn()), 200 * 300 * 4),
        (encoded(drawn(mode="L", ink=0, paper=255)), 200 * 300),
        (encoded(drawn(), "JPEG", subsampling=0), 200 * 300),
        (encoded(drawn(), "JPEG", **PROGRESSIVE), 200 * 300 * 7),
        (encoded(drawn(), "JPEG", progressive=True, subsampling=2), 200 * 300 * 4),
        (scanned_apart(encoded(drawn(), "JPEG", subsampling=0)), 200 * 300 * 7),
    ],
    ids=["colour", "grey", "baseline", "progressive", "progressive, subsampled", "scans of one component"],
)
def test_the_memory_of_decoding_is_computed_beforehand_and_bounded(content, size):
    """libjpeg keeps a JPEG of several scans as coefficients until the last one, 2 bytes a sample."""
    with pytest.raises(Problem) as refused:
        read_file(content, Bounds(50_000_000, size - 1))
    rule = f"{size} bytes to decode, and up to {size - 1} fit into the memory limit"
    remedy = "Send a smaller one, or a JPEG that is not progressive."
    assert (refused.value.status, refused.value.detail) == (422, f"The image takes {rule}. {remedy}")
    assert read_file(content, Bounds(50_000_000, size)).any()


def test_pictures_that_are_decoded_at_once_share_the_memory_limit(monkeypatch):
    monkeypatch.setattr("apps.classifier.pictures.decoding.memory_limit", lambda: 1_000)
    assert bounds_within_memory(7, pictures=2) == Bounds(7, 200)


def test_max_image_pixels_is_a_setting(artifact):
    app = create_app(ClassifierService(), ClassifierSettings(model_path=str(artifact), max_image_pixels=59_999))
    with TestClient(app) as client:
        assert client.portal is not None
        client.portal.call(startup.load, app.state.runtime)
        answer = client.post("/predict/image", content=encoded(drawn()), headers={"content-type": "image/png"})
    rule = "up to 59999 pixels are decoded (MAX_IMAGE_PIXELS). Send a smaller one."
    assert (answer.status_code, answer.json()["detail"]) == (422, f"The image is 200 x 300; {rule}")


@pytest.mark.parametrize("stage", [1, 2, 10, 40])
def test_decoding_stops_as_soon_as_it_is_cancelled(stage):
    """At every stage: at the file's start, in its blocks, in the strips of the decoded picture."""
    calls = []

    def cancelled() -> bool:
        calls.append(1)
        return len(calls) >= stage

    with pytest.raises(ClientGone):
        read_file(bar(3000, 3000), cancelled=cancelled)
    assert len(calls) == stage


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_a_picture_that_was_taken_sideways_is_turned_upright(file_format, orientation):
    lying = drawn()
    for turn in TURNS[orientation]:
        lying = lying.transpose(turn)
    options = {"quality": 95} if file_format == "JPEG" else {}
    assert difference(read_picture(drawn()), read_picture(lying, file_format, exif=exif(orientation), **options)) < 0.1


ENTRIES = b"\x01\x12\0\3\0\0\0\1\0\6\0\0" + b"\x01\x1a\0\x0a\0\0\0\1\0\0\0\x26"  # orientation, resolution
BLOCK = b"MM\0*\0\0\0\x08\0\2" + ENTRIES + bytes(4) + b"\xff\xff\xff\xff\0\0\0\1"
BLOCKS = {  # name -> EXIF, and whether it still has the orientation of a picture that lies on its side
    "a resolution of -1": (BLOCK, True),
    "a resolution that is cut short": (BLOCK[:-4], True),
    "a resolution of another type": (BLOCK.replace(b"\x1a\0\x0a", b"\x1a\0\2"), True),
    "an end in the first entry": (BLOCK[:14], False),
    "no directory": (b"II*\0\xff\xff\xff\xff", False),
    "nothing": (b"", False),
    "no orientation": (b"II*\0\x08\0\0\0\0\0" + bytes(4), False),
}


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_a_malformed_exif_block_loses_at_most_the_orientation(file_format, name):
    block, sideways = BLOCKS[name]
    lying = drawn().transpose(Image.Transpose.ROTATE_90) if sideways else drawn()
    content = encoded(lying, file_format)
    if file_format == "PNG":
        content = content[:33] + chunk(b"eXIf", block) + content[33:]
    else:
        length = (len(block) + 8).to_bytes(2)
        content = with_segments(content, b"\xff\xe1" + length + b"Exif\0\0" + block)
    assert difference(read_picture(drawn(), file_format), read_file(content)) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    "picture",
    [*(drawn().convert(mode) for mode in ("1", "L", "LA", "P", "RGB")), drawn(paper=(0, 0, 0, 0), mode="RGBA")],
    ids=["bilevel", "grey", "grey with alpha", "palette", "colour", "transparent"],
)
def test_a_large_picture_gives_the_same_image_as_a_small_one(picture):
    """Large ones are reduced, strip by strip."""
    small, large = (picture.resize((200 * times, 300 * times), Image.Resampling.NEAREST) for times in (5, 10))
    assert difference(read_picture(small), read_picture(large)) < 0.02


def test_other_parts_of_a_file_do_not_change_the_image():
    """Such as profiles, texts, animations, previews and a film after the end."""
    plain, frames = drawn(), [drawn(at=(10, 10)), drawn(at=(90, 100))]
    animated = encoded(plain, save_all=True, append_images=frames)
    profile = encoded(plain, icc_profile=bytes(10_000), dpi=(300, 300))
    assert np.array_equal(read_file(animated), read_picture(plain)) and np.array_equal(
        read_file(profile), read_picture(plain)
    )
    jpeg = encoded(plain, "JPEG", quality=90)
    film = jpeg + bytes(1000) + b"\xff\xda" * 2000
    buffer = io.BytesIO()
    plain.save(buffer, "MPO", quality=90, save_all=True, append_images=frames)
    assert np.array_equal(read_file(film), read_file(jpeg)) and np.array_equal(
        read_file(buffer.getvalue()), read_file(jpeg)
    )
