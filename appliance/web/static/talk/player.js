// Plays the sound of a reply as it comes.

import { Resampler } from "./resampler.js";

export class Player {
  #context = null;
  #node = null;
  #rate = 0;
  #turn = 0;
  #resampler = null;
  #waiting = Promise.resolve();

  /**
   * `report(turn, samples, finished)` is called while and when something was played, samples at the
   * rate of `begin`; `level(peak)` with how loud it is, 0 to 1.
   */
  constructor(report, level) {
    this.report = report;
    this.level = level;
  }

  get playing() {
    return this.#turn !== 0;
  }

  /** Sound of `turn` follows, at `rate` samples a second. */
  begin(turn, rate) {
    this.#turn = turn;
    this.#then(async () => {
      if (rate !== this.#rate) await this.#open(rate);
      await this.#context.resume();
      this.#node.port.postMessage({ turn });
    });
  }

  /** Take sound: an ArrayBuffer of int16. */
  take(data) {
    const pcm = new Int16Array(data);
    const samples = Float32Array.from(pcm, (value) => value / 32768);
    this.#then(() => {
      const played = this.#resampler ? this.#resampler.feed(samples) : samples;
      this.#node?.port.postMessage(played, [played.buffer]);
    });
  }

  /** All sound of this turn was sent. */
  end() {
    this.#then(() => this.#node?.port.postMessage("end"));
  }

  /** Be silent at once. */
  flush() {
    this.#then(() => this.#node?.port.postMessage("flush"));
  }

  // Opening takes a moment; what comes meanwhile waits its turn.
  #then(work) {
    this.#waiting = this.#waiting.then(work).catch((error) => console.error("playback", error));
  }

  async #open(rate) {
    await this.#context?.close();
    this.#context = new AudioContext({ sampleRate: rate });
    this.#rate = rate;
    const real = this.#context.sampleRate;
    this.#resampler = real === rate ? null : new Resampler(rate, real);
    await this.#context.audioWorklet.addModule("/static/talk/player_worklet.js");
    this.#node = new AudioWorkletNode(this.#context, "player", { numberOfInputs: 0, outputChannelCount: [1] });
    this.#node.port.onmessage = ({ data }) => this.#told(data, real);
    this.#node.connect(this.#context.destination);
  }

  #told({ turn, played, over, finished, peak }, real) {
    if (over && turn === this.#turn) {
      this.#turn = 0;
      this.level(0);
      this.#context.suspend(); // silence that is played costs power
    } else if (!over) {
      this.level(peak);
    }
    this.report(turn, Math.round((played * this.#rate) / real), Boolean(finished));
  }
}
