"""Speech to text of short commands: Luna's way against stock ``WhisperModel.transcribe()``.

Both use the same weights and the same 8-bit arithmetic, in turns on each clip. Stock runs with
its defaults (beam 5, language found out); so does Luna's transcriber, which looks for two
languages. Word errors are counted on the same clips: 40 commands, each with white noise 20 and
10 dB below the speech.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

from faster_whisper import WhisperModel

from appliance import paths
from appliance.stt.inventions import repeats
from appliance.stt.whisper import WhisperTranscriber
from tests.benchmarks.speech_clips import clips, word_errors

CLIPS_DIR = Path(__file__).parents[2] / "build" / "benchmarks"


def run(quick: bool, model: str = "whisper-base") -> dict[str, float]:
    """Return median and p95 (ms), their ratios, word error rates (%) and loops of both."""
    folder = paths.models_dir() / model
    ours = WhisperTranscriber(folder, model, ("en", "pt"))
    stock = WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)
    times: dict[str, list[float]] = {"ours": [], "stock": []}
    errors = {"ours": 0, "stock": 0}
    loops = {"ours": 0, "stock": 0}
    total = retries = 0
    material = clips(CLIPS_DIR)
    for sentence, samples in material[:30] if quick else material:
        began = time.perf_counter()
        transcript = ours.transcribe(samples)
        middle = time.perf_counter()
        segments, _ = stock.transcribe(samples.astype("float32") / 32768, beam_size=5)
        text = " ".join(segment.text.strip() for segment in segments)
        times["ours"].append((middle - began) * 1000)
        times["stock"].append((time.perf_counter() - middle) * 1000)
        retries += transcript.retried
        for name, heard in (("ours", transcript.text), ("stock", text)):
            wrong, count = word_errors(sentence, heard)
            errors[name] += wrong
            loops[name] += repeats(heard)
        total += count
    result: dict[str, float] = {"clips": len(times["ours"]), "retries": retries}
    for name, values in times.items():
        result[f"{name}_median_ms"] = statistics.median(values)
        result[f"{name}_p95_ms"] = statistics.quantiles(values, n=20)[-1]
        result[f"{name}_word_errors_percent"] = 100 * errors[name] / total
        result[f"{name}_loops"] = loops[name]
    ours_errors, stock_errors = (100 * errors[name] / total for name in ("ours", "stock"))
    result["word_errors_difference"] = ours_errors - stock_errors
    result["median_ratio"] = result["ours_median_ms"] / result["stock_median_ms"]
    result["p95_ratio"] = result["ours_p95_ms"] / result["stock_p95_ms"]
    return result


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "--quick"] or ["whisper-base"]
    for name in arguments:
        print(json.dumps({"model": name} | run("--quick" in sys.argv, name), indent=1))
