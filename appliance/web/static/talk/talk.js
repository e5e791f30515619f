// Talking by way of the browser: microphone up, reply down, over one WebSocket.

import { t } from "../texts.js";
import { Player } from "./player.js";
import { hindrance, NoMicrophone, Recorder } from "./recorder.js";

const CONNECT_MS = 8000;
const KEEP_MS = 60000; // microphone and connection are given back when unused for so long

export class Talk extends EventTarget {
  recording = false;
  #socket = null;
  #connecting = null;
  #recorder = new Recorder((piece) => this.#send(piece));
  #player = new Player(
    (turn, samples, finished) => this.#say({ type: "played", turn_id: turn, samples, finished }),
    (peak) => this.#tell("level", peak),
  );
  #wanted = false;
  #unsent = null; // what was recorded while the connection was being made
  #idle = 0;

  /** Return why talking is impossible here, or an empty text. */
  get hindrance() {
    return hindrance();
  }

  /** The button went down: record. Events: `recording`, `refused` with a text. */
  async press() {
    if (this.#wanted) return;
    this.#wanted = true;
    clearTimeout(this.#idle);
    this.#player.flush();
    this.#unsent = [];
    try {
      await this.#recorder.open();
      if (!this.#wanted) { // let go while permission was asked for
        await this.#recorder.close();
        return;
      }
      this.#set(true);
      await this.#connect();
      this.#say({ type: "press" });
      const unsent = this.#unsent ?? [];
      this.#unsent = null;
      unsent.forEach((piece) => this.#socket.send(piece));
    } catch (error) {
      this.#wanted = false;
      this.#unsent = null;
      await this.#recorder.close();
      this.#set(false);
      this.#tell("refused", error instanceof NoMicrophone ? error.message : t("page.talk_no_connection"));
    }
  }

  /** The button was let go: what was said goes to Luna. */
  async release() {
    if (!this.#wanted) return;
    this.#wanted = false;
    if (!this.recording) return;
    await this.#connecting?.catch(() => {});
    await this.#recorder.close();
    this.#set(false);
    this.#say({ type: "release" });
    this.#rest();
  }

  #rest() {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if (this.recording || this.#player.playing) return this.#rest();
      this.#socket?.close();
      return this.#recorder.release();
    }, KEEP_MS);
  }

  /** Stop listening or speaking; returns whether there was anything to stop here. */
  stop() {
    const busy = this.recording || this.#player.playing;
    this.#player.flush();
    if (this.recording) {
      this.#wanted = false;
      this.#recorder.close();
      this.#set(false);
    }
    if (busy) this.#say({ type: "stop" });
    return busy;
  }

  #connect() {
    if (this.#socket?.readyState === WebSocket.OPEN) return Promise.resolve();
    this.#connecting = new Promise((resolve, reject) => {
      const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/v1/talk`);
      const timer = setTimeout(() => socket.close(), CONNECT_MS);
      socket.binaryType = "arraybuffer";
      socket.onmessage = ({ data }) => {
        if (typeof data !== "string") return this.#player.take(data);
        const message = JSON.parse(data);
        if (message.type === "ready") {
          clearTimeout(timer);
          resolve();
        }
        return this.#take(message);
      };
      socket.onclose = () => {
        clearTimeout(timer);
        reject(new Error("closed"));
        if (this.#socket === socket) this.#lost();
      };
      this.#socket = socket;
    });
    return this.#connecting.finally(() => { this.#connecting = null; });
  }

  #take(message) {
    switch (message.type) {
      case "audio": this.#player.begin(message.turn_id, message.rate); break;
      case "end": this.#player.end(); break;
      case "flush": this.#player.flush(); break;
      case "refused":
        this.#wanted = false;
        this.#recorder.close();
        this.#set(false);
        this.#tell("refused", message.text);
        break;
      default:
    }
  }

  #lost() {
    this.#socket = null;
    if (!this.recording) return;
    this.#wanted = false;
    this.#recorder.close();
    this.#set(false);
    this.#tell("refused", t("page.talk_no_connection"));
  }

  #send(piece) {
    if (this.#unsent) this.#unsent.push(piece);
    else if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(piece);
    let peak = 0;
    for (const value of piece) peak = Math.max(peak, Math.abs(value));
    this.#tell("level", peak / 32768);
  }

  #say(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #set(recording) {
    if (this.recording === recording) return;
    this.recording = recording;
    this.#tell("recording", recording);
    if (!recording) this.#tell("level", 0);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
