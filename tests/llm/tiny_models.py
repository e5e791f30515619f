"""A tiny language model and its projector with random weights, written as real GGUF files.

The model is a ``llama`` with one token for each byte; the projector is a CLIP encoder with
LLaVA's two-layer projection. They say nothing sensible, but llama.cpp's real loaders, tokenizer,
image encoder and cache work on them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

EMBEDDING = 64
HEADS = 4
FEED_FORWARD = 128
LAYERS = 2
CONTEXT = 2048
IMAGE_SIDE = 56
PATCH = 14
IMAGE_TOKENS = (IMAGE_SIDE // PATCH) ** 2
"""What the projector makes of any image."""
TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}</s>{% endfor %}"
    "<|assistant|>"
)
_SPECIAL = ["<unk>", "<s>", "</s>"]

Floats = npt.NDArray[np.float32]


class _Random:
    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)

    def __call__(self, *shape: int) -> Floats:
        return (self._generator.standard_normal(shape) * 0.2).astype(np.float32)


def write_model(path: Path, seed: int = 0, template: str = TEMPLATE) -> Path:
    """Write the language model."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(EMBEDDING)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(EMBEDDING // HEADS)
    tokens = [*_SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([*kinds, *[gguf.TokenType.BYTE] * 256])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(template)
    random = _Random(seed)
    writer.add_tensor("token_embd.weight", random(len(tokens), EMBEDDING))
    writer.add_tensor("output_norm.weight", np.ones(EMBEDDING, np.float32))
    writer.add_tensor("output.weight", random(len(tokens), EMBEDDING))
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", random(EMBEDDING, EMBEDDING))
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(EMBEDDING, np.float32))
        for name in ("ffn_gate", "ffn_up"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", random(FEED_FORWARD, EMBEDDING))
        writer.add_tensor(f"blk.{layer}.ffn_down.weight", random(EMBEDDING, FEED_FORWARD))
    return _finish(writer, path)


def write_projector(path: Path, seed: int = 1, model_embedding: int = EMBEDDING) -> Path:
    """Write a projector for a model whose tokens have *model_embedding* dimensions."""
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.use_gelu", True)
    writer.add_uint32("clip.vision.image_size", IMAGE_SIDE)
    writer.add_uint32("clip.vision.patch_size", PATCH)
    writer.add_uint32("clip.vision.embedding_length", EMBEDDING)
    writer.add_uint32("clip.vision.feed_forward_length", FEED_FORWARD)
    writer.add_uint32("clip.vision.projection_dim", model_embedding)
    # The last layer of LLaVA's encoder is not used.
    writer.add_uint32("clip.vision.block_count", LAYERS)
    writer.add_uint32("clip.vision.attention.head_count", HEADS)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    random = _Random(seed)

    def norm(name: str, size: int = EMBEDDING) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(size, np.float32))
        writer.add_tensor(f"{name}.bias", np.zeros(size, np.float32))

    def linear(name: str, size_in: int, size_out: int) -> None:
        writer.add_tensor(f"{name}.weight", random(size_out, size_in))
        writer.add_tensor(f"{name}.bias", np.zeros(size_out, np.float32))

    writer.add_tensor("v.class_embd", random(EMBEDDING))
    writer.add_tensor("v.patch_embd.weight", random(EMBEDDING, 3, PATCH, PATCH))
    writer.add_tensor("v.position_embd.weight", random(IMAGE_TOKENS + 1, EMBEDDING))
    norm("v.pre_ln")
    norm("v.post_ln")
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            linear(f"v.blk.{layer}.{name}", EMBEDDING, EMBEDDING)
        norm(f"v.blk.{layer}.ln1")
        norm(f"v.blk.{layer}.ln2")
        linear(f"v.blk.{layer}.ffn_up", EMBEDDING, FEED_FORWARD)
        linear(f"v.blk.{layer}.ffn_down", FEED_FORWARD, EMBEDDING)
    linear("mm.0", EMBEDDING, model_embedding)
    linear("mm.2", model_embedding, model_embedding)
    return _finish(writer, path)


def _finish(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def describe(name: str, folder: Path, roles: list[str], mmproj: str = "") -> str:
    """Return the catalogue's table of the model *name*, whose files lie in *folder*."""
    lines = [
        "[[model]]",
        f'name = "{name}"',
        f'title = "{name}"',
        f"roles = {roles}",
        'licence = "CC0"',
        'languages = ["en"]',
        "memory_mb = 50",
        f'mmproj = "{mmproj}"',
    ]
    for file in sorted(folder.iterdir()):
        data = file.read_bytes()
        lines += [
            "[[model.files]]",
            f'name = "{file.name}"',
            f"bytes = {len(data)}",
            f'sha256 = "{hashlib.sha256(data).hexdigest()}"',
            f'url = "https://example.org/{file.name}"',
        ]
    return "\n".join(lines) + "\n"
