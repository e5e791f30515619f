"""OpenAI's transcriptions and speech, made by the box's own ears and voices.

https://platform.openai.com/docs/api-reference/audio. Whoever speaks with the box goes first:
long sounds and texts are worked on piece by piece, and a turn comes between the pieces.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from appliance.errors import LunaError
from appliance.web.openai_parts import ApiError, Gate, OpenAiParts, Sounds
from appliance.web.openai_request import TOO_LARGE, answered, json_body
from appliance.web.openai_subtitles import FORMATS, Segment, pieces, written
from appliance.web.routing import JSON, Doc, Route

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_UPLOAD = 25 * 1024 * 1024
"""Bytes of a sound file, as OpenAI takes."""
MAX_FIELDS, MAX_FIELD = 16, 4096
MAX_INPUT = 4096
"""Characters of a text to be spoken."""
UPLOAD_S = 120.0
"""A file that has not arrived by then is given up."""
SLOW_S = 30.0
"""A client that takes nothing for so long is disconnected."""
MIME = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


def routes(parts: OpenAiParts) -> list[Route]:
    """Return the routes."""
    hearing, speaking = Gate(), Gate()

    async def transcribe(request: web.Request) -> web.StreamResponse:
        with hearing.enter():
            try:
                async with asyncio.timeout(UPLOAD_S):
                    form = await _form(request)
            except TimeoutError as error:
                raise ApiError("the file did not arrive in time", status=408) from error
            language = _language(form.fields.get("language", ""), parts)
            how = form.fields.get("response_format", "json")
            if how not in FORMATS:
                raise ApiError(
                    f"response_format must be one of {', '.join(FORMATS)}", param="response_format"
                )
            if form.fields.get("stream", "").lower() == "true":
                raise ApiError("transcriptions are not streamed: leave stream out", param="stream")
            samples = await parts.decode(form.file)
            fine = how not in ("json", "text")
            segments = await _transcribed(parts.sounds, samples, language, fine=fine)
            text, kind = written(how, segments, len(samples))
            return web.Response(text=text, content_type=kind, charset="utf-8")

    async def speak(request: web.Request) -> web.StreamResponse:
        text, form, language = _spoken(await json_body(request, 64 * 1024), parts)
        with speaking.enter():
            return await _speak(request, parts, text, form, language)

    def route(
        path: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]], **more: Any
    ) -> Route:
        return Route("POST", path, answered(handler), "talk", **more)

    return [
        route(
            "/v1/audio/transcriptions",
            transcribe,
            max_body=MAX_UPLOAD + MAX_FIELDS * 2 * MAX_FIELD,
            doc=Doc(
                "Transcribe a sound file (OpenAI's form)",
                body_types=("multipart/form-data",),
                answer_types=(JSON, "text/plain", "application/x-subrip", "text/vtt"),
            ),
        ),
        route(
            "/v1/audio/speech",
            speak,
            stream=True,
            doc=Doc(
                "Speak a text (OpenAI's form)",
                body_types=(JSON,),
                answer_types=tuple(dict.fromkeys(MIME.values())),
            ),
        ),
    ]


# --- hearing -----------------------------------------------------------------------------------


@dataclass
class _Form:
    file: bytes = b""
    fields: dict[str, str] = field(default_factory=dict)


async def _form(request: web.Request) -> _Form:
    """Read the parts of the form.

    Raises:
        ApiError: there is no file in it, or too much of anything.
    """
    if not request.content_type.startswith("multipart/"):
        raise ApiError("the file must come as multipart/form-data, in the field file")
    form, count = _Form(), 0
    try:
        async for part in await request.multipart():
            count += 1
            if count > MAX_FIELDS or not isinstance(part, BodyPartReader):
                raise ApiError("the form has too many fields, or nested ones")
            if part.name == "file":
                form.file = await _read(part, MAX_UPLOAD)
            else:
                value = await _read(part, MAX_FIELD)
                form.fields[part.name or ""] = value.decode(errors="replace").strip()
    except (ValueError, AssertionError, LookupError, HttpProcessingError) as error:
        raise ApiError("the form is damaged") from error
    if not form.file:
        raise ApiError("there is no sound: send it in the field file", param="file")
    return form


async def _read(part: BodyPartReader, limit: int) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk(1 << 16):
        data += chunk
        if len(data) > limit:
            raise ApiError(
                f"the field {str(part.name)[:40]} has more than {limit:,} bytes",
                status=TOO_LARGE,
                param=part.name,
            )
    return bytes(data)


def _language(given: str, parts: OpenAiParts) -> str:
    """Return the language to listen for, of ``pt``, ``pt-BR``, ``portuguese``; empty: any."""
    code = {"english": "en", "portuguese": "pt"}.get(given.lower(), given.lower()[:2])
    if code and code not in parts.languages:
        raise ApiError(
            f"language must be one of {', '.join(parts.languages)}, or left out", param="language"
        )
    return code


async def _transcribed(
    sounds: Sounds, samples: npt.NDArray[np.int16], language: str, *, fine: bool
) -> list[Segment]:
    segments = []
    for start, end in pieces(samples, fine=fine):
        text, heard = await sounds.transcribe(samples[start:end], language)
        if text := text.strip():
            segments.append(Segment(start, end, text, heard))
            # What the first words are in, all are: a short piece could be taken for another.
            language = language or heard
    return segments


# --- speaking ----------------------------------------------------------------------------------


def _spoken(body: dict[str, Any], parts: OpenAiParts) -> tuple[str, str, str]:
    """Return text, format and language of what is to be said."""
    text = body.get("input")
    if not isinstance(text, str) or not text.strip():
        raise ApiError("input must be a text", param="input")
    if len(text) > MAX_INPUT:
        raise ApiError(f"input has more than {MAX_INPUT} characters; split it", param="input")
    form = body.get("response_format") or "mp3"
    if form not in MIME:
        raise ApiError(f"response_format must be one of {', '.join(MIME)}", param="response_format")
    if body.get("speed") not in (None, 1):
        raise ApiError(
            "only speed 1 is made; [tts] speed in the configuration sets the voice's own",
            code="unsupported_parameter",
            param="speed",
        )
    if body.get("stream_format") not in (None, "audio"):
        raise ApiError("only audio is streamed: leave stream_format out", param="stream_format")
    voice = body.get("voice")
    name = voice.lower() if isinstance(voice, str) else ""
    wanted = name[:2] if name[:2] in parts.languages and name[2:3] in ("", "-", "_") else ""
    return text, form, wanted or parts.language_of(text)


async def _speak(
    request: web.Request, parts: OpenAiParts, text: str, form: str, language: str
) -> web.StreamResponse:
    """Send the sound as it is made; the status tells whether the first of it could be made."""
    response = web.StreamResponse(
        headers={
            "Content-Type": MIME[form],
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
    )
    try:
        async with aclosing(_encoded(parts, text, form, language)) as pieces_:
            async for data in pieces_:
                if not response.prepared:
                    await response.prepare(request)
                async with asyncio.timeout(SLOW_S):
                    await response.write(data)
    except (LunaError, TimeoutError, ConnectionError):
        if not response.prepared:
            raise
        # A sound that only breaks off would be taken for whole: the connection breaks with it.
        if request.transport:
            request.transport.abort()
    if not response.prepared:
        raise ApiError("there is nothing in input that can be spoken", param="input")
    return response


async def _encoded(
    parts: OpenAiParts, text: str, form: str, language: str
) -> AsyncGenerator[bytes]:
    encoder, known = None, 0
    spoken = parts.sounds.synthesise(text, language)
    try:
        async for rate, samples in spoken:
            if encoder is None:
                encoder, known = await asyncio.to_thread(parts.encoder, form, rate), rate
            if rate != known:
                raise ApiError("the voice changed in the middle; try again", status=503)
            if data := await asyncio.to_thread(encoder.feed, samples):
                yield data
    finally:
        if close := getattr(spoken, "aclose", None):
            await close()
    if encoder is not None and (data := await asyncio.to_thread(encoder.close)):
        yield data
