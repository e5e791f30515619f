"""Builds what the OpenAI-compatible endpoints need: models, ears, voices, and checked uploads."""

from __future__ import annotations

import asyncio
import base64

from appliance import sandbox, sound_decoding, sound_encoding
from appliance.assistant import language
from appliance.brain import Brain
from appliance.bus import EventBus
from appliance.chat_service import ChatService, Turns
from appliance.settings import Settings
from appliance.web.openai_parts import OpenAiParts, Sounds

IMAGE_LIMITS = sandbox.Limits(cpu_s=20, wall_s=30.0, output_bytes=8 * sandbox.MEGABYTE)
PARSERS = 2
"""Files that are read at once: each may take hundreds of megabytes."""


def build(brain: Brain, sounds: Sounds, bus: EventBus, settings: Settings) -> OpenAiParts:
    """Return the parts; *brain* has been started."""
    general = settings.general
    turns = Turns()
    bus.listen(turns.take)
    parsers = asyncio.Semaphore(PARSERS)

    async def decode(data: bytes) -> sound_decoding.Samples:
        async with parsers:
            return await asyncio.to_thread(sound_decoding.decode, data)

    async def image(data: bytes) -> str:
        async with parsers:
            jpeg = await asyncio.to_thread(
                sandbox.run, "appliance.images:to_jpeg", data, (), IMAGE_LIMITS
            )
        return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()

    return OpenAiParts(
        chat=ChatService(
            brain.router, brain.local, turns, brain.answering, brain.limits, general.language
        ),
        sounds=sounds,
        decode=decode,
        encoder=sound_encoding.encoder,
        image=image,
        language_of=lambda text: language.of_text(text) or general.language,
        languages=general.languages,
    )
