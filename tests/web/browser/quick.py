"""A Luna for the page's tests that starts quickly: fake engines, a real provider's client."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.web.certificates import own_addresses
from tests.web.browser.chromium import Luna

CONFIG = """
[general]
languages = ["en"]

[cache]
enabled = false

[routing.policy]
chat = "cloud_first"
vision = "cloud"

[providers.groq]
base_url = "{url}"
models = {{ chat = "large", vision = "seer" }}
daily_limit_tokens = 10000
price_input = 1.0
price_output = 2.0
"""


@contextmanager
def quick_luna(folder: Path, provider: str = "", *arguments: str) -> Iterator[Luna]:
    """Run Luna with fake engines; *provider*: the address of one that answers for her."""
    env = {**os.environ, "GROQ_API_KEY": "gsk_a_secret_that_nobody_may_see"}
    more = ["--fake", *arguments]
    if provider:
        config = folder / "luna.toml"
        config.write_text(CONFIG.format(url=provider), encoding="utf-8")
        more += ["--config", str(config)]
    luna = Luna(folder, env, *more)
    try:
        yield luna
    finally:
        luna.stop()


def lan_address() -> str:
    """Return an IPv4 address of this machine that is not loopback; skips the test without one."""
    for address in sorted(own_addresses()):
        if "." in address and not address.startswith("127."):
            with socket.socket() as one:
                one.bind((address, 0))
            return address
    pytest.skip("NOT TESTED: this machine has no IPv4 address but loopback, so there is no LAN")
