"""The clients that are tried, those first that start fastest."""

from ci.benchmarks.environments import pinned
from ci.clients.client import Client, NodeClient, PythonClient

CLIENTS: tuple[Client, ...] = (
    PythonClient("OpenAI for Python", "openai_python.py", (pinned("openai", "dev"),)),
    NodeClient("OpenAI for Node", "openai_node.mjs", ("openai@7.57.0", "zod@4.6.7")),
    PythonClient("bodies of `vllm bench serve`", "vllm_bench.py", ("httpx==0.28.1",)),
    PythonClient("Hugging Face Hub", "hugging_face.py", ("huggingface_hub==2.4.0",)),
    PythonClient("instructor", "instructor_modes.py", ("instructor==1.17.0",)),
    PythonClient("llm", "llm_cli.py", ("llm==0.36",)),
    NodeClient(
        "Vercel AI SDK",
        "vercel.mjs",
        ("ai@7.0.173", "@ai-sdk/openai@4.0.118", "@ai-sdk/openai-compatible@3.0.92", "zod@4.6.7"),
    ),
    PythonClient("LangChain", "langchain_openai_.py", ("langchain-openai==1.7.4",)),
    PythonClient("OpenAI Agents SDK", "openai_agents_.py", ("openai-agents==0.24.0",)),
    PythonClient("LlamaIndex", "llama_index_.py", ("llama-index-llms-openai-like==0.8.1",)),
    PythonClient("LiteLLM", "litellm_.py", ("litellm==1.110.2",)),
    PythonClient("lm-evaluation-harness", "lm_eval_.py", ("lm_eval[api]==0.4.13", pinned("transformers", "lm"))),
    PythonClient("AIPerf", "aiperf_.py", ("aiperf==0.13.0",)),
    PythonClient("guidellm", "guidellm_.py", ("guidellm==0.8.1", pinned("torch", "lm"))),
)
