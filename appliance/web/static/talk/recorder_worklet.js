// On the audio thread: the microphone as 16 kHz int16, in pieces of 40 ms, while it is wanted.

import { Resampler } from "./resampler.js";

const RATE = 16000;
const PIECE = 640;

class Recorder extends AudioWorkletProcessor {
  #resampler = sampleRate === RATE ? null : new Resampler(sampleRate, RATE);
  #piece = new Int16Array(PIECE);
  #filled = 0;
  #open = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data === "open") this.#filled = 0;
      if (data === "close" && this.#open) {
        this.#send();
        this.port.postMessage("closed");
      }
      this.#open = data === "open";
    };
  }

  process([input]) {
    if (!this.#open || input.length === 0) return true;
    const samples = this.#resampler ? this.#resampler.feed(input[0]) : input[0];
    for (const sample of samples) {
      this.#piece[this.#filled++] = Math.round(Math.max(-1, Math.min(1, sample)) * 32767);
      if (this.#filled === PIECE) this.#send();
    }
    return true;
  }

  #send() {
    if (this.#filled === 0) return;
    const piece = this.#piece.slice(0, this.#filled);
    this.#filled = 0;
    this.port.postMessage(piece, [piece.buffer]);
  }
}

registerProcessor("recorder", Recorder);
