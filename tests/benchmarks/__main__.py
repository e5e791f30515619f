"""``python -m tests.benchmarks [--quick] [NAME...]``: measure, print a table, write JSON."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path("build/benchmarks/results.json")


@dataclass(frozen=True)
class Target:
    """One line of the table: a measured figure and what it may be at most (or at least)."""

    benchmark: str
    key: str
    meaning: str
    limit: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Return whether *value* is good enough."""
        return value >= self.limit if self.at_least else value <= self.limit


NAMES = (
    "ring",
    "stt",
    "llm",
    "tts",
    "turn",
    "service",
    "storage",
    "router",
    "search",
    "panel",
    "web",
)
TARGETS = (
    Target("turn", "median_ratio", "end of speech to first sound, against naive, median", 0.33),
    Target("turn", "p95_ratio", "the same, p95", 0.4),
    Target("stt", "median_ratio", "STT of a short command, against stock", 0.33),
    Target("stt", "word_errors_difference", "word errors (points), against stock", 0.5),
    Target("stt", "ours_loops", "transcripts that loop", 0),
    Target("llm", "warm_ratio", "first token with a warm prefix, against cold", 0.1),
    Target("llm", "restart_prefix_ms", "prefix back after a restart of the worker (ms)", 50),
    Target("llm", "throughput_ratio", "tokens/s, against a raw decode loop", 0.95, at_least=True),
    Target("tts", "first_audio_ratio", "first audio, against the whole first sentence", 0.5),
    Target("tts", "gaps", "gaps between clauses", 0),
    Target("ring", "p99_ratio_idle", "ring wake-up p99, against mp.Queue, idle", 0.25),
    Target("ring", "p99_ratio_busy", "the same with both cores busy", 0.25),
    Target("ring", "lost_or_corrupt", "lost or corrupt blocks", 0),
    Target("router", "ours_overhead_ms", "router, everything but model and disk (ms)", 2.0),
    Target("router", "overhead_ratio", "the same, against LiteLLM's router", 0.2),
    Target("router", "ours_failover_max_ms", "error to the next provider, longest (ms)", 50.0),
    Target("service", "listening_s", "service start to listening (s)", 1.0),
    Target(
        "service", "idle_cpu_percent", "audio and listen processes when idle (% of a core)", 2.0
    ),
    Target("storage", "bytes_ratio", "bytes for one more of 1,000 reminders, against TinyDB", 0.2),
    Target("storage", "add_own_ms", "adding it, without the one fdatasync (ms)", 5),
    Target("storage", "open_ms", "opening 10,000 documents (ms)", 300),
    Target("storage", "power_cuts", "power cuts tried", 10_000, at_least=True),
    Target("storage", "lost_after_power_cut", "of these, not as acknowledged", 0),
    Target("search", "history_search_max_ms", "search in 100,000 messages, longest (ms)", 50),
    Target("search", "knowledge_search_max_ms", "search in 10,000 passages, longest (ms)", 50),
    Target("search", "cache_hit_max_ms", "answer from the cache, longest (ms)", 20),
    Target(
        "web", "crowd_ratio", "first sound with 50 readers and 20 requests/s, against none", 1.2
    ),
    Target("web", "crowd_drops", "captured blocks lost meanwhile", 0),
    Target("web", "idle_page_percent", "an idle page (% of a core)", 0.5),
    Target("web", "page_usable_ms", "first load until the page can be used (ms)", 1000),
    Target("web", "first_load_kb", "first load (kB)", 250),
    Target("panel", "event_to_led_max_ms", "event to LED, longest (ms)", 50),
    Target("panel", "cpu_percent_max", "the dearest LED pattern (% of a core)", 1.0),
)


def main() -> int:
    """Run the benchmarks; return 0 also where a target was missed (the table says so)."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; none: all")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    arguments = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    if RESULTS.exists():
        results = json.loads(RESULTS.read_text())["results"]
    for name in arguments.names or NAMES:
        began = time.monotonic()
        sys.stderr.write(f"{name} ...\n")
        module = importlib.import_module(f"tests.benchmarks.{name}")
        results[name] = module.run(arguments.quick)
        sys.stderr.write(f"{name} took {time.monotonic() - began:.0f} s\n")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    machine = {"machine": platform.machine(), "python": platform.python_version()}
    RESULTS.write_text(json.dumps({"machine": machine, "results": results}, indent=1))
    print("| figure | target | measured | |\n|---|---|---|---|")
    for target in TARGETS:
        value = results.get(target.benchmark, {}).get(target.key)
        if value is not None:
            sign = "≥" if target.at_least else "≤"
            mark = "met" if target.met(value) else "missed"
            print(f"| {target.meaning} | {sign} {target.limit} | {value:.3g} | {mark} |")
    for name in arguments.names or NAMES:
        print(f"\n{name}: " + ", ".join(f"{k} {v:.4g}" for k, v in results[name].items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
