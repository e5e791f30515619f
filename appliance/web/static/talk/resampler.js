// Changes the rate of a stream of samples: a windowed sinc, evaluated where each new sample lies.

const TAPS = 32; // neighbours on both sides together; with the Hann window −44 dB beside the band
const PHASES = 256; // tabled positions between two samples

export class Resampler {
  #step;
  #table = [];
  #held = new Float32Array(TAPS);
  #position = 0; // of the next new sample, in old samples after the first one held

  /** `from` and `to` are in samples a second. */
  constructor(from, to) {
    this.#step = from / to;
    const band = Math.min(1, to / from) * 0.94; // room for the filter's slope
    for (let phase = 0; phase <= PHASES; phase++) {
      const taps = new Float32Array(TAPS);
      for (let tap = 0; tap < TAPS; tap++) {
        const x = tap - TAPS / 2 + 1 - phase / PHASES;
        const sinc = x === 0 ? 1 : Math.sin(Math.PI * band * x) / (Math.PI * band * x);
        taps[tap] = band * sinc * (0.5 + 0.5 * Math.cos((2 * Math.PI * x) / (TAPS + 1)));
      }
      this.#table.push(taps);
    }
  }

  /** Take the next samples (Float32Array); return those of the new rate that are known by now. */
  feed(samples) {
    const all = new Float32Array(this.#held.length + samples.length);
    all.set(this.#held);
    all.set(samples, this.#held.length);
    const out = [];
    let position = this.#position;
    for (; Math.floor(position) + TAPS <= all.length; position += this.#step) {
      const first = Math.floor(position);
      const taps = this.#table[Math.round((position - first) * PHASES)];
      let sum = 0;
      for (let tap = 0; tap < TAPS; tap++) sum += all[first + tap] * taps[tap];
      out.push(sum);
    }
    const used = Math.min(Math.floor(position), all.length);
    this.#held = all.slice(used);
    this.#position = position - used;
    return Float32Array.from(out);
  }
}
