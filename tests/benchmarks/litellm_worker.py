"""LiteLLM's router, to measure Luna's against it. Runs in an environment of its own.

Arguments: base URL of the server, URL of one that answers 500. Each line of standard input is a
number of requests and ``good`` or ``failing``; each line of output the seconds that each took.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would look for prices on the internet
import litellm

MESSAGES = [{"role": "user", "content": "What time is it in the kitchen?"}]


def _router(*base_urls: str) -> litellm.Router:
    models = [
        {
            "model_name": f"provider-{number}",
            "litellm_params": {"model": "openai/small", "api_base": url, "api_key": "key"},
        }
        for number, url in enumerate(base_urls)
    ]
    fallbacks = [{"provider-0": ["provider-1"]}] if len(models) > 1 else []
    return litellm.Router(
        model_list=models, fallbacks=fallbacks, num_retries=0, disable_cooldowns=True
    )


async def _ask(router: litellm.Router) -> float:
    began = time.perf_counter()
    answer = await router.acompletion(
        model="provider-0", messages=MESSAGES, stream=True, max_tokens=40, temperature=0.0
    )
    text = ""
    async for chunk in answer:
        text += chunk.choices[0].delta.content or "" if chunk.choices else ""
    if not text:
        raise SystemExit("LiteLLM got no answer")
    return time.perf_counter() - began


async def main() -> None:
    good_url, failing_url = sys.argv[1:3]
    routers = {"good": _router(good_url), "failing": _router(failing_url, good_url)}
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        count, which = line.split()
        times = [await _ask(routers[which]) for _ in range(int(count))]
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    litellm.suppress_debug_info = True
    asyncio.run(main())
