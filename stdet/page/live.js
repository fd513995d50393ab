// A live run: ask for the newest frame, again and again.

const RETRY_MS = 1000;
const HOLD_MS = 5000;  // How long a failure is to be read.
const OLD_S = 2;  // An age to be looked at.

const live = {
  number: 0,
  isOver: false,
  isPaused: false,
  isBehind: false,    // A newer frame has come without its picture
  isChanging: false,  // The slider is being moved
  firstConfidence: null,
  frameAt: 0,         // When the newest frame came, ms
  heldUntil: 0,       // Until when a message stays, ms
  cards: new Map(),

  keys: { " ": () => live.pause(), d: () => toggle("others") },

  start() {
    setMessage("Waiting for the first frames.", true);
    $("pause").addEventListener("click", () => live.pause());
    $("confidence").addEventListener("input", () => {
      live.isChanging = true;
      live.showConfidence(fromSlider(), true);
    });
    $("confidence").addEventListener("change", () => live.setConfidence(fromSlider()));
    $("confidence-reset").addEventListener("click", () => live.setConfidence(live.firstConfidence));
    document.addEventListener("visibilitychange", () => live.follow());
    live.follow();
  },

  onMark() {
    for (const [trackId, card] of live.cards) {
      card.setAttribute("aria-pressed", String(trackId === shown.marked));
    }
  },

  // One request at a time: the next one is sent when its frame has come.
  async follow() {
    if (live.isFollowing || document.hidden) return;
    live.isFollowing = true;
    try {
      while (!document.hidden) await live.fetchNext();
    } finally {
      live.isFollowing = false;
    }
  },

  async fetchNext() {
    try {
      const number = live.isBehind && !live.isPaused ? 0 : live.number;
      const query = live.isPaused ? "&no_picture" : "";
      const { values, bitmap } = await readMessage(await fetch(`next?after=${number}${query}`));
      live.take(values, bitmap);
      if (!values.is_over) return;
    } catch (error) {
      live.number = 0;  // The next run begins anew.
      if (!live.isOver) {
        setState("warn", "no connection");
        setMessage("The run has ended or cannot be reached. Trying again.");
      }
    }
    // Another run may begin at the same address.
    await new Promise((done) => setTimeout(done, RETRY_MS));
  },

  take(values, bitmap) {
    if (live.isOver && !values.is_over) live.forget();
    live.isOver = values.is_over;
    live.number = values.number;
    if (values.source) {
      shown.name = values.source;
      setText("name", values.source);
      document.title = `${values.source} - stdet`;
      setSize(values.image_hw);
      live.takeConfidence(values);
    }
    if (values.frame_index !== undefined) {
      live.frameAt = performance.now();
      live.showNumbers(values);
      live.showRecent(values.recent);
      live.isBehind = live.isPaused || !bitmap;
      if (!live.isBehind) showFrame(values, bitmap);
      else if (bitmap) bitmap.close();
    }
    live.showState(values);
  },

  // What is shown is of the run before.
  forget() {
    live.frameAt = 0;
    mark(null);
    for (const card of live.cards.values()) card.parentElement.remove();
    live.cards.clear();
  },

  showState(values) {
    const isLost = values.event && values.event.event === "lost";
    const silent = (performance.now() - live.frameAt) / 1000;
    if (values.is_over) {
      setState("", "ended");
      live.say("The run has ended.");
    } else if (isLost) {
      setState("warn", "source lost");
      live.say(`The source is lost (${values.event.text}). It is opened again and again.`);
    } else if (live.isPaused) {
      setState("", "paused");
      live.say("Paused here; the run goes on.");
    } else if (!live.frameAt) {
      setState("", "starting");
      live.say("Waiting for the first frames.", true);
    } else if (silent > 3) {
      setState("warn", "no frames");
      live.say(`No new frame for ${seconds(silent)}.`);
    } else {
      setState("good", "live");
      live.say("");
    }
  },

  // What the run has to say; a message that is held stays before it.
  say(text, isBig = false) {
    if (performance.now() >= live.heldUntil) setMessage(text, isBig);
  },

  showNumbers(values) {
    setText("rate", values.frames_per_second.toFixed(1));
    setText("rate-more", values.source_fps ? `of ${Number(values.source_fps.toFixed(1))}` : "");
    if (values.age_s !== null) {
      setText("age", values.age_s < 10 ? `${values.age_s.toFixed(2)} s` : seconds(values.age_s));
      $("age").classList.toggle("warn", values.age_s > OLD_S);
    }
    setText("dropped", values.num_dropped.toLocaleString("en"));
    const all = values.num_dropped + values.num_frames;
    setText("dropped-more", percent(values.num_dropped / all, 1));
    const num = values.tracks.length, taken = values.captured_at;
    const when = taken ? `${taken.slice(11, 19)} UTC, ` : "";
    setText("moment", `${when}frame ${values.frame_index.toLocaleString("en")}, ${num || "no"} track${num === 1 ? "" : "s"}`);
  },

  showRecent(recent) {
    $("none").hidden = recent.length > 0;
    const ids = new Set(recent.map((one) => one.track_id));
    for (const [trackId, card] of live.cards) {
      if (!ids.has(trackId)) {
        card.parentElement.remove();
        live.cards.delete(trackId);
      }
    }
    for (const one of recent) {
      let card = live.cards.get(one.track_id);
      if (!card) {
        card = makeCard(one.track_id);
        live.cards.set(one.track_id, card);
        $("recent").append(element("li", {}, card));
        card.parentElement.style.order = -one.track_id;  // The newest first.
      }
      fillCard(card, one);
    }
  },

  pause() {
    live.isPaused = !live.isPaused;
    setText("pause", live.isPaused ? "Go on" : "Pause");
    $("pause").setAttribute("aria-pressed", String(live.isPaused));
    if (live.isPaused) setMessage("Paused here; the run goes on.");
  },

  takeConfidence(values) {
    live.firstConfidence = values.first_confidence;
    $("confidence").disabled = values.is_over;
    if (!live.isChanging) live.showConfidence(values.confidence);
  },

  showConfidence(confidence, isFromSlider = false) {
    setText("confidence-value", confidenceText(confidence));
    if (!isFromSlider) $("confidence").value = toSlider(confidence);
    $("confidence-reset").hidden = Math.abs(confidence - live.firstConfidence) < 5e-4;
    setText("confidence-reset", `back to ${confidenceText(live.firstConfidence ?? 0)}`);
  },

  async setConfidence(confidence) {
    live.showConfidence(confidence);
    try {
      const response = await fetch("confidence", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ confidence }),
      });
      if (!response.ok) throw new Error(await response.text());
    } catch (error) {
      live.heldUntil = performance.now() + HOLD_MS;
      setMessage("The operating point could not be changed.");
    }
    live.isChanging = false;
  },
};

// The slider is even in log-odds: small scores matter as much as large ones.
function toSlider(confidence) {
  const inside = Math.min(Math.max(confidence, 1e-4), 1 - 1e-4);
  return Math.log(inside / (1 - inside));
}

function fromSlider() {
  return Number((1 / (1 + Math.exp(-Number($("confidence").value)))).toFixed(4));
}

function confidenceText(confidence) {
  return confidence.toFixed(confidence < 0.1 || confidence > 0.9 ? 3 : 2);
}

function makeCard(trackId) {
  const image = element("img", { alt: "" });
  image.addEventListener("error", () => image.removeAttribute("src"));  // The track has just gone.
  const card = element(
    "button",
    { className: "card", type: "button" },
    image,
    element("b", { textContent: String(trackId) }),
    element("span"),
    element("span"),
  );
  card.style.setProperty("--colour", colourOf(trackId));
  card.setAttribute("aria-pressed", String(trackId === shown.marked));
  card.addEventListener("click", () => mark(trackId === shown.marked ? null : trackId));
  return card;
}

function fillCard(card, one) {
  const [image, , what, when] = card.children, source = `crop/${one.track_id}?v=${one.crop}`;
  if (image.getAttribute("src") !== source) image.src = source;
  const probability = probabilityText(one.probability);
  const texts = [
    probability ? `${probability} sure` : `score ${one.score.toFixed(2)}`,
    one.is_present ? `for ${seconds(one.seen_s)}` : `${seconds(one.ago_s)} ago`,
  ];
  [what, when].forEach((span, i) => {
    if (span.textContent !== texts[i]) span.textContent = texts[i];
  });
  card.classList.toggle("gone", !one.is_present);
}

if (mode === "live") begin(live);
