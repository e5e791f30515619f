// On the audio thread: plays what has come, without gaps, and forgets it at once when told to.

const REPORT_S = 0.25;

class Player extends AudioWorkletProcessor {
  #turn = 0; // whose sound it is; 0: nobody's
  #queue = [];
  #at = 0; // within the first piece
  #played = 0;
  #reported = 0;
  #whole = false; // all has been sent
  #peak = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data instanceof Float32Array) this.#queue.push(data);
      else if (data === "end") this.#whole = this.#turn !== 0;
      else if (data === "flush") this.#over(false);
      else {
        this.#over(false); // what was still being played before this turn
        this.#turn = data.turn;
      }
    };
  }

  #over(finished) {
    if (this.#turn) this.port.postMessage({ turn: this.#turn, played: this.#played, over: true, finished });
    this.#queue = [];
    this.#turn = 0;
    this.#at = this.#played = this.#reported = this.#peak = 0;
    this.#whole = false;
  }

  process(_, [[output]]) {
    let filled = 0;
    while (filled < output.length && this.#queue.length > 0) {
      const piece = this.#queue[0];
      const count = Math.min(piece.length - this.#at, output.length - filled);
      output.set(piece.subarray(this.#at, this.#at + count), filled);
      filled += count;
      this.#at += count;
      if (this.#at === piece.length) {
        this.#queue.shift();
        this.#at = 0;
      }
    }
    for (let i = 0; i < filled; i++) this.#peak = Math.max(this.#peak, Math.abs(output[i]));
    this.#played += filled;
    if (this.#whole && this.#queue.length === 0) this.#over(true);
    else if (this.#played - this.#reported >= REPORT_S * sampleRate || (filled && !this.#reported)) {
      this.port.postMessage({ turn: this.#turn, played: this.#played, peak: this.#peak });
      this.#reported = this.#played;
      this.#peak = 0;
    }
    return true;
  }
}

registerProcessor("player", Player);
