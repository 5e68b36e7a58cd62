"""transformers' `generate` behind FastAPI, as most such services begin. MODEL names the folder."""

import json
import os
import threading
from queue import SimpleQueue

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.generation.streamers import BaseStreamer

tokenizer = AutoTokenizer.from_pretrained(os.environ["MODEL"])
model = AutoModelForCausalLM.from_pretrained(os.environ["MODEL"])
app = FastAPI()


class Wanted(BaseModel):
    prompt: str
    max_tokens: int = 64


class Texts(BaseStreamer):
    def __init__(self):
        self.queue, self.prompt = SimpleQueue(), True

    def put(self, value):
        if not self.prompt:
            self.queue.put(tokenizer.decode(value))
        self.prompt = False

    def end(self):
        self.queue.put(None)


@app.post("/v1/completions")
def completions(wanted: Wanted):
    texts = Texts()
    options = {"max_new_tokens": wanted.max_tokens, "do_sample": False, "streamer": texts}
    inputs = tokenizer(wanted.prompt, return_tensors="pt")
    threading.Thread(target=model.generate, kwargs={**inputs, **options}).start()
    pieces = iter(texts.queue.get, None)
    events = (f"data: {json.dumps({'choices': [{'text': piece}]})}\n\n" for piece in pieces)
    return StreamingResponse(events, media_type="text/event-stream")
