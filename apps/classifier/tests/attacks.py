"""The attacks of a hostile client on the classifier; see apps.serving.tests.attacks."""

import json
from functools import partial
from pathlib import Path

from apps.classifier.tests.pictures.hostile_pictures import jpeg, jpeg_of_scans, png, png_of_texts
from apps.serving.tests.attacks import Attack, abandoned, post, unfinished, unread
from apps.serving.tests.hostile_framings import framings

MODEL, PIXELS = "mnist_rf", 784
MEGABYTE = 1_048_576
FEATURES = b'{"features": [%s]}' % b",".join([b"0"] * PIXELS)
HONEST = ("/predict", FEATURES)
STARTS_WITHIN = 30  # seconds
PEAK = 190_000_000  # bytes resident with mnist_rf_v2, the larger of the models that training makes


def settings(folder: Path) -> dict[str, object]:
    """The environment of the service, with a model in `folder`."""
    from apps.classifier.tests import forests  # imports scikit-learn, which the attacker does not need

    return {"MODEL_PATH": forests.publish(forests.digits_forest(100, None), folder / f"{MODEL}_v1.joblib")}


def picture(name: str, make: partial) -> Attack:
    """Return the attack that sends a picture."""
    media_type = "image/jpeg" if make.func in (jpeg, jpeg_of_scans) else "image/png"
    return Attack(name, lambda: post("/predict/image", make(), media_type))


def predict(name: str, body: str) -> Attack:
    """Return the attack that sends a body to /predict."""
    return Attack(name, post("/predict", body.encode()))


def infer_request(rows: int, value: object = 0, **members: object) -> bytes:
    """Return a request of the Open Inference Protocol with its rows as JSON."""
    data = [value] * (rows * PIXELS)
    tensor = {"name": "features", "shape": [rows, PIXELS], "datatype": "FP32", "data": data}
    return post(INFER, json.dumps({"inputs": [tensor], **members}, separators=(",", ":")).encode())


def binary(rows: int, byte: bytes = b"\0", **members: object) -> bytes:
    """Return such a request with its rows as bytes after the JSON, one a pixel."""
    size = {"binary_data_size": rows * PIXELS}
    tensor = {"name": "features", "shape": [rows, PIXELS], "datatype": "UINT8", "parameters": size}
    text = json.dumps({"inputs": [tensor], **members}).encode()
    return post(INFER, text + byte * (rows * PIXELS), Inference_Header_Content_Length=len(text))


def infer(name: str, body: str) -> Attack:
    """Return the attack that sends a body to the Open Inference Protocol."""
    return Attack(name, post(INFER, body.encode()))


def outputs(count: int) -> list[dict]:
    """Return `count` requests for the same output."""
    return [{"name": "probabilities"}] * count


def instances(count: int) -> bytes:
    """Return a body of /predict with `count` images."""
    row = b"[%s]" % b",".join([b"0"] * PIXELS)
    return b'{"instances": [%s]}' % b",".join([row] * count)


INFER = f"/v2/models/{MODEL}/infer"
DEEP = "[" * 500_000
PICTURES = [
    picture("PNG 7000 x 7000 grey", partial(png, 7000, 7000)),
    picture("PNG 7000 x 7000 RGBA", partial(png, 7000, 7000, "RGBA")),
    picture("PNG 7000 x 7000 of 16 bits", partial(png, 7000, 7000, "I;16")),
    picture("PNG 6000 x 4000 RGB", partial(png, 6000, 4000, "RGB")),
    picture("PNG A4 at 600 dpi", partial(png, 4960, 7016)),
    picture("PNG 10,000,000 x 1", partial(png, 10_000_000, 1)),
    picture("PNG 10,000,000 x 1 RGBA", partial(png, 10_000_000, 1, "RGBA")),
    picture("PNG 44,000,000 x 1", partial(png, 44_000_000, 1)),
    picture("PNG 1 x 10,000,000", partial(png, 1, 10_000_000)),
    picture("PNG 60,000 x 60,000", partial(png, 60_000, 60_000, rows=1)),
    picture("PNG of 60 texts of 1 MB", partial(png_of_texts, 60)),
    picture("JPEG 7000 x 7000 CMYK", partial(jpeg, 7000, 7000, "CMYK")),
    picture("JPEG 7000 x 7000 progressive", partial(jpeg, 7000, 7000, "RGB", progressive=True)),
    picture("JPEG 65,500 x 760 progressive", partial(jpeg, 65_500, 760, "RGB", progressive=True)),
    picture("JPEG of 40,000 scans, 4 MB", partial(jpeg_of_scans, 7000, 7000, 4_000_000)),
    # As large as the service's bounds allow.
    picture("PNG 70,000 x 700 RGBA", partial(png, 70_000, 700, "RGBA")),
    picture("JPEG A4 at 600 dpi, progressive", partial(jpeg, 4960, 7016, "RGB", progressive=True)),
    picture("JPEG of 40,000 scans, 5000 x 4000", partial(jpeg_of_scans, 5000, 4000, 4_000_000)),
]
NUMBERS = [
    predict("features: 500,000 out of range", f'{{"features": [{",".join(["9"] * 500_000)}]}}'),
    predict("instances: 340,000 objects", f'{{"instances": [{",".join(["{}"] * 340_000)}]}}'),
    predict("instances: 400 rows out of range", f'{{"instances": [{",".join([str([9] * 784)] * 400)}]}}'),
    predict("90,000 unknown keys", "{" + ",".join(f'"{n}":1' for n in range(90_000)) + "}"),
    predict("the same key 100,000 times", "{" + ",".join(['"scale":1'] * 100_000) + "}"),
    predict("deep JSON", DEEP),
    predict("deep features", '{"features": ' + DEEP),
    predict("an integer of 1,000,000 digits", f'{{"features": [{"1" * 1_000_000}]}}'),
    predict("150,000 times 1e400", f'{{"features": [{",".join(["1e400"] * 150_000)}]}}'),
    predict("integers of 4,000 digits", f'{{"features": [{",".join(["1" * 4000] * 250)}]}}'),
    predict("a string of 1 MB for a number", f'{{"scale": "{"a" * 1_000_000}", "features": "{"b" * 10}"}}'),
    predict("170,000 escapes", '{"features": "' + "\\u00e4" * 170_000 + '"}'),
]
TENSORS = [
    Attack("OIP: 8,000 outputs", partial(infer_request, 100, outputs=outputs(8000))),
    Attack("OIP: 50 outputs, never read", partial(binary, 1000, outputs=outputs(50)), unread, 60),
    Attack("OIP: 1,300 rows, never read", partial(binary, 1300), unread, 60),
    Attack("OIP: a binary tensor of 1 MB", partial(binary, 1300)),
    Attack("OIP: a binary tensor out of range", partial(binary, 1300, b"\xff")),
    Attack("OIP: 500,000 numbers out of range", partial(infer_request, 650, 9)),
    Attack("OIP: 500,000 numbers", partial(infer_request, 650)),
    infer("OIP: inputs of 500,000 numbers", f'{{"inputs": [{",".join(["1"] * 500_000)}]}}'),
    infer("OIP: inputs of 340,000 objects", f'{{"inputs": [{",".join(["{}"] * 340_000)}]}}'),
    infer("OIP: outputs of 500,000 numbers", f'{{"inputs": [], "outputs": [{",".join(["1"] * 500_000)}]}}'),
    infer("OIP: a shape of 500,000", f'{{"inputs": [{{"shape": [{",".join(["1"] * 500_000)}]}}]}}'),
    infer("OIP: deep parameters", f'{{"inputs": [{{"parameters": {DEEP}'),
    Attack("OIP: a length of 5,000 digits", partial(post, INFER, b"{}", Inference_Header_Content_Length="1" * 5000)),
]
CROWDS = [
    Attack(
        f"{clients} uploads of 10 MB, no end",
        lambda: post("/predict/image", b"\x89PNG" * (10 * MEGABYTE // 4), "image/png"),
        unfinished,
        clients,
        fills=True,
    )
    for clients in (45, 60)
] + [
    Attack("60 rows, 340 a second, closed at once", lambda: post("/predict", instances(60)), abandoned, 34),
    Attack("600 rows, never read", lambda: post("/predict", instances(600)), unread, 60, fills=True),
]
FRAMINGS = framings("/predict", FEATURES, lambda: post("/predict/image", png(4000, 4000), "image/png"))
ATTACKS = [*PICTURES, *NUMBERS, *TENSORS, *CROWDS, *FRAMINGS]
