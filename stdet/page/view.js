// A finished run: a timeline, tracks to jump to, filters, and files of chosen tracks.

const MAX_ROWS = 400;  // Of the list; filters show the others.
const FORMAT_NAMES = {
  "mot-zip": "CVAT (MOT 1.1)",
  "coco-vid": "COCO-VID",
  csv: "CSV of boxes",
  summary: "CSV of tracks",
};

const finished = {
  run: null,
  tracks: [],         // All, in the order in which they begin
  visible: [],        // Those that pass the filters
  visibleIds: new Set(),
  chosen: new Set(),
  lanes: new Map(),   // Lane of each visible track in the timeline
  numLanes: 1,
  position: 0,        // Number of the frame among those of the run
  target: 0,          // The same, of the frame that was asked for last
  isFetching: false,
  isPlaying: false,
  playedAt: 0,

  keys: {
    " ": () => finished.play(),
    ArrowRight: (event) => finished.step(event.shiftKey ? 10 : 1),
    ArrowLeft: (event) => finished.step(event.shiftKey ? -10 : -1),
    "]": () => finished.jumpTrack(1),
    "[": () => finished.jumpTrack(-1),
    x: () => shown.marked !== null && finished.choose(shown.marked, !finished.chosen.has(shown.marked)),
  },

  async start() {
    setMessage("Reading the run.", true);
    try {
      const response = await fetch("run");
      if (!response.ok) throw new Error(await response.text());
      finished.run = await response.json();
    } catch (error) {
      setState("warn", "no connection");
      setMessage("The run cannot be read. Is `stdet view` still there?", true);
      return;
    }
    finished.setUp();
    finished.filter();
    if (finished.numFrames) finished.seek(0);
    else setMessage("The run has no frames.", true);
  },

  setUp() {
    const { run } = finished;
    finished.tracks = run.tracks;
    // Frames are numbered with holes: starts[i] is the position of the first one of a run.
    let count = 0;
    finished.starts = run.frames.map(([first, last]) => {
      const start = count;
      count += last - first + 1;
      return start;
    });
    finished.numFrames = count;
    shown.name = run.name;
    shown.isVisible = (trackId) => finished.visibleIds.has(trackId);
    setText("name", run.name);
    document.title = `${run.name} - stdet`;
    setSize(run.image_hw);
    finished.showKind();
    for (const form of run.formats) {
      $("format").append(element("option", { value: form, textContent: FORMAT_NAMES[form] || form }));
    }
    finished.listen();
  },

  showKind() {
    const { run } = finished, num = finished.numFrames.toLocaleString("en");
    const length = run.fps ? `, ${seconds(finished.numFrames / run.fps)}` : "";
    setState("", `${num} frames${length}`);
    if (run.is_annotated) {  // Its boxes are part of the picture.
      toggle("boxes");
      $("boxes").title = "This video has its boxes drawn in; --source shows one without (b)";
    }
  },

  listen() {
    const on = (id, name, act) => $(id).addEventListener(name, act);
    on("play", "click", () => finished.play());
    on("frame-before", "click", () => finished.step(-1));
    on("frame-after", "click", () => finished.step(1));
    on("track-before", "click", () => finished.jumpTrack(-1));
    on("track-after", "click", () => finished.jumpTrack(1));
    on("least-length", "input", () => finished.filter());
    on("least-probability", "input", () => finished.filter());
    on("order", "change", () => finished.list());
    on("all", "change", () => finished.chooseAll($("all").checked));
    on("download", "click", () => finished.download());
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    const scrub = (event) => {
      const box = $("timeline").getBoundingClientRect(), x = (event.clientX - box.left) / box.width;
      finished.seek(finished.positionAt(x));
    };
    on("timeline", "pointerdown", (event) => {
      $("timeline").setPointerCapture(event.pointerId);
      const found = finished.trackAtTimeline(event);
      if (found) finished.jumpTo(found);
      else scrub(event);
    });
    on("timeline", "pointermove", (event) => event.buttons && scrub(event));
    new ResizeObserver(() => finished.paintTimeline()).observe($("timeline"));
  },

  onMark() {
    for (const row of $("tracks").children) {
      const isMarked = Number(row.dataset.id) === shown.marked;
      row.classList.toggle("marked", isMarked);
      if (isMarked) scrollInList(row);
    }
    finished.paintTimeline();
  },

  // ---- Frames

  indexOf(position) {
    let i = finished.starts.length - 1;
    while (finished.starts[i] > position) i--;
    return finished.run.frames[i][0] + position - finished.starts[i];
  },

  // Position of a frame, or of the next one that there is.
  positionOf(index) {
    const found = finished.run.frames.findIndex(([, last]) => index <= last);
    if (found < 0) return finished.numFrames - 1;
    return finished.starts[found] + Math.max(0, index - finished.run.frames[found][0]);
  },

  seek(position) {
    finished.target = Math.min(Math.max(Math.round(position), 0), finished.numFrames - 1);
    finished.fetchTarget();
  },

  step(count) {
    if (finished.isPlaying) finished.play();
    finished.seek(finished.target + count);
  },

  // One request at a time; of what is asked for meanwhile the newest counts.
  async fetchTarget() {
    if (finished.isFetching) return;
    finished.isFetching = true;
    try {
      let position = null;
      while (position !== finished.target) {
        position = finished.target;
        const response = await fetch(`frame/${finished.indexOf(position)}`);
        const { values, bitmap } = await readMessage(response);
        finished.position = position;
        showFrame(values, bitmap);
        finished.showPosition();
        finished.say(values);
      }
    } catch (error) {
      if (finished.isPlaying) finished.play();
      setMessage("The frame cannot be read. Is `stdet view` still there?");
    } finally {
      finished.isFetching = false;
    }
  },

  say(values) {
    const { run } = finished;
    if (values.problem) setMessage(values.problem);
    else setMessage(run.has_pictures ? "" : "No pictures are here; --source VIDEO shows them.");
  },

  showPosition() {
    const index = finished.indexOf(finished.position), { fps } = finished.run;
    const time = fps ? `${seconds(index / fps)}, ` : "";
    setText("position", `${time}frame ${index.toLocaleString("en")}`);
    $("timeline").setAttribute("aria-valuenow", String(index));
    finished.paintTimeline();
  },

  play() {
    finished.isPlaying = !finished.isPlaying;
    setText("play", finished.isPlaying ? "Pause" : "Play");
    if (!finished.isPlaying) return;
    if (finished.position >= finished.numFrames - 1) finished.position = 0;
    let exact = finished.position, before = performance.now();
    const tick = async (now) => {
      if (!finished.isPlaying) return;
      const speed = Number($("speed").value) * (finished.run.fps || 25);
      // Somebody has gone elsewhere; and a slow source is waited for, not run away from.
      if (Math.abs(exact - finished.position) > 1.5 + speed / 4) exact = finished.position;
      exact += ((now - before) / 1000) * speed;
      before = now;
      if (Math.floor(exact) > finished.position && !finished.isFetching) finished.seek(Math.floor(exact));
      if (finished.position >= finished.numFrames - 1) finished.play();
      else requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  },

  // ---- Tracks

  jumpTo(track) {
    mark(track.track_id);
    finished.seek(finished.positionOf(track.first_frame));
  },

  jumpTrack(step) {
    const { visible } = finished;
    if (!visible.length) return;
    const marked = visible.findIndex((track) => track.track_id === shown.marked);
    const index = finished.indexOf(finished.position);
    let next = marked + step;
    if (marked < 0) {
      const after = visible.findIndex((track) => track.first_frame > index);
      next = step > 0 ? (after < 0 ? 0 : after) : (after < 0 ? visible.length : after) - 1;
    }
    finished.jumpTo(visible[(next + visible.length) % visible.length]);
  },

  // Frames, where the frame rate is not known.
  secondsOf(track) {
    return (track.last_frame - track.first_frame + 1) / (finished.run.fps || 1);
  },

  lengthText(length) {
    return finished.run.fps ? seconds(length) : `${Math.round(length)} frames`;
  },

  filter() {
    const { run } = finished;
    const shortest = 1 / (run.fps || 1);
    const longest = finished.tracks.reduce((most, track) => Math.max(most, finished.secondsOf(track)), shortest);
    // Even in ratios: short tracks are told apart.
    const share = Number($("least-length").value) / 100;
    const least = share ? shortest * (longest / shortest) ** share : 0;
    const probability = Number($("least-probability").value) / 100;
    setText("least-length-value", finished.lengthText(least));
    setText("least-probability-value", percent(probability));
    finished.visible = finished.tracks.filter((track) =>
      finished.secondsOf(track) >= least - 1e-9
      && (probability === 0 || (track.probability ?? 0) >= probability));
    finished.visibleIds = new Set(finished.visible.map((track) => track.track_id));
    finished.pack();
    finished.list();
    finished.paintTimeline();
    draw();
  },

  list() {
    const key = $("order").value, num = finished.visible.length;
    const sign = key === "first_frame" ? 1 : -1;
    const value = (track) => (key === "num_frames" ? finished.secondsOf(track) : track[key] ?? -1);
    const sorted = [...finished.visible].sort((a, b) => sign * (value(a) - value(b)));
    const all = finished.tracks.length, word = all === 1 ? "track" : "tracks";
    setText("count", num === all ? `${num} ${word}` : `${num} of ${all} ${word}`);
    $("tracks").replaceChildren(...sorted.slice(0, MAX_ROWS).map(makeRow));
    if (num > MAX_ROWS) {
      const text = `${(num - MAX_ROWS).toLocaleString("en")} more: filter, or sort in another way.`;
      $("tracks").append(element("li", { textContent: text }));
    }
    finished.showChosen();
  },

  choose(trackId, isChosen) {
    if (isChosen) finished.chosen.add(trackId);
    else finished.chosen.delete(trackId);
    finished.showChosen();
  },

  chooseAll(isChosen) {
    for (const { track_id: trackId } of finished.visible) {
      if (isChosen) finished.chosen.add(trackId);
      else finished.chosen.delete(trackId);
    }
    finished.showChosen();
  },

  showChosen() {
    for (const box of $("tracks").querySelectorAll("input")) {
      box.checked = finished.chosen.has(Number(box.value));
    }
    const num = finished.visible.filter((track) => finished.chosen.has(track.track_id)).length;
    $("all").checked = num > 0 && num === finished.visible.length;
    $("all").indeterminate = num > 0 && num < finished.visible.length;
    setText("num-chosen", `${finished.chosen.size} chosen`);
    $("download").disabled = !finished.chosen.size;
  },

  async download() {
    const form = $("format").value;
    try {
      const response = await fetch("export", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ format: form, track_ids: [...finished.chosen] }),
      });
      if (!response.ok) throw new Error((await response.text()).trim());
      const name = decodeURIComponent(response.headers.get("Content-Disposition").split("''")[1]);
      save(await response.blob(), name);
    } catch (error) {
      setMessage(`Nothing was saved: ${error.message}`);
    }
  },

  // ---- Timeline

  // Tracks that do not meet share a lane.
  pack() {
    const ends = [];
    finished.lanes.clear();
    for (const track of finished.visible) {
      let lane = ends.findIndex((end) => end < track.first_frame);
      if (lane < 0) lane = ends.length;
      ends[lane] = track.last_frame;
      finished.lanes.set(track.track_id, lane);
    }
    finished.numLanes = Math.max(ends.length, 1);
    $("timeline").style.height = `${Math.min(128, 16 * Math.max(finished.numLanes, 2) + 28)}px`;
  },

  range() {
    const { frames } = finished.run, first = frames.length ? frames[0][0] : 0;
    return [first, Math.max(frames.length ? frames[frames.length - 1][1] : 0, first) + 1];
  },

  positionAt(share) {
    const [first, end] = finished.range();
    return finished.positionOf(first + Math.floor(share * (end - first)));
  },

  laneHeight(height) {
    return Math.min(16, (height - 24) / finished.numLanes);
  },

  trackAtTimeline(event) {
    const box = $("timeline").getBoundingClientRect(), [first, end] = finished.range();
    const lane = Math.floor((event.clientY - box.top - 4) / finished.laneHeight(box.height));
    const at = first + ((event.clientX - box.left) / box.width) * (end - first);
    const slack = (4 / box.width) * (end - first);
    return finished.visible.find((track) => finished.lanes.get(track.track_id) === lane
      && track.first_frame - slack <= at && at <= track.last_frame + 1 + slack
      && track.track_id !== shown.marked);
  },

  paintTimeline() {
    if (!finished.run) return;
    const canvas = $("timeline"), unit = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = width * unit;
    canvas.height = height * unit;
    const context = canvas.getContext("2d"), [first, end] = finished.range();
    context.scale(unit, unit);
    const x = (index) => ((index - first) / (end - first)) * width;
    const lane = finished.laneHeight(height);
    paintTicks(context, x, width, height);
    for (const track of finished.visible) {
      const left = x(track.first_frame), right = Math.max(x(track.last_frame + 1), left + 2);
      const isMarked = track.track_id === shown.marked;
      context.fillStyle = colourOf(track.track_id, isMarked || shown.marked === null ? 1 : 0.55);
      const top = 4 + finished.lanes.get(track.track_id) * lane;
      context.fillRect(left, top, right - left, Math.max(lane - 2, 1));
      if (isMarked) {
        context.strokeStyle = "#fff";
        context.lineWidth = 1.5;
        context.strokeRect(left - 1, top - 1, right - left + 2, Math.max(lane - 2, 1) + 2);
      }
    }
    context.fillStyle = "#fff";
    context.fillRect(x(finished.indexOf(finished.position) + 0.5) - 0.75, 0, 1.5, height);
  },
};

// Only within the list: on a phone the picture stays where it is.
function scrollInList(row) {
  const list = row.parentElement, top = row.offsetTop - list.offsetTop;
  if (top < list.scrollTop) list.scrollTop = top;
  const bottom = top + row.offsetHeight;
  if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
}

// Times below the lanes, in steps that leave room for their text.
function paintTicks(context, x, width, height) {
  const { fps } = finished.run, [first, end] = finished.range();
  const perUnit = fps || 1, span = (end - first) / perUnit;
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600];
  const step = steps.find((one) => (one / span) * width >= 70) || 10 ** Math.ceil(Math.log10(span / 5));
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = "#9ba7b1";
  context.textBaseline = "bottom";
  for (let time = Math.ceil(first / perUnit / step) * step; time < end / perUnit; time += step) {
    const at = x(time * perUnit);
    context.fillRect(at, height - 18, 1, 4);
    if (at < width - 40) context.fillText(fps ? seconds(time) : String(time), at + 3, height - 2);
  }
}

function makeRow(track) {
  const id = track.track_id, isChosen = finished.chosen.has(id);
  const box = element("input", { type: "checkbox", value: id, checked: isChosen });
  box.setAttribute("aria-label", `choose track ${id}`);
  box.addEventListener("click", (event) => event.stopPropagation());
  box.addEventListener("change", () => finished.choose(id, box.checked));
  const start = finished.run.fps ? seconds(track.first_frame / finished.run.fps) : `frame ${track.first_frame}`;
  const probability = probabilityText(track.probability);
  const when = `at ${start}, for ${finished.lengthText(finished.secondsOf(track))}`;
  const how = [track.motion, track.motion !== "hovering" && typeof track.speed_px_per_frame === "number"
    && `${track.speed_px_per_frame.toFixed(1)} px/frame`];
  const words = element(
    "button",
    { type: "button" },
    element("img", { alt: "", loading: "lazy", ...(finished.run.has_pictures && { src: `crop/${id}` }) }),
    element(
      "div",
      { className: "words" },
      element("p", {}, element("b", { textContent: String(id) }),
        element("span", { textContent: probability && `${probability} sure` })),
      element("span", { textContent: when }),
      element("span", { textContent: how.filter(Boolean).join(", ") }),
    ),
  );
  const row = element("li", { className: "track" }, box, words);
  row.dataset.id = id;
  row.classList.toggle("marked", id === shown.marked);
  row.style.setProperty("--colour", colourOf(id));
  row.addEventListener("click", () => finished.jumpTo(track));
  return row;
}

if (mode === "view") begin(finished);
