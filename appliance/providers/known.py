"""The providers that Luna knows: where they are, what they can do, what they cost.

This table is data and goes out of date: ``AS_OF`` says when it was looked up, and the owner may
override each entry in ``[providers.NAME]``. Prices are list prices in US dollars for a million
tokens, without discounts and free tiers, so a cost that is shown is an upper bound.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from appliance.errors import ConfigError
from appliance.providers.quota_day import Limits, Price
from appliance.settings import ProviderSettings

AS_OF = "2026-11"
Continues = Literal["instruction", "trailing", "prefix", "continue_final"]
DEFAULT_DAILY_LIMIT_TOKENS = 100_000
"""Of a cloud provider for which the owner set none: a mistake must not cost more than cents."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """What is known of one model. Prices in US dollars for a million tokens."""

    context_tokens: int
    max_output_tokens: int
    price_input: float = 0.0
    price_output: float = 0.0
    price_cached: float | None = None
    """None: cached tokens cost what others cost."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the request that this model needs. Thinking is switched off or kept short: who
    waits for a spoken answer hears only silence, and it is charged to the output limit."""
    image_tokens: int = 3000


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds."""

    connect_s: float = 3.0
    """To open a connection, TLS included."""
    first_token_s: float = 6.0
    """From the request to the first words."""
    between_tokens_s: float = 10.0
    total_s: float = 120.0


_CLOUD_TIMEOUTS = Timeouts()
_LAN_TIMEOUTS = Timeouts(connect_s=1.0, first_token_s=15.0, between_tokens_s=20.0, total_s=300.0)
_UNKNOWN_MODEL = Model(context_tokens=8192, max_output_tokens=4096)
_ALL = frozenset({"stream", "usage", "tools", "vision"})
_TEXT = _ALL - {"vision"}


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A provider as it is used: the table below, overridden by the configuration."""

    name: str
    base_url: str
    key_name: str
    """Environment variable or credential of the key."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Model by role: chat, code, vision, stt, tts."""
    details: Mapping[str, Model] = field(default_factory=dict)
    """What is known of each model."""
    default: Model = _UNKNOWN_MODEL
    """What is assumed of any other."""
    supports: frozenset[str] = _ALL
    continues: Continues = "instruction"
    continue_url: str = ""
    """Another base URL for answers that are continued; empty: the same."""
    limit_field: str = "max_tokens"
    """The name of the output limit in a request."""
    lan: bool = False
    timeouts: Timeouts = _CLOUD_TIMEOUTS
    redact: bool = False
    limits: Limits = field(default_factory=Limits)
    """Of a day; only a server on the LAN has none of tokens."""
    voices: Mapping[str, str] = field(default_factory=dict)

    def model(self, role: str) -> str:
        """Return the model of *role*; empty for none."""
        if role == "vision" and "vision" not in self.supports:
            return ""
        return self.models.get(role, "")

    def about(self, model: str) -> Model:
        """Return what is known or assumed of *model*."""
        return self.details.get(model, self.default)

    def price(self, model: str) -> Price:
        """Return what *model* costs."""
        known = self.about(model)
        return Price(known.price_input, known.price_output, known.price_cached)


# Sources: the providers' documentation of models, prices and request fields, and the price table
# of LiteLLM 1.109. Continuation: Groq "assistant message prefilling"; DeepSeek "chat prefix
# completion (beta)"; llama.cpp's server since 2025 and Ollama continue a trailing assistant
# message; vLLM needs `continue_final_message`. The others begin a new answer: those are asked in
# words. OpenRouter passes a trailing assistant message on, but not each model behind it obeys.
_GROQ = Provider(
    name="groq",
    base_url="https://api.groq.com/openai/v1",
    key_name="GROQ_API_KEY",
    models={
        "chat": "openai/gpt-oss-120b",
        "code": "openai/gpt-oss-120b",
        "vision": "qwen/qwen3.8-27b",
        "stt": "whisper-large-v3-turbo",
    },
    details={
        "openai/gpt-oss-120b": Model(
            context_tokens=131_072,
            max_output_tokens=65_536,
            price_input=0.15,
            price_output=0.60,
            price_cached=0.075,
            extra={"reasoning_effort": "low", "include_reasoning": False},
        ),
        "openai/gpt-oss-20b": Model(
            context_tokens=131_072,
            max_output_tokens=65_536,
            price_input=0.075,
            price_output=0.30,
            price_cached=0.0375,
            extra={"reasoning_effort": "low", "include_reasoning": False},
        ),
        "qwen/qwen3.8-27b": Model(
            context_tokens=131_072,
            max_output_tokens=16_384,
            price_input=0.80,
            price_output=4.00,
            extra={"reasoning_effort": "none"},
        ),
    },
    limit_field="max_completion_tokens",
)
_NVIDIA = Provider(
    name="nvidia",
    base_url="https://integrate.api.nvidia.com/v1",
    key_name="NVIDIA_API_KEY",
    models={"chat": "moonshotai/kimi-k2-instruct", "code": "moonshotai/kimi-k2-instruct"},
    details={  # credits, not dollars
        "moonshotai/kimi-k2-instruct": Model(context_tokens=131_072, max_output_tokens=4096)
    },
    supports=_TEXT,
)
_GEMINI = Provider(
    name="gemini",
    base_url="https://generativelanguage.googleapis.com/v1beta/openai",
    key_name="GEMINI_API_KEY",
    models={
        "chat": "gemini-2.5-flash-lite",
        "code": "gemini-2.5-flash",
        "vision": "gemini-2.5-flash-lite",
    },
    details={
        "gemini-2.5-flash-lite": Model(
            context_tokens=1_048_576,
            max_output_tokens=65_536,
            price_input=0.10,
            price_output=0.40,
            price_cached=0.01,
            extra={"reasoning_effort": "none"},
        ),
        "gemini-2.5-flash": Model(
            context_tokens=1_048_576,
            max_output_tokens=65_536,
            price_input=0.30,
            price_output=2.50,
            price_cached=0.03,
            extra={"reasoning_effort": "none"},
        ),
    },
)
_DEEPSEEK = Provider(
    name="deepseek",
    base_url="https://api.deepseek.com",
    key_name="DEEPSEEK_API_KEY",
    models={"chat": "deepseek-v4-flash", "code": "deepseek-v4-flash"},
    details={
        "deepseek-v4-flash": Model(
            context_tokens=1_000_000,
            max_output_tokens=393_216,
            price_input=0.30,
            price_output=1.20,
            price_cached=0.006,
            extra={"thinking": {"type": "disabled"}},
        )
    },
    supports=_TEXT,
    continues="prefix",
    continue_url="https://api.deepseek.com/beta",
)
_OPENAI = Provider(
    name="openai",
    base_url="https://api.openai.com/v1",
    key_name="OPENAI_API_KEY",
    models={
        "chat": "gpt-4.1-mini",
        "code": "gpt-4.1-mini",
        "vision": "gpt-4.1-mini",
        "stt": "gpt-4o-mini-transcribe",
    },
    details={
        "gpt-4.1-mini": Model(
            context_tokens=1_047_576,
            max_output_tokens=32_768,
            price_input=0.40,
            price_output=1.60,
            price_cached=0.10,
        )
    },
    limit_field="max_completion_tokens",
)
_OPENROUTER = Provider(
    name="openrouter",
    base_url="https://openrouter.ai/api/v1",
    key_name="OPENROUTER_API_KEY",
    models={"chat": "deepseek/deepseek-v3.2", "code": "deepseek/deepseek-v3.2"},
    details={
        "deepseek/deepseek-v3.2": Model(
            context_tokens=163_840,
            max_output_tokens=65_536,
            price_input=0.28,
            price_output=0.42,
            extra={"reasoning": {"enabled": False}},
        )
    },
)
_ELEVENLABS = Provider(
    name="elevenlabs",
    base_url="https://api.elevenlabs.io/v1",
    key_name="ELEVENLABS_API_KEY",
    models={"tts": "eleven_flash_v2_5"},
    supports=frozenset({"stream"}),
    # A sentence waits in silence for it; then the box's own voice speaks.
    timeouts=Timeouts(connect_s=2.0, first_token_s=2.0, between_tokens_s=3.0, total_s=60.0),
)
_LLAMA_SERVER = Provider(
    name="llama-server",
    base_url="http://127.0.0.1:8080/v1",
    key_name="LLAMA_SERVER_API_KEY",
    models={"chat": "default", "code": "default"},
    continues="trailing",
    lan=True,
    timeouts=_LAN_TIMEOUTS,
)
_OLLAMA = Provider(
    name="ollama",
    base_url="http://127.0.0.1:11434/v1",
    key_name="OLLAMA_API_KEY",
    continues="trailing",
    lan=True,
    timeouts=_LAN_TIMEOUTS,
)
_VLLM = Provider(
    name="vllm",
    base_url="http://127.0.0.1:8000/v1",
    key_name="VLLM_API_KEY",
    continues="continue_final",
    lan=True,
    timeouts=_LAN_TIMEOUTS,
)
KNOWN: Mapping[str, Provider] = {
    provider.name: provider
    for provider in (
        *(_GROQ, _NVIDIA, _GEMINI, _DEEPSEEK, _OPENAI, _OPENROUTER, _ELEVENLABS),
        *(_LLAMA_SERVER, _OLLAMA, _VLLM),
    )
}


# --- with the owner's configuration ---------------------------------------------------------


def resolve(name: str, settings: ProviderSettings) -> Provider:
    """Return the provider *name* as the owner configured it.

    Raises:
        ConfigError: it is not known and has no address, or the address cannot be used.
    """
    lan = settings.lan
    known = KNOWN.get(name)
    if known is None:
        if not settings.base_url:
            raise ConfigError(
                f"providers.{name}: not a known provider ({', '.join(sorted(KNOWN))}); "
                "give its base_url"
            )
        known = Provider(
            name=name,
            base_url=settings.base_url,
            key_name=f"{name.upper().replace('-', '_')}_API_KEY",
            lan=bool(lan),
            timeouts=_LAN_TIMEOUTS if lan else _CLOUD_TIMEOUTS,
        )
    lan = known.lan if lan is None else lan
    base_url = _address(name, settings.base_url or known.base_url, lan=lan)
    # Elsewhere than known: the special address for continuing belongs to the old one.
    continue_url = known.continue_url if base_url == known.base_url else ""
    tokens = settings.daily_limit_tokens
    models = dict(known.models)
    models.update({str(role): model for role, model in settings.models.items()})
    voices = dict(known.voices)
    voices.update({str(language): voice for language, voice in settings.voices.items()})
    return Provider(
        name=name,
        base_url=base_url,
        key_name=known.key_name,
        models=models,
        details={
            model: _overridden(known.about(model), settings)
            for model in {*known.details, *models.values()}
        },
        default=_overridden(known.default, settings),
        supports=known.supports if settings.supports is None else frozenset(settings.supports),
        continues=settings.continues or known.continues,
        continue_url=continue_url,
        limit_field=known.limit_field,
        lan=lan,
        timeouts=_timeouts(known.timeouts, settings),
        redact=settings.redact,
        limits=Limits(
            tokens=DEFAULT_DAILY_LIMIT_TOKENS if tokens is None and not lan else tokens,
            requests=settings.daily_limit_requests,
            cost=settings.daily_limit_usd,
        ),
        voices=voices,
    )


def _overridden(known: Model, settings: ProviderSettings) -> Model:
    def given(key: str) -> Any:
        value = getattr(settings, key)
        return getattr(known, key) if value is None else value

    return Model(
        context_tokens=given("context_tokens"),
        max_output_tokens=given("max_output_tokens"),
        price_input=given("price_input"),
        price_output=given("price_output"),
        price_cached=given("price_cached"),
        extra=settings.extra or known.extra,
        image_tokens=given("image_tokens"),
    )


def _timeouts(known: Timeouts, settings: ProviderSettings) -> Timeouts:
    def given(value: float | None, otherwise: float) -> float:
        return otherwise if value is None else value

    return Timeouts(
        connect_s=given(settings.connect_timeout_s, known.connect_s),
        first_token_s=given(settings.first_token_timeout_s, known.first_token_s),
        between_tokens_s=given(settings.between_tokens_timeout_s, known.between_tokens_s),
        total_s=given(settings.total_timeout_s, known.total_s),
    )


def _address(name: str, text: str, *, lan: bool) -> str:
    """Return the base URL *text* without a slash at the end, after checking it."""
    try:
        url = urlsplit(text)
        scheme, host, _ = url.scheme, url.hostname or "", url.port
    except ValueError as error:
        raise ConfigError(f"providers.{name}: base_url is not an address") from error
    if scheme not in ("http", "https") or not host:
        raise ConfigError(f"providers.{name}: base_url must begin with https:// (or http://)")
    if url.username or url.password or url.query or url.fragment:
        raise ConfigError(f"providers.{name}: base_url must not carry a password or a query")
    if scheme == "http" and not (lan or _is_loopback(host)):
        raise ConfigError(
            f"providers.{name}: base_url must begin with https:// or the key could be read on "
            "the way; a server in your house has `lan = true`"
        )
    return text.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
