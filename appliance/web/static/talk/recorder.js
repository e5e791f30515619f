// The microphone of this browser.

import { t } from "../texts.js";

const RATE = 16000;
// Luna hears better without a browser's filters, and is silent while somebody holds the button.
const AS_IT_IS = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/** The microphone cannot be used; `message` says why and what to do. */
export class NoMicrophone extends Error {}

/** Return why this browser cannot record here at all, or an empty text. */
export function hindrance() {
  if (!window.isSecureContext) return t("page.talk_insecure");
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) return t("page.talk_unsupported");
  return "";
}

export class Recorder {
  #context = null;
  #node = null;
  #stream = null;
  #closed = () => {};

  /** `take` gets each piece of sound, an Int16Array of 16 kHz. */
  constructor(take) {
    this.take = take;
  }

  /**
   * Begin to record. The reader is asked for permission at the first time.
   *
   * Throws NoMicrophone.
   */
  async open() {
    const why = hindrance();
    if (why) throw new NoMicrophone(why);
    if (!this.#stream?.active) await this.#connect();
    await this.#context.resume();
    this.#node.port.postMessage("open");
  }

  /** Stop recording; resolves when the last piece was taken. */
  async close() {
    if (!this.#node) return;
    const closed = new Promise((resolve) => { this.#closed = resolve; });
    this.#node.port.postMessage("close");
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 300))]);
    await this.#context.suspend(); // an open context costs power
  }

  /** Give the microphone back, so that the browser shows it as unused. */
  async release() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    await this.#context?.close();
    this.#stream = this.#context = this.#node = null;
  }

  async #connect() {
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, ...AS_IT_IS },
      });
    } catch (error) {
      const missing = error.name === "NotFoundError" || error.name === "NotReadableError";
      throw new NoMicrophone(t(missing ? "page.talk_no_device" : "page.talk_denied"));
    }
    try {
      await this.#listen(new AudioContext({ sampleRate: RATE }));
    } catch {
      await this.#listen(new AudioContext()); // this browser records at the device's rate only
    }
  }

  async #listen(context) {
    this.#context = context;
    await context.audioWorklet.addModule("/static/talk/recorder_worklet.js");
    const source = context.createMediaStreamSource(this.#stream);
    this.#node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    this.#node.port.onmessage = ({ data }) => {
      if (data === "closed") this.#closed();
      else this.take(data);
    };
    source.connect(this.#node);
  }
}
