"""The language model worker: llama.cpp in a process of its own."""
