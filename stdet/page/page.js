"use strict";
// What both pages share: the picture, what is drawn over it, zoom, snapshot, keys.
// live.js and view.js follow in the same script; one of them begins, by the mode of the page.

const mode = document.body.dataset.mode;
const $ = (id) => document.getElementById(id);

const BOX_GAP = 4;      // Screen pixels between a target and its box.
const CROWD = 12;       // With more tracks, labels are ids alone.
const MAX_ZOOM = 40;
const INSET_PX = 24;    // Least side of what is enlarged in the corner, pixels of the frame.

const shown = {
  frame: null,          // Values of message.py
  bitmap: null,         // Picture of that frame, or null
  hw: [512, 640],       // Size of frames; the picture may be larger
  name: "stdet",
  boxes: true,
  others: false,
  marked: null,         // Id of the marked track
  isVisible: () => true,
};
const view = { zoom: 1, x: null, y: null };  // Centre in pixels of the frame; null: the middle
let isDrawing = false;

function element(tag, values, ...children) {
  const made = Object.assign(document.createElement(tag), values);
  made.append(...children);
  return made;
}

function setText(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function setState(kind, text) {
  $("state").dataset.kind = kind;
  setText("state", text);
}

function setMessage(text, isBig = false) {
  $("message").hidden = !text;
  $("message").className = isBig ? "big" : "";
  setText("message", text);
}

function percent(share, digits = 0) {
  return share === null ? "-" : `${(100 * share).toFixed(digits)} %`;
}

// Nothing is certain.
function probabilityText(probability) {
  if (probability === null) return "";
  return probability > 0.99 ? ">99 %" : percent(probability);
}

function seconds(value) {
  if (value < 60) return `${value.toFixed(value < 10 ? 1 : 0)} s`;
  const whole = Math.round(value), minutes = Math.floor(whole / 60), hours = Math.floor(minutes / 60);
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes % 60)}:${two(whole % 60)} h` : `${minutes}:${two(whole % 60)} min`;
}

// The colour of io/drawing.py: by the golden ratio, so that neighbours differ.
function colourOf(trackId, alpha = 1) {
  const hue = (trackId * 0.618033988749895) % 1;
  return `hsl(${(hue * 360).toFixed(1)} 100% 70% / ${alpha})`;
}

// A message of message.py: length, JSON, JPEG.
async function readMessage(response) {
  if (!response.ok) throw new Error(`${response.status} ${(await response.text()).trim()}`);
  const buffer = await response.arrayBuffer();
  const end = 4 + new DataView(buffer).getUint32(0);
  const values = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, end - 4)));
  let bitmap = null;
  if (end < buffer.byteLength) {
    bitmap = await createImageBitmap(new Blob([new Uint8Array(buffer, end)], { type: "image/jpeg" }));
  }
  return { values, bitmap };
}

function showFrame(frame, bitmap) {
  if (shown.bitmap && shown.bitmap !== bitmap) shown.bitmap.close();
  shown.frame = frame;
  shown.bitmap = bitmap;
  draw();
}

function setSize(hw) {
  if (hw[0] === shown.hw[0] && hw[1] === shown.hw[1]) return;
  shown.hw = hw;
  $("stage").style.setProperty("--ratio", hw[1] / hw[0]);
  fitCanvas();
}

// ---- Drawing

function draw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    paint();
  });
}

function fitCanvas() {
  const canvas = $("picture"), ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  draw();
}

// Where the frame lies on a canvas: factor, and place of its corner.
function placeOn(width, height) {
  const [h, w] = shown.hw;
  const factor = Math.min(width / w, height / h) * view.zoom;
  const along = (size, length, centre) => {
    const whole = size * factor;
    if (whole <= length) return (length - whole) / 2;
    const start = length / 2 - (centre === null ? size / 2 : centre) * factor;
    return Math.min(0, Math.max(length - whole, start));
  };
  return { factor, x: along(w, width, view.x), y: along(h, height, view.y) };
}

function paint() {
  const canvas = $("picture"), context = canvas.getContext("2d");
  const place = placeOn(canvas.width, canvas.height);
  const unit = window.devicePixelRatio || 1;
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  paintPicture(context, place);
  if (!shown.frame) return;
  paintOverlay(context, place, unit, [canvas.width, canvas.height]);
  paintInset(context, canvas, place, unit);
}

function paintPicture(context, place) {
  if (!shown.bitmap) return;
  const [h, w] = shown.hw;
  context.imageSmoothingEnabled = place.factor < 1.5;
  context.drawImage(shown.bitmap, place.x, place.y, w * place.factor, h * place.factor);
}

function outline(box, place, unit) {
  const gap = BOX_GAP * unit;
  const x = place.x + box[0] * place.factor - gap, y = place.y + box[1] * place.factor - gap;
  const right = place.x + box[2] * place.factor + gap, bottom = place.y + box[3] * place.factor + gap;
  return { x, y, width: right - x, height: bottom - y };
}

function visibleTracks() {
  return shown.frame.tracks.filter((track) => shown.isVisible(track.track_id));
}

function paintOverlay(context, place, unit, size) {
  context.lineJoin = "round";
  if (shown.others) {
    context.lineWidth = unit;
    context.strokeStyle = "rgb(190 190 190 / .8)";
    for (const box of shown.frame.others) {
      const o = outline(box, place, unit);
      context.strokeRect(o.x, o.y, o.width, o.height);
    }
  }
  const tracks = visibleTracks().filter((track) => shown.boxes || track.track_id === shown.marked);
  for (const track of tracks) paintTrail(context, track, place, unit);
  for (const track of tracks) paintBox(context, track, place, unit);
  const taken = [], isCrowded = tracks.length > CROWD;
  tracks.sort((a, b) => (b.track_id === shown.marked) - (a.track_id === shown.marked));
  for (const track of tracks) paintLabel(context, track, place, unit, size, taken, isCrowded);
}

function paintTrail(context, track, place, unit) {
  const points = track.trail, box = outline(track.box_xyxy, place, unit);
  context.lineWidth = 1.5 * unit;
  // The trail ends at the box, so that it does not cover the target.
  context.save();
  context.beginPath();
  context.rect(0, 0, context.canvas.width, context.canvas.height);
  context.rect(box.x, box.y, box.width, box.height);
  context.clip("evenodd");
  for (let i = 1; i < points.length; i++) {
    context.strokeStyle = colourOf(track.track_id, 0.15 + (0.85 * i) / points.length);
    context.beginPath();
    context.moveTo(place.x + points[i - 1][0] * place.factor, place.y + points[i - 1][1] * place.factor);
    context.lineTo(place.x + points[i][0] * place.factor, place.y + points[i][1] * place.factor);
    context.stroke();
  }
  context.restore();
}

function paintBox(context, track, place, unit) {
  const box = outline(track.box_xyxy, place, unit), isMarked = track.track_id === shown.marked;
  context.setLineDash(track.is_coasted ? [4 * unit, 4 * unit] : []);
  context.lineWidth = (isMarked ? 5 : 4) * unit;
  context.strokeStyle = "rgb(0 0 0 / .55)";  // Sets the line off from bright ground.
  context.strokeRect(box.x, box.y, box.width, box.height);
  context.lineWidth = (isMarked ? 3 : 2) * unit;
  context.strokeStyle = colourOf(track.track_id);
  context.strokeRect(box.x, box.y, box.width, box.height);
  context.setLineDash([]);
}

// The label stands where it covers no other one; where there is no room it is left out.
function paintLabel(context, track, place, unit, size, taken, isCrowded) {
  const box = outline(track.box_xyxy, place, unit);
  if (box.x > size[0] || box.y > size[1] || box.x + box.width < 0 || box.y + box.height < 0) return;
  const id = String(track.track_id);
  const probability = isCrowded && track.track_id !== shown.marked ? "" : probabilityText(track.probability);
  const bold = `600 ${13 * unit}px system-ui, sans-serif`, plain = `${13 * unit}px system-ui, sans-serif`;
  context.font = bold;
  const idWidth = context.measureText(id).width;
  context.font = plain;
  const more = probability ? context.measureText(probability).width + 6 * unit : 0;
  const width = idWidth + more + 8 * unit, height = 18 * unit, gap = 3 * unit;
  const x = Math.max(0, Math.min(box.x, size[0] - width));
  const places = [box.y - height - gap, box.y + box.height + gap, box.y - 2 * height - gap];
  const free = (y) => y >= 0 && y + height <= size[1]
    && !taken.some((t) => x < t.x + t.width && t.x < x + width && y < t.y + height && t.y < y + height);
  const y = places.find(free);
  if (y === undefined) return;
  taken.push({ x, y, width });
  context.fillStyle = "rgb(0 0 0 / .7)";
  context.fillRect(x, y, width, height);
  context.textBaseline = "middle";
  context.font = bold;
  context.fillStyle = colourOf(track.track_id);
  context.fillText(id, x + 4 * unit, y + height / 2 + unit / 2);
  context.font = plain;
  context.fillStyle = "#e9edf0";
  context.fillText(probability, x + idWidth + 10 * unit, y + height / 2 + unit / 2);
}

// The marked track enlarged, in the corner that is farthest from it.
function paintInset(context, canvas, place, unit) {
  const track = shown.frame.tracks.find((one) => one.track_id === shown.marked);
  if (!track || !shown.bitmap) return;
  const [x1, y1, x2, y2] = track.box_xyxy, [h, w] = shown.hw;
  const side = Math.min(Math.max(INSET_PX, 3 * Math.max(x2 - x1, y2 - y1)), w, h);
  const size = Math.round(0.34 * Math.min(canvas.width, canvas.height));
  const left = Math.min(Math.max((x1 + x2 - side) / 2, 0), w - side);
  const top = Math.min(Math.max((y1 + y2 - side) / 2, 0), h - side);
  const x = place.x + ((x1 + x2) / 2) * place.factor, y = place.y + ((y1 + y2) / 2) * place.factor;
  const margin = 10 * unit;
  const toX = x > canvas.width / 2 ? margin : canvas.width - size - margin;
  const toY = y > canvas.height / 2 ? margin : canvas.height - size - margin;
  if (size / side < 1.5 * place.factor) return;  // It is as large already.
  context.imageSmoothingEnabled = false;
  context.drawImage(stretched(left, top, side), toX, toY, size, size);
  context.lineWidth = 2 * unit;
  context.strokeStyle = colourOf(track.track_id);
  context.strokeRect(toX, toY, size, size);
}

// A square of the picture with its levels stretched to black and white: dim targets must be seen.
function stretched(left, top, side) {
  const ratio = shown.bitmap.width / shown.hw[1], size = Math.max(1, Math.round(side * ratio));
  const canvas = element("canvas", { width: size, height: size });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(shown.bitmap, Math.round(left * ratio), Math.round(top * ratio), size, size, 0, 0, size, size);
  const image = context.getImageData(0, 0, size, size), levels = image.data;
  const greys = Uint8Array.from({ length: size * size }, (_, i) => levels[4 * i + 1]).sort();
  const low = greys[Math.floor(0.005 * greys.length)], span = Math.max(greys[greys.length - 1] - low, 1);
  for (let i = 0; i < levels.length; i++) {
    if (i % 4 !== 3) levels[i] = (255 * (levels[i] - low)) / span;  // Clamped by the array.
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

// ---- Zoom and marking

function zoomAt(factor, x, y) {
  const canvas = $("picture"), before = placeOn(canvas.width, canvas.height);
  const frameX = (x - before.x) / before.factor, frameY = (y - before.y) / before.factor;
  view.zoom = Math.min(MAX_ZOOM, Math.max(1, view.zoom * factor));
  const after = placeOn(canvas.width, canvas.height);
  view.x = view.zoom === 1 ? null : frameX - (x - canvas.width / 2) / after.factor;
  view.y = view.zoom === 1 ? null : frameY - (y - canvas.height / 2) / after.factor;
  keepInside();
  draw();
}

function keepInside() {
  const canvas = $("picture"), place = placeOn(canvas.width, canvas.height);
  if (view.x !== null) view.x = (canvas.width / 2 - place.x) / place.factor;
  if (view.y !== null) view.y = (canvas.height / 2 - place.y) / place.factor;
}

function zoomMiddle(factor) {
  zoomAt(factor, $("picture").width / 2, $("picture").height / 2);
}

function mark(trackId) {
  shown.marked = trackId;
  draw();
  page.onMark();
}

function trackAt(x, y) {
  if (!shown.frame) return null;
  const unit = window.devicePixelRatio || 1, place = placeOn($("picture").width, $("picture").height);
  let best = null, least = 24 * unit;
  for (const track of visibleTracks()) {
    const o = outline(track.box_xyxy, place, unit);
    const dx = Math.max(o.x - x, 0, x - o.x - o.width), dy = Math.max(o.y - y, 0, y - o.y - o.height);
    if (Math.hypot(dx, dy) < least) [best, least] = [track.track_id, Math.hypot(dx, dy)];
  }
  return best;
}

function listenToPicture() {
  const canvas = $("picture"), pointers = new Map();
  let moved = 0;
  const at = (event) => {
    const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left) * ratio, y: (event.clientY - box.top) * ratio };
  };
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const point = at(event);
    zoomAt(Math.exp(-event.deltaY / 400), point.x, point.y);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    if (!pointers.size) moved = 0;
    pointers.set(event.pointerId, at(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = at(event), others = [...pointers].filter(([id]) => id !== event.pointerId);
    moved += Math.hypot(now.x - before.x, now.y - before.y);
    if (others.length) {
      const other = others[0][1], distance = (p) => Math.hypot(p.x - other.x, p.y - other.y) || 1;
      zoomAt(distance(now) / distance(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    } else if (view.x !== null) {
      const factor = placeOn(canvas.width, canvas.height).factor;
      view.x -= (now.x - before.x) / factor;
      view.y -= (now.y - before.y) / factor;
      keepInside();
      draw();
    }
    pointers.set(event.pointerId, now);
  });
  const up = (event) => {
    const point = pointers.get(event.pointerId);
    pointers.delete(event.pointerId);
    const isClick = point && event.type === "pointerup" && moved < 8 * (window.devicePixelRatio || 1);
    if (!isClick || pointers.size) return;
    const found = trackAt(point.x, point.y);
    mark(found === shown.marked ? null : found);
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("dblclick", (event) => {
    const point = at(event);
    zoomAt(view.zoom > 1 ? 1 / MAX_ZOOM : 4, point.x, point.y);
  });
}

// ---- Snapshot and keys

function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function fileName(ending) {
  return `${shown.name.replace(/[^A-Za-z0-9._-]+/g, "_").replace(/^_+|_+$/g, "") || "stdet"}${ending}`;
}

// The whole frame with what is drawn over it, enlarged by a whole factor.
function snapshot() {
  if (!shown.frame) return;
  const [h, w] = shown.hw, factor = Math.max(1, Math.min(4, Math.round(1280 / w)));
  const canvas = element("canvas", { width: w * factor, height: h * factor });
  const context = canvas.getContext("2d"), place = { factor, x: 0, y: 0 };
  context.fillRect(0, 0, canvas.width, canvas.height);
  paintPicture(context, place);
  paintOverlay(context, place, 1, [canvas.width, canvas.height]);
  canvas.toBlob((blob) => save(blob, fileName(`_frame${shown.frame.frame_index}.png`)), "image/png");
}

function toggle(name) {
  shown[name] = !shown[name];
  $(name).setAttribute("aria-pressed", String(shown[name]));
  draw();
}

const KEYS = {
  s: snapshot,
  b: () => toggle("boxes"),
  "+": () => zoomMiddle(1.5),
  "=": () => zoomMiddle(1.5),
  "-": () => zoomMiddle(1 / 1.5),
  0: () => zoomMiddle(1 / MAX_ZOOM),
  "?": () => $("keys").showModal(),
  Escape: () => mark(null),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  const target = event.target, isField = target.matches("input, select");
  if (isField && !["Escape", "?"].includes(event.key)) return;
  if (event.key === " " && target.matches("button")) return;  // It presses the button.
  const act = page.keys[event.key] || KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act(event);
}

let page;

function begin(which) {
  page = which;
  listenToPicture();
  document.addEventListener("keydown", onKey);
  $("zoom-in").addEventListener("click", () => zoomMiddle(1.5));
  $("zoom-out").addEventListener("click", () => zoomMiddle(1 / 1.5));
  $("snapshot").addEventListener("click", snapshot);
  $("boxes").addEventListener("click", () => toggle("boxes"));
  $("others").addEventListener("click", () => toggle("others"));
  $("help").addEventListener("click", () => $("keys").showModal());
  new ResizeObserver(fitCanvas).observe($("stage"));
  which.start();
}
