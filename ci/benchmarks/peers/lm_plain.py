"""transformers' `generate` behind FastAPI, as in most first versions of such a service. MODEL names the folder."""

import json
import os
import threading
from queue import SimpleQueue

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.generation.streamers import BaseStreamer

tokenizer = AutoTokenizer.from_pretrained(os.environ["MODEL"])
model = AutoModelForCausalLM.from_pretrained(os.environ["MODEL"])
app = FastAPI()


class Completion(BaseModel):
    prompt: str
    max_tokens: int = 64


class Texts(BaseStreamer):
    def __init__(self) -> None:
        self.queue, self.prompt = SimpleQueue[str | list[str] | None](), True

    def put(self, value: Tensor) -> None:
        if not self.prompt:
            self.queue.put(tokenizer.decode(value))
        self.prompt = False

    def end(self) -> None:
        self.queue.put(None)


@app.post("/v1/completions")
def completions(request: Completion) -> StreamingResponse:
    texts = Texts()
    options = {"max_new_tokens": request.max_tokens, "do_sample": False, "streamer": texts}
    inputs = tokenizer(request.prompt, return_tensors="pt")
    generate = model.generate  # type: ignore[misc]  # transformers' type of self names a class that does not exist
    threading.Thread(target=generate, kwargs={**inputs, **options}).start()
    pieces = iter(texts.queue.get, None)
    events = (f"data: {json.dumps({'choices': [{'text': piece}]})}\n\n" for piece in pieces)
    return StreamingResponse(events, media_type="text/event-stream")
