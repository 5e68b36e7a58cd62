"""Sends the same rows through one client of the Open Inference Protocol, and prints what it receives as JSON.

`python open_inference_clients.py CLIENT HOST:PORT` runs in an environment of its own, so it imports nothing of ours.
"""

import asyncio
import json
import sys

import numpy as np

MODEL = "house"
COLUMNS = {  # each with its datatype: a tensor for each feature
    "size": ("FP64", np.array([[4.5], [1.25]])),
    "rooms": ("INT64", np.array([[3], [9]])),
    "new": ("BOOL", np.array([[True], [False]])),
    "colour": ("BYTES", np.array([["blue"], ["red"]], object)),
    "class": ("FP64", np.array([[2.0], [1.0]])),
}


def tensors(make, binary: bool) -> list:
    """Return the inputs that `make(name, shape, datatype)` makes."""
    made = []
    for name, (datatype, values) in COLUMNS.items():
        made.append(make(name, list(values.shape), datatype))
        made[-1].set_data_from_numpy(values, binary_data=binary)
    return made


def triton(address: str, binary: bool):
    """Triton's client."""
    import tritonclient.http as http

    client = http.InferenceServerClient(address)
    assert client.is_server_ready() and client.is_model_ready(MODEL)
    assert [tensor["name"] for tensor in client.get_model_metadata(MODEL)["inputs"]] == list(COLUMNS)
    return client.infer(MODEL, tensors(http.InferInput, binary)).as_numpy("probabilities")


def triton_asyncio(address: str, binary: bool):
    """The same on asyncio."""
    import tritonclient.http.aio as http

    async def ask():
        async with http.InferenceServerClient(address) as client:
            return (await client.infer(MODEL, tensors(http.InferInput, binary))).as_numpy("probabilities")

    return asyncio.run(ask())


def kserve(address: str, binary: bool):
    """KServe's SDK."""
    from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

    async def ask():
        client = InferenceRESTClient(RESTConfig(protocol="v2"))
        assert await client.is_model_ready(f"http://{address}", MODEL)
        inputs = tensors(lambda name, shape, datatype: InferInput(name, shape, datatype), binary)
        answer = await client.infer(f"http://{address}", InferRequest(MODEL, inputs), model_name=MODEL)
        return next(output for output in answer.outputs if output.name == "probabilities").as_numpy()

    return asyncio.run(ask())


if __name__ == "__main__":
    client, address = {"triton": triton, "triton-asyncio": triton_asyncio, "kserve": kserve}[sys.argv[1]], sys.argv[2]
    print(json.dumps([client(address, binary).tolist() for binary in (False, True)]))
