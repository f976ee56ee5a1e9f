/**
 * A live session as it was written: while its recording plays, nothing to the right of now is to be seen, a word's row
 * comes when the word is sure, and until then its name is what was shown in its place.
 */
class Replay {
  static height = 14; // pixels of a row, in which a name can be read
  static width = 48; // pixels of a second

  constructor(view) {
    this.view = view;
    this.moments = view.example.hypothesis.moments;
    this.written = []; // what stands in the place of each word; undefined where that is not known
    this.on = make("input", { type: "checkbox", checked: true, onchange: () => view.follow() });
    this.speed = make("select", { onchange: () => this.setSpeed() }, ...[1, 2, 4, 8].map((times) => option(times, `${times} times`)));
    this.node = make("div", { class: "replay" }, make("label", {}, this.on, " as it was written"), make("label", {}, "Speed ", this.speed));
    this.future = make("div", { class: "future", hidden: true });
    this.unsure = make("div", { class: "unsure", hidden: true });
    this.waits = this.moments.map((_, i) => this.wait(i));
  }

  /** Of a word that is heard alone, the speed is its own. */
  setSpeed() {
    this.view.audio.playbackRate = this.view.until === null ? Number(this.speed.value) : 1;
  }

  /** From when on the text that became sure stood in its place. */
  settled(index) {
    return this.moments[index][0].at(-1)[0];
  }

  /** The time from a word's first sight until it was sure, in its row. */
  wait(index) {
    const [[[first]], sure] = this.moments[index];
    const wrong = sure > first ? (this.settled(index) - first) / (sure - first) : 0;
    return make("div", {
      class: "wait",
      title: this.tell(index),
      style: {
        ...this.view.stretch([first, sure]),
        ...this.view.height(index),
        background: `linear-gradient(to right, var(--early) ${percent(wrong)}, #fff ${percent(wrong)}) center / 100% 3px no-repeat`,
      },
    });
  }

  tell(index) {
    const [shown, sure] = this.moments[index];
    const texts = shown.map(([when, text]) => `${text === null ? "nothing" : `“${text}”`} from ${when.toFixed(2)} s`);
    return `shown: ${texts.join(", ")}; sure at ${sure.toFixed(2)} s`;
  }

  /** Shows what belongs to this time of the recording: where nothing is played, or a word alone, all there is. */
  follow(now) {
    const { playing, until, example } = this.view;
    const within = (playing || now > 0) && now < example.data.seconds - 0.05; // decoders differ by some samples
    this.show(this.on.checked && until === null && within ? now : null);
  }

  /** Everything as it was at this time of the recording; null for the end. */
  show(now) {
    this.future.hidden = this.unsure.hidden = now === null;
    const isSure = ([, when]) => now === null || when <= now;
    const sure = this.moments.filter(isSure).length;
    if (now !== null) {
      this.future.style.left = percent(this.view.place(now));
      this.unsure.style.top = `${sure * this.view.row}px`;
    }
    this.moments.forEach((moments, i) => {
      const [shown] = moments;
      const last = isSure(moments) ? shown.at(-1) : shown.findLast(([from]) => from <= now);
      this.write(i, last?.[1] ?? null, isSure(moments));
    });
    if (now !== null && this.view.playing) this.scroll(now, sure);
  }

  write(index, text, sure) {
    const state = `${sure} ${text}`;
    if (this.written[index] === state) return;
    this.written[index] = state;
    const { view } = this;
    const [button, title] = [view.buttons[index], view.example.title[index]];
    for (const [node, name] of [
      [button, button.querySelector(".name")],
      [title, title],
      [view.names[index], view.names[index]],
    ]) {
      name.textContent = text;
      node.classList.toggle("absent", text === null);
      node.classList.toggle("tentative", !sure);
      node.classList.toggle("early", text !== null && text !== view.example.hypothesis.words[index][0]);
    }
  }

  /** Keeps now, and the row that is being written, in sight. */
  scroll(now, row) {
    const box = this.view.scroller;
    const plot = box.firstElementChild;
    const side = plot.firstElementChild.offsetWidth;
    box.scrollLeft = side + this.view.place(now) * (plot.scrollWidth - side) - 0.75 * box.clientWidth;
    box.scrollTop = this.view.matrix.offsetTop + (row + 4) * this.view.row - 0.9 * box.clientHeight;
    const button = this.view.buttons[Math.max(0, row - 1)];
    const words = button.parentElement;
    words.scrollTop = button.offsetTop - words.offsetTop - 0.6 * words.clientHeight;
  }
}
