Object.assign(settings, { trueTimes: false });

const missing = (written) => (written === null ? "missed" : `written as ${written}`);

/** Waveform, log-mel and the tokens-by-time matrix on one axis in seconds; the recording and its words can be heard. */
views.recording = class {
  static gamma = 1;
  static legend = "weight of a time step";
  static controls = [
    {
      label: "Times",
      needs: "late",
      options: [
        ["heard", "the model's"],
        ["true", "true, where known"],
      ],
      set: (value) => (settings.trueTimes = value === "true"),
    },
  ];

  /** The log-mel, and under it how much of each step is read. */
  static Reader = class {
    constructor(data, { shape, factor }, pick) {
      Object.assign(this, { data, size: shape[1], seconds: factor * data.step });
      const end = data.offset + this.size * this.seconds;
      const place = (seconds) => (seconds - data.offset) / (end - data.offset);
      const [start, stop] = data.melSpan.map(place);
      this.canvas = make("canvas", { role: "img", "aria-label": "weight of each step" });
      this.mark = make("div", { class: "range", hidden: true });
      const at = (event) => {
        const box = event.currentTarget.getBoundingClientRect();
        pick(clamp(Math.floor(((event.clientX - box.left) / box.width) * this.size), 0, this.size - 1));
      };
      this.node = make(
        "div",
        { class: "heard", onmousemove: at, onclick: at },
        make("div", { class: "mel" }, make("img", { src: data.mel, alt: "", style: { left: percent(start), width: percent(stop - start) } })),
        make("div", { class: "matrix" }, this.canvas),
        this.mark,
      );
    }

    span(cell) {
      const start = this.data.offset + cell * this.seconds;
      return [start, start + this.seconds];
    }

    names(cell) {
      return this.span(cell)
        .map((second) => second.toFixed(2))
        .join(" to ") + " s";
    }

    paint(row, cell) {
      paint(this.canvas, null, row, this.size, 1, largest(row) || 1);
      this.mark.hidden = cell === null;
      if (cell !== null) Object.assign(this.mark.style, { left: percent(cell / this.size), width: percent(1 / this.size) });
    }
  };

  constructor(example) {
    const { data, hypothesis, maps } = example;
    Object.assign(this, { example, playing: false, until: null, hint: "Press play, or a word to hear it." });
    this.start = Math.min(0, data.offset);
    this.end = Math.max(data.seconds, data.offset + maps.size * data.step);
    this.audio = make("audio", { src: data.audio, preload: "auto" });
    this.audio.addEventListener("ended", () => this.stop());
    this.clock = make("small");
    this.playName = make("span");
    this.play = make(
      "button",
      { class: "play", type: "button", onclick: () => this.toggle() },
      this.playName,
      this.clock,
    );
    this.buttons = hypothesis.words.map((_, i) => example.button(i));
    const live = hypothesis.moments.length > 0;
    this.row = clamp(Math.floor(520 / Math.max(maps.tokens, 1)), live ? Replay.height : 4, 19); // pixels
    this.replay = live ? new Replay(this) : null;
    this.scroller = make("div", { class: "scroller" }, this.plot());
    this.node = make(
      "div",
      { class: live ? "speech live" : "speech" },
      this.replay?.node ?? null,
      make("div", { class: "player", role: "group", "aria-label": "Recording and words" }, this.play, ...this.buttons),
      this.scroller,
      this.audio,
    );
    this.ready = Promise.resolve();
    this.showClock();
  }

  place(seconds) {
    return (seconds - this.start) / (this.end - this.start);
  }
  stretch([start, end]) {
    return { left: percent(this.place(start)), width: percent(this.place(end) - this.place(start)) };
  }

  plot() {
    const { data, hypothesis, maps, about } = this.example;
    const track = (kind, ...children) =>
      make("div", { class: `track ${kind}`, onclick: (event) => this.seek(event) }, ...children);
    const times = Object.entries(hypothesis.times);
    const lines = () =>
      times.flatMap(([, span]) =>
        span.map((second) => make("div", { class: "line", style: { left: percent(this.place(second)) } })),
      );
    const parts = [];
    const missed = hypothesis.missed.map(([word, start, end, written]) =>
      make(
        "span",
        { class: "missed", style: this.stretch([start, end]), title: `${word}: ${missing(written)}` },
        make("del", {}, word),
        make("span", { class: "unseen" }, ` (${missing(written)})`),
      ),
    );
    if (times.length || missed.length)
      parts.push(
        make("div", { class: "side" }, "truth"),
        track(
          "lane",
          ...times.map(([i, span]) =>
            make("span", { style: this.stretch(span), title: hypothesis.words[i][0] }, hypothesis.words[i][0]),
          ),
          ...missed,
        ),
      );
    this.wave = make("canvas", { role: "img", "aria-label": `waveform of ${about.key}` });
    parts.push(make("div", { class: "side" }, "wave"), track("wave", this.wave));
    parts.push(
      make("div", { class: "side" }, "log-mel"),
      track(
        "mel",
        make("img", { src: data.mel, alt: `log-mel spectrogram of ${about.key}`, style: this.stretch(data.melSpan) }),
        ...lines(),
      ),
    );
    this.canvas = make("canvas", {
      role: "img",
      style: this.stretch([data.offset, data.offset + maps.size * data.step]),
    });
    this.rows = make("div", { class: "rows", hidden: true });
    const truths = times.map(([i, span]) =>
      make("div", { class: "truth", style: { ...this.stretch(span), ...this.height(i) } }),
    );
    const written = this.replay ? [this.replay.unsure, ...this.replay.waits] : [];
    this.matrix = track("matrix", this.canvas, ...truths, ...written, this.rows);
    this.matrix.style.height = `${Math.max(this.row * maps.tokens, 24)}px`;
    this.matrix.addEventListener("mousemove", (event) => this.hover(event));
    parts.push(this.labels(), this.matrix);
    parts.push(make("div", { class: "side" }, "seconds"), make("div", { class: "track axis" }, ...this.ticks()));
    this.head = make("div", { class: "head", hidden: true });
    this.range = make("div", { class: "range", hidden: true });
    parts.forEach((part, i) => Object.assign(part.style, { gridRow: String(Math.floor(i / 2) + 1) }));
    const over = make(
      "div",
      { class: "over", style: { gridRow: `1 / span ${parts.length / 2}` } },
      this.replay?.future ?? null,
      this.range,
      this.head,
    );
    const plot = make("div", { class: "plot" }, ...parts, over);
    plot.style.setProperty("--seconds", this.end - this.start);
    if (this.replay) plot.style.minWidth = `${Replay.width * (this.end - this.start)}px`;
    return plot;
  }

  height(word) {
    const [, first, stop] = this.example.hypothesis.words[word];
    return { top: `${first * this.row}px`, height: `${(stop - first) * this.row}px` };
  }

  labels() {
    const { tokens, words } = this.example.hypothesis;
    const names =
      this.row >= 11 && !this.replay ? tokens.map((token, i) => make("span", { style: { gridRow: String(i + 1) } }, token)) : [];
    this.names = words.map(([word, first, stop]) =>
      make("b", { style: { gridRow: `${first + 1} / ${stop + 1}` } }, (stop - first) * this.row >= 11 ? word : ""),
    );
    return make(
      "div",
      { class: "side tokens", style: { gridTemplateRows: `repeat(${tokens.length}, ${this.row}px)` } },
      ...this.names,
      ...names,
    );
  }

  ticks() {
    const span = this.end - this.start;
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60].find((s) => span / s <= (this.replay ? Math.max(9, span / 2) : 9)) ?? 120;
    const count = Math.floor((this.end - step * 0.35) / step + 1e-9);
    return Array.from({ length: Math.max(count, 0) + 1 }, (_, i) =>
      make("span", { style: { left: percent(this.place(i * step)) } }, String(Number((i * step).toFixed(2)))),
    );
  }

  draw() {
    const { maps } = this.example;
    paintMatrix(this.canvas, maps);
    this.canvas.setAttribute("aria-label", `attention of ${maps.tokens} tokens over ${maps.size} time steps`);
    this.drawWave();
  }

  drawWave() {
    const [low, high] = this.example.data.wave;
    this.wave.width = low.length;
    this.wave.height = 100;
    const context = this.wave.getContext("2d");
    context.fillStyle = getComputedStyle(this.wave).color;
    this.wave.style.width = percent(this.place(this.example.data.seconds) - this.place(0));
    this.wave.style.left = percent(this.place(0));
    low.forEach((bottom, x) => context.fillRect(x, 50 - high[x] / 2, 1, Math.max(1, (high[x] - bottom) / 2)));
  }

  span(index) {
    const { times, heard } = this.example.hypothesis;
    return (settings.trueTimes && times[index]) || heard[index];
  }

  select(index) {
    this.names.forEach((name, i) => name.classList.toggle("chosen", i === index));
    this.rows.hidden = this.range.hidden = index === null;
    if (index === null) return;
    Object.assign(this.rows.style, this.height(index));
    Object.assign(this.range.style, this.stretch(this.span(index)));
  }

  compare(index) {
    const { times, timedBy, heard, heardBy } = this.example.hypothesis;
    const [start, end] = heard[index];
    const place = `by ${heardBy} it is heard from ${start.toFixed(2)} to ${end.toFixed(2)} s`;
    if (this.replay) return [`${place}, ${this.replay.tell(index)}`];
    if (!times[index]) return [place, ", true time not known"];
    const late = Math.round(1000 * (start - times[index][0]));
    return [
      `${place}, ${timedBy ? `by ${timedBy}` : "truly"} ${times[index][0].toFixed(2)} to ${times[index][1].toFixed(2)} s: `,
      make(
        "span",
        { class: Math.abs(late) <= 100 ? "yes" : "no" },
        `${Math.abs(late)} ms ${late < 0 ? "early" : "late"}`,
      ),
    ];
  }

  at(event) {
    const box = event.currentTarget.getBoundingClientRect();
    return this.start + ((event.clientX - box.left) / box.width) * (this.end - this.start);
  }

  hover(event) {
    const row = Math.floor((event.clientY - event.currentTarget.getBoundingClientRect().top) / this.row);
    const { data, hypothesis, maps } = this.example;
    const word = maps.wordOf(row);
    if (word >= 0) this.example.choose(word);
    const step = Math.floor((this.at(event) - data.offset) / data.step);
    if (row < 0 || row >= maps.tokens || step < 0 || step >= maps.size) return;
    this.matrix.title = `${hypothesis.tokens[row]} at ${(data.offset + step * data.step).toFixed(2)} s: ${short(maps.token(row)[step])}`;
  }

  seek(event) {
    this.audio.currentTime = clamp(this.at(event), 0, this.example.data.seconds);
    this.until = null;
    this.begin();
  }

  /** Plays a word alone, at least 0.12 s of it: less is a click. */
  press(index) {
    this.example.choose(index);
    const [start, end] = this.span(index);
    this.audio.currentTime = clamp(start, 0, this.example.data.seconds);
    this.until = Math.max(end, start + 0.12);
    this.begin();
  }

  toggle() {
    if (this.playing) return this.stop();
    if (this.until !== null || this.audio.ended) this.audio.currentTime = 0;
    this.until = null;
    this.begin();
  }

  begin() {
    this.replay?.setSpeed();
    for (const other of examples) if (other !== this.example && other.view?.playing) other.view.stop();
    this.audio.play().then(
      () => {
        if (this.playing) return;
        this.playing = true;
        this.head.hidden = false;
        const tick = () => {
          if (!this.playing) return;
          if (this.until !== null && this.audio.currentTime >= this.until) return this.stop();
          this.follow();
          requestAnimationFrame(tick);
        };
        tick();
      },
      (error) => this.example.said.replaceChildren(make("span", { class: "no" }, `cannot play: ${error.message}`)),
    );
  }

  stop() {
    this.playing = false;
    this.audio.pause();
    this.follow();
  }

  follow() {
    const now = this.audio.currentTime;
    this.head.style.left = percent(this.place(now));
    this.buttons.forEach((button, i) => {
      const [start, end] = this.span(i);
      button.classList.toggle("now", this.playing && start <= now && now < Math.max(end, start + 0.12));
    });
    this.replay?.follow(now);
    this.showClock();
  }

  showClock() {
    this.playName.textContent = this.playing ? "❚❚ Pause" : "▶ Play";
    this.play.setAttribute("aria-label", `${this.playing ? "pause" : "play"} the recording`);
    this.clock.textContent = `${this.audio.currentTime.toFixed(1)} / ${this.example.data.seconds.toFixed(1)} s`;
  }
};
