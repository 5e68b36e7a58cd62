"""What a picture may be: how large, how long, of how many parts; and that it ends with its client."""

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
    read,
    seen,
    with_scans,
    with_segments,
)
from apps.serving import startup
from apps.serving.app import create_app
from apps.serving.problems import ClientGone, Problem

TURNS = {  # EXIF's orientation -> how the picture lies in the file
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
    """A baseline JPEG whose scan holds one component of three: libjpeg waits for scans that bring the others."""
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
def test_a_picture_beyond_a_bound_is_told_the_bound(name):
    content, text = BEYOND[name]
    with pytest.raises(Problem) as refused:
        seen(content)
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
def test_what_decoding_takes_is_known_before_and_bounded(content, size):
    """A JPEG of several scans is kept as coefficients until its last, 2 bytes a sample."""
    with pytest.raises(Problem) as refused:
        seen(content, Bounds(50_000_000, size - 1))
    rule = f"{size} bytes to decode, and up to {size - 1} fit into the memory limit"
    remedy = "Send a smaller one, or a JPEG that is not progressive."
    assert (refused.value.status, refused.value.detail) == (422, f"The image takes {rule}. {remedy}")
    assert seen(content, Bounds(50_000_000, size)).any()


def test_pictures_at_once_share_the_memory_limit(monkeypatch):
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
def test_decoding_ends_as_soon_as_nobody_waits(stage):
    """Wherever it is: at the file's start, in its blocks, in the strips of the decoded picture."""
    calls = []

    def cancelled() -> bool:
        calls.append(1)
        return len(calls) >= stage

    with pytest.raises(ClientGone):
        seen(bar(3000, 3000), cancelled=cancelled)
    assert len(calls) == stage


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_that_was_taken_sideways_is_turned_upright(kind, orientation):
    lying = drawn()
    for turn in TURNS[orientation]:
        lying = lying.transpose(turn)
    options = {"quality": 95} if kind == "JPEG" else {}
    assert difference(read(drawn()), read(lying, kind, exif=exif(orientation), **options)) < 0.1


ENTRIES = b"\x01\x12\0\3\0\0\0\1\0\6\0\0" + b"\x01\x1a\0\x0a\0\0\0\1\0\0\0\x26"  # orientation, resolution
BLOCK = b"MM\0*\0\0\0\x08\0\2" + ENTRIES + bytes(4) + b"\xff\xff\xff\xff\0\0\0\1"
BLOCKS = {  # name -> EXIF, and whether it still says that the picture lies on its side
    "a resolution of -1": (BLOCK, True),
    "a resolution that is cut": (BLOCK[:-4], True),
    "a resolution of another type": (BLOCK.replace(b"\x1a\0\x0a", b"\x1a\0\2"), True),
    "an end in the first entry": (BLOCK[:14], False),
    "no directory": (b"II*\0\xff\xff\xff\xff", False),
    "nothing": (b"", False),
    "no orientation": (b"II*\0\x08\0\0\0\0\0" + bytes(4), False),
}


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_odd_exif_block_costs_no_more_than_the_turn(kind, name):
    block, sideways = BLOCKS[name]
    lying = drawn().transpose(Image.Transpose.ROTATE_90) if sideways else drawn()
    content = encoded(lying, kind)
    if kind == "PNG":
        content = content[:33] + chunk(b"eXIf", block) + content[33:]
    else:
        length = (len(block) + 8).to_bytes(2)
        content = with_segments(content, b"\xff\xe1" + length + b"Exif\0\0" + block)
    assert difference(read(drawn(), kind), seen(content)) < 0.1


@pytest.mark.parametrize(
    "picture",
    [*(drawn().convert(mode) for mode in ("1", "L", "LA", "P", "RGB")), drawn(paper=(0, 0, 0, 0), mode="RGBA")],
    ids=["bilevel", "grey", "grey with alpha", "palette", "colour", "transparent"],
)
def test_a_large_picture_is_read_as_a_small_one(picture):
    """It is reduced on its way, strip by strip."""
    small, large = (picture.resize((200 * times, 300 * times), Image.Resampling.NEAREST) for times in (5, 10))
    assert difference(read(small), read(large)) < 0.02


def test_what_surrounds_a_picture_changes_nothing():
    """Profiles, texts, animations, previews, a film behind the end: whatever stands in the file."""
    plain, frames = drawn(), [drawn(at=(10, 10)), drawn(at=(90, 100))]
    animated = encoded(plain, save_all=True, append_images=frames)
    profile = encoded(plain, icc_profile=bytes(10_000), dpi=(300, 300))
    assert np.array_equal(seen(animated), read(plain)) and np.array_equal(seen(profile), read(plain))
    jpeg = encoded(plain, "JPEG", quality=90)
    film = jpeg + bytes(1000) + b"\xff\xda" * 2000
    buffer = io.BytesIO()
    plain.save(buffer, "MPO", quality=90, save_all=True, append_images=frames)
    assert np.array_equal(seen(film), seen(jpeg)) and np.array_equal(seen(buffer.getvalue()), seen(jpeg))
