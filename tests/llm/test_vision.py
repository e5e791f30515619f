"""The real multimodal path on a tiny model and projector with random weights."""

from __future__ import annotations

import ctypes
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import llama_cpp.mtmd_cpp as mtmd
import pytest
from PIL import Image

from appliance import images
from appliance.errors import ModelError, UsageError
from appliance.llm.engine import Generated, LoadStopped, always
from appliance.llm.llama import LlamaEngine
from appliance.llm.projector import Projector
from appliance.llm.vision import VisionEngine
from appliance.llm.weights import Weights
from tests.llm.tiny_models import IMAGE_TOKENS, write_model, write_projector

SYSTEM = {"role": "system", "content": "You look at pictures."}
PARTS_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{% for part in message.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}</s>{% endfor %}"
    "<|assistant|>"
)


def picture(colour: str, size: tuple[int, int] = (90, 60)) -> images.Image:
    target = io.BytesIO()
    Image.new("RGB", size, colour).save(target, "PNG")
    return images.prepare(target.getvalue())


def look(text: str, *pictures: images.Image) -> dict[str, Any]:
    parts = [p.part for p in pictures]
    return {"role": "user", "content": [*parts, {"type": "text", "text": text}]}


def ask(engine: LlamaEngine, *messages: dict[str, Any], **options: Any) -> tuple[bytes, Generated]:
    pieces: list[str] = []
    arguments = {"max_tokens": 8, "temperature": 0.0, "proceed": always, **options}
    done = engine.generate(messages, on_text=pieces.append, **arguments)
    return "".join(pieces).encode(errors="replace"), done


def scores(engine: VisionEngine, *messages: dict[str, Any]) -> list[float]:
    """Return the logits of the first token of the answer."""
    ask(engine, *messages, max_tokens=1)
    return engine._runtime.logits(range(engine._weights.vocabulary_size))


def same(found: list[float]) -> Any:
    """Return what compares equal: in batches of another size the last digits differ."""
    return pytest.approx(found, abs=0.02)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tiny")
    return write_model(folder / "model.gguf"), write_projector(folder / "mmproj.gguf")


def build(
    model: Path, projector: Path, state_dir: Path, context_tokens: int = 1024
) -> tuple[Weights, VisionEngine]:
    weights = Weights(model)
    engine = VisionEngine(
        weights,
        Projector(projector, weights, threads=2),
        name="tiny",
        sha256="0" * 64,
        state_dir=state_dir,
        context_tokens=context_tokens,
        threads=2,
    )
    return weights, engine


@pytest.fixture
def engine(files: tuple[Path, Path], tmp_path: Path) -> Iterator[VisionEngine]:
    weights, engine = build(*files, tmp_path / "state")
    yield engine
    engine.close()
    weights.close()


def test_the_answer_depends_on_the_image(engine: VisionEngine) -> None:
    red = scores(engine, SYSTEM, look("What is this?", picture("red")))
    blue = scores(engine, SYSTEM, look("What is this?", picture("blue")))
    text_only = scores(engine, SYSTEM, look("What is this?"))
    again = scores(engine, SYSTEM, look("What is this?", picture("red")))
    assert again == same(red)
    assert blue != same(red)
    assert text_only != same(red)


def test_an_image_takes_its_tokens_of_the_context(engine: VisionEngine) -> None:
    _, done = ask(engine, SYSTEM, look("What is this?", picture("red")))
    _, without = ask(engine, SYSTEM, look("What is this?"))
    assert done.prompt_tokens == without.prompt_tokens + IMAGE_TOKENS + 1, "and a line break"


def test_it_is_what_the_library_itself_would_compute(engine: VisionEngine) -> None:
    message = look("Hi", picture("red"))
    ours = scores(engine, message)

    prompt = engine._template.render(
        [{"role": "user", "content": f"{engine._projector.marker}\nHi"}]
    )
    pixels = images.pixels(images.from_data_url(message["content"][0]["image_url"]["url"]))
    chunks = engine._projector.tokenize(prompt, [pixels])
    engine._forget_all()
    after = llama.llama_pos(0)
    code = mtmd.mtmd_helper_eval_chunks(
        engine._projector._handle,
        engine._runtime.handle,
        chunks._chunks,
        0,
        0,
        512,
        True,
        ctypes.byref(after),
    )
    assert code == 0
    assert after.value == len(chunks.tokens)
    assert ours == same(engine._runtime.logits(range(engine._weights.vocabulary_size)))
    chunks.close()


def test_an_image_that_was_read_is_not_read_again(engine: VisionEngine) -> None:
    _, first = ask(engine, SYSTEM, look("What is this?", picture("red")))
    _, second = ask(engine, SYSTEM, look("And which colour?", picture("red")))
    assert first.cached_tokens == 0
    assert second.cached_tokens > IMAGE_TOKENS
    _, other = ask(engine, SYSTEM, look("And which colour?", picture("blue")))
    assert 0 < other.cached_tokens < second.cached_tokens - IMAGE_TOKENS + 2


def test_a_cached_image_gives_the_same_answer_as_a_fresh_one(
    files: tuple[Path, Path], engine: VisionEngine, tmp_path: Path
) -> None:
    question = look("Which colour?", picture("green"), picture("red"))
    ask(engine, SYSTEM, look("What is this?", picture("green"), picture("blue")))
    _, done = ask(engine, SYSTEM, question)
    assert done.cached_tokens > IMAGE_TOKENS
    weights, fresh = build(*files, tmp_path / "other")
    assert scores(fresh, SYSTEM, question) == same(scores(engine, SYSTEM, question))
    fresh.close()
    weights.close()


def test_the_system_prompt_is_warmed_and_restored(
    files: tuple[Path, Path], engine: VisionEngine, tmp_path: Path
) -> None:
    assert engine.warm([SYSTEM], always)
    expected = scores(engine, SYSTEM, look("What?", picture("red")))
    weights, second = build(*files, tmp_path / "state")
    _, done = ask(second, SYSTEM, look("What?", picture("red")))
    assert done.cached_tokens > 20
    assert scores(second, SYSTEM, look("What?", picture("red"))) == same(expected)
    second.close()
    weights.close()


def test_no_image_is_written_to_disk(engine: VisionEngine, tmp_path: Path) -> None:
    assert engine.warm([SYSTEM, look("What?", picture("red"))], always)
    assert not list((tmp_path / "state").glob("*"))


def test_cancelled_while_the_image_is_encoded(engine: VisionEngine) -> None:
    question = look("What is this?", picture("red"))
    asked = 0

    def until_the_encoder() -> bool:
        nonlocal asked
        asked += 1
        return asked < 3  # the text before it, the image, and now the first of its nodes

    answer, done = ask(engine, SYSTEM, question, proceed=until_the_encoder)
    assert (answer, done.reason) == (b"", "cancelled")
    assert not any(token < 0 for token in engine._cached), "a half image is not kept"
    _, done = ask(engine, SYSTEM, question)
    assert done.cached_tokens > 0
    assert done.reason in ("stop", "length")


def test_classifying_an_image(engine: VisionEngine) -> None:
    choice = engine.classify([look("Cat or dog?", picture("red"))], ["cat", "dog"], always)
    assert choice.text in ("cat", "dog")
    assert 0.5 <= choice.probability <= 1.0


def test_the_marker_in_a_text_is_no_image(engine: VisionEngine) -> None:
    _, done = ask(engine, look(f"{engine._projector.marker} {engine._projector.marker}"))
    assert done.prompt_tokens < IMAGE_TOKENS * 2
    _, done = ask(engine, look(engine._projector.marker, picture("red")))
    assert done.prompt_tokens > IMAGE_TOKENS


def test_more_images_than_the_context_holds_get_a_sentence(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    weights, small = build(*files, tmp_path, context_tokens=256)
    with pytest.raises(UsageError, match="too long"):
        ask(small, look("What?", *[picture("red")] * 20))
    small.close()
    weights.close()


def test_a_url_is_never_fetched(engine: VisionEngine) -> None:
    part = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/a.jpg"}}
    with pytest.raises(UsageError, match="data URL"):
        ask(engine, {"role": "user", "content": [part]})


def test_a_template_that_wants_parts(files: tuple[Path, Path], tmp_path: Path) -> None:
    model = write_model(tmp_path / "parts.gguf", template=PARTS_TEMPLATE)
    weights, engine = build(model, files[1], tmp_path)
    _, done = ask(engine, SYSTEM, look("What is this?", picture("red")))
    assert done.prompt_tokens > IMAGE_TOKENS + len("You look at pictures.")
    engine.close()
    weights.close()


def test_a_model_without_eyes_says_so(files: tuple[Path, Path], tmp_path: Path) -> None:
    weights = Weights(files[0])
    blind = LlamaEngine(
        weights, name="tiny", sha256="", state_dir=tmp_path, context_tokens=512, threads=1
    )
    with pytest.raises(UsageError, match="cannot see"):
        ask(blind, look("What?", picture("red")))
    earlier = look("What?", picture("red"))
    answer = {"role": "assistant", "content": "A ball."}
    _, done = ask(blind, earlier, answer, {"role": "user", "content": "Thanks!"})
    assert done.completion_tokens > 0, "an image that was spoken of does no harm"
    blind.close()
    weights.close()


def test_files_that_do_not_belong_together(files: tuple[Path, Path], tmp_path: Path) -> None:
    weights = Weights(files[0])
    wrong = write_projector(tmp_path / "wrong.gguf", model_embedding=32)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(files[1].read_bytes()[:4000])
    for path in (wrong, broken, files[0]):
        with pytest.raises(ModelError, match=rf"{path.name} as the projector of model\.gguf"):
            Projector(path, weights, threads=1)
    with pytest.raises(LoadStopped):
        Projector(files[1], weights, threads=1, proceed=lambda: False)
    weights.close()
