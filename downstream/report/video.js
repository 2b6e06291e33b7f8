// One video: heading, curve, pictures, table. Drawn when it comes near the screen, kept up with the threshold there.

function makeShell(video) {
  const kind = video.label === 1 ? "abnormal" : video.label === 0 ? "normal" : null;
  const title = element("h3", { id: `name-${video.number}`, text: video.name });
  video.counts = element("span", { class: "counts" });
  video.body = element("div", { class: "body" });
  const head = element("div", { class: "head" }, title);
  // what happens in it, where that is known; else whether anything does
  const named = video.class && video.class.toLowerCase() !== kind ? video.class : kind;
  if (named) head.append(element("span", { class: `badge ${kind || ""}`, text: named }));
  if (video.plays && video.scores) head.append(playButton(video));
  if (video.link) head.append(element("a", { href: video.link, text: "open video", "aria-label": `open video ${video.name}` }));
  head.append(video.counts);
  const item = element("li", { class: "video", "aria-labelledby": `name-${video.number}` }, head);
  if (video.problem) item.append(element("p", { class: "problem", text: video.problem }));
  if (video.scores) item.append(video.body);
  item.video = video;
  video.item = item;
  return item;
}

function showCounts(video) {
  if (!video.scores) {
    video.counts.textContent = "no scores";
    return;
  }
  const parts = [plural(video.events.length, "event")];
  if (video.spans && video.false) parts.push(plural(video.false, "false alarm"));
  parts.push(`highest: ${levelWords(video, video.highest)}`);
  video.counts.textContent = parts.join(" · ");
}

function curvePoints(video) {
  const { scores, edges, frames } = video;
  const x = (frame) => ((frame / frames) * 1000).toFixed(2);
  const y = (score) => ((1 - share(score)) * 100).toFixed(2);
  const points = [];
  const step = Math.ceil(scores.length / MAX_COLUMNS);
  for (let i = 0; i < scores.length; i += step) {
    const part = scores.subarray(i, i + step);
    const last = Math.min(i + step, scores.length);
    let [low, high] = [part[0], part[0]];
    for (const score of part) [low, high] = [Math.min(low, score), Math.max(high, score)];
    if (low < high) points.push(`${x(edges[i])} ${y(low)}`);
    points.push(`${x(edges[i])} ${y(high)}`, `${x(edges[last])} ${y(high)}`);
  }
  return points.join("L");
}

// the axis is of frames: where seconds are not even along it, four of its places say theirs
function unevenTicks(video) {
  const row = element("div", { class: "times", "aria-hidden": "true" });
  for (const at of [0, 0.25, 0.5, 0.75, 1]) {
    const frame = Math.round(at * video.frames);
    const tick = element("span", { text: clock(at < 1 ? beginOf(video, frame) : endOf(video, frame), false) });
    tick.style.left = `${100 * at}%`;
    row.append(tick);
  }
  return row;
}

function timeTicks(video) {
  if (video.begins) return unevenTicks(video);
  const seconds = video.frames / video.fps;
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
  const step = steps.find((each) => seconds / each <= 4) || Math.ceil(seconds / 4 / 86400) * 86400;
  const ticks = [0];
  for (let at = step; at < 0.75 * seconds; at += step) ticks.push(at);
  const row = element("div", { class: "times", "aria-hidden": "true" });
  for (const at of [...ticks, seconds]) {
    const tick = element("span", { text: clock(at, false) });
    tick.style.left = `${(100 * at) / seconds}%`;
    row.append(tick);
  }
  return row;
}

const sideLabel = (text, top, kind) => {
  const label = element("span", { text, class: kind });
  label.style.top = `${top}%`;
  return label;
};

function makeTimeline(video) {
  const picture = svg("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img" });
  const points = curvePoints(video);
  picture.append(svg("path", { class: "area", d: `M0 100L${points}L1000 100Z` }), svg("path", { class: "curve", d: `M${points}` }));
  video.limitLine = svg("line", { class: "limit-line", x1: 0, x2: 1000 });
  picture.append(video.limitLine);
  const plot = element("div", { class: "plot" }, picture);
  video.side = element("div", { class: "side", "aria-hidden": "true" });
  video.foundRow = element("div", { class: "row" });
  const timeline = element("div", { class: "timeline" }, video.side, plot, rowName("found"), video.foundRow);
  if (video.spans && video.spans.length) {
    const row = element("div", { class: "row" });
    for (const [start, end] of video.spans) row.append(bar(video, start, end, "truth"));
    timeline.append(rowName("annotated"), row);
  }
  timeline.append(element("div"), timeTicks(video));
  followPointer(video, plot);
  markByHand(video, plot);
  video.picture = picture;
  return timeline;
}

const rowName = (text) => element("div", { class: "side of-row", "aria-hidden": "true", text });

function bar(video, start, end, kind) {
  const made = element("i", { class: kind });
  const from = Math.min(start / video.frames, 1);
  made.style.left = `${100 * from}%`;
  made.style.width = `${100 * (Math.min(end / video.frames, 1) - from)}%`;
  return made;
}

function followPointer(video, plot) {
  const cursor = element("div", { class: "cursor", hidden: "" });
  const readout = element("div", { class: "readout", hidden: "", "aria-hidden": "true" });
  plot.append(cursor, readout);
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const at = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    const frame = at * video.frames;
    readout.textContent = momentWords(video, frame);
    cursor.hidden = readout.hidden = false;
    placeAt(cursor, readout, at);
  });
  plot.addEventListener("pointerleave", () => (cursor.hidden = readout.hidden = true));
}

const shortLevel = (video, score) => levelWords(video, score).replace(" for this video", "");
const momentWords = (video, frame) => {
  const score = video.scores[snippetOf(video, frame, false)];
  return `${clock(beginOf(video, frame))}  ${levelWords(video, score)}  (score ${scoreWords(score)})`;
};

function placeAt(line, words, at) {
  line.style.left = `${100 * at}%`;
  words.style.left = at < 0.5 ? `calc(${100 * at}% + 6px)` : "auto";
  words.style.right = at < 0.5 ? "auto" : `calc(${100 * (1 - at)}% + 6px)`;
}

// a moment that was clicked stays marked; the video beside it goes there, and moves the mark while it plays
function markByHand(video, plot) {
  const line = element("div", { class: "mark", hidden: "" });
  const words = element("div", { class: "readout of-mark", hidden: "", role: "status" });
  plot.append(line, words);
  plot.setAttribute("tabindex", "0");
  plot.setAttribute("role", "slider");
  plot.setAttribute("aria-label", `Moment of ${video.name}`);
  plot.setAttribute("aria-valuemin", "0");
  plot.setAttribute("aria-valuemax", beginOf(video, video.frames).toFixed(1));
  video.mark = (frame) => {
    video.marked = Math.min(Math.max(frame, 0), video.frames - 1);
    line.hidden = words.hidden = false;
    words.textContent = momentWords(video, video.marked);
    placeAt(line, words, video.marked / video.frames);
    plot.setAttribute("aria-valuenow", beginOf(video, video.marked).toFixed(1));
    plot.setAttribute("aria-valuetext", words.textContent);
  };
  video.goTo = (frame) => {
    video.mark(frame);
    if (video.plays) play(video, beginOf(video, video.marked));
  };
  plot.setAttribute("aria-valuenow", "0");
  plot.addEventListener("click", (event) => {
    const box = plot.getBoundingClientRect();
    video.goTo(((event.clientX - box.left) / box.width) * video.frames);
  });
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10 }[event.key];
    if (step) video.goTo((video.marked || 0) + step * (video.edges[1] - video.edges[0]));
    else if (event.key === "Home") video.goTo(0);
    else if (event.key === "End") video.goTo(video.frames);
    else return;
    event.preventDefault();
  });
}

// the file beside the page is read when somebody wants to see it, and not before
function play(video, seconds) {
  if (!video.player) {
    const player = element("video", { controls: "", preload: "metadata", playsinline: "", "aria-label": `Video ${video.name}` });
    player.muted = true;
    player.addEventListener("timeupdate", () => video.mark(frameAt(video, player.currentTime)));
    player.addEventListener("error", () => {
      const words = element("p", { class: "problem", text: "This browser cannot play the file here, or it no longer lies beside the page: " });
      words.append(element("a", { href: linkAt(video, seconds), text: "open it" }));
      player.replaceWith(words);
      video.plays = video.player = null;
    });
    player.src = video.link;
    video.player = player;
    video.media.prepend(player);
    video.details.before(video.media);
  }
  const go = () => (video.player.currentTime = seconds);
  if (video.player.readyState > 0) go();
  else video.player.addEventListener("loadedmetadata", go, { once: true });
}

// the frame that is shown at a time: snippet by snippet, evenly within one
function frameAt(video, seconds) {
  if (!video.begins) return seconds * video.fps;
  let i = video.begins.findIndex((begin) => begin > seconds);
  i = Math.max(0, (i < 0 ? video.begins.length : i) - 1);
  const length = Math.max(1e-9, video.ends[i] - video.begins[i]);
  const part = Math.min(1, (seconds - video.begins[i]) / length);
  return video.edges[i] + part * (video.edges[i + 1] - video.edges[i]);
}

function playButton(video) {
  const button = element("button", { type: "button", class: "play", text: "▶ Play here", "aria-label": `Play ${video.name} here` });
  const best = video.scores.indexOf(video.highest);
  button.addEventListener("click", () => {
    drawBody(video);
    video.goTo(video.marked ?? (video.events.length ? video.events[0].start : video.edges[best]));
    if (video.player) video.player.play().catch(() => {}); // where the file fails, that is told
  });
  return button;
}

function makePictures(video) {
  const row = element("div", { class: "pictures" });
  const images = video.pictures.map((one) => {
    const image = element("img", { alt: one.alt, decoding: "async" });
    const caption = element("figcaption", { text: `${clock(one.seconds)}  ${shortLevel(video, one.score)}` });
    const show = element("button", { type: "button", class: "show", "aria-label": `Go to ${clock(one.seconds)}: ${one.alt}` }, image);
    show.addEventListener("click", () => video.goTo(one.frame));
    row.append(element("figure", { class: one.wide ? "wide" : "" }, show, caption));
    return image;
  });
  whenParsed(() => {
    const sources = JSON.parse(byId(`pictures-${video.number}`).textContent);
    images.forEach((image, i) => (image.src = `data:image/jpeg;base64,${sources[i]}`));
  });
  return row;
}

// pictures stand behind this script: the page is there before the last of them has been read
function whenParsed(act) {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", act, { once: true });
  else act();
}

function eventTable(video) {
  const often = video.events.some((event) => oftenWords(event.peak));
  const columns = ["Event", "Start", "End", "Peak", "Alarm level", ...(often ? ["As high"] : []), "Score"];
  if (video.spans) columns.push("Annotated there");
  const head = element("tr", {}, ...columns.map((text) => element("th", { scope: "col", text })));
  const rows = video.events.map((event, i) => {
    const peak = (beginOf(video, event.peakStart) + endOf(video, event.peakEnd)) / 2;
    const time = (seconds) => maybeLink(linkAt(video, seconds), element("span", { text: clock(seconds) }));
    const level = levelOf(video, event.peak);
    const cells = [time(beginOf(video, event.start)), time(endOf(video, event.end)), time(peak), level ? `${level.value}, ${level.word}` : "–"];
    if (often) cells.push(oftenWords(event.peak) || "–");
    cells.push(scoreWords(event.peak));
    if (video.spans) cells.push(event.isFalse ? "no: false alarm" : "yes");
    return element("tr", {}, element("th", { scope: "row", text: String(i + 1) }), ...cells.map((cell) => element("td", { class: "number" }, cell)));
  });
  const caption = element("caption", { class: "hidden", text: `Events of ${video.name}` });
  return element("table", {}, caption, element("thead", {}, head), element("tbody", {}, ...rows));
}

function describe(video) {
  const span = (start, end) => `${clock(beginOf(video, start))} to ${clock(endOf(video, end))}`;
  const events = video.events.slice(0, 5).map((event) => span(event.start, event.end));
  const more = video.events.length > 5 ? ` and ${video.events.length - 5} more` : "";
  const truth = (video.spans || []).slice(0, 5).map(([s, e]) => span(s, e));
  return (
    `Scores of ${video.name} over ${clock(seenBefore(video, video.frames))}, highest ${levelWords(video, video.highest)}. ` +
    (events.length ? `Events: ${events.join(", ")}${more}.` : "No event.") +
    (truth.length ? ` Annotated: ${truth.join(", ")}.` : "")
  );
}

// what changes with the threshold, of a video that is drawn
function refresh(video) {
  const at = 100 * (1 - share(limits.threshold));
  video.limitLine.setAttribute("y1", at);
  video.limitLine.setAttribute("y2", at);
  const ends = [sideLabel("high", 3, ""), sideLabel("low", 97, "")];
  const free = ends.filter((_, i) => Math.abs(at - 100 * i) > 15);
  video.side.replaceChildren(...free, sideLabel("threshold", Math.min(Math.max(at, 6), 94), "at"));
  video.foundRow.replaceChildren(
    ...video.events.map((event) => bar(video, event.start, event.end, event.isFalse ? "found false" : "found"))
  );
  video.picture.setAttribute("aria-label", describe(video));
  video.detailsHead.textContent = video.events.length ? plural(video.events.length, "event") + " as a table" : "No event at this threshold";
  fillTable(video);
}

function fillTable(video) {
  const label = `Events of ${video.name}`;
  const scroll = () => element("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label }, eventTable(video));
  const rest = video.details.open && video.events.length ? [scroll()] : [];
  video.details.replaceChildren(video.detailsHead, ...rest);
}

function drawBody(video) {
  if (video.isDrawn || !video.scores) return;
  video.isDrawn = true;
  video.detailsHead = element("summary");
  video.details = element("details", {}, video.detailsHead);
  video.details.addEventListener("toggle", () => fillTable(video));
  video.body.append(makeTimeline(video));
  video.media = element("div", { class: "media" });
  if (video.pictures.length) video.media.append(makePictures(video));
  if (video.pictures.length) video.body.append(video.media); // empty it would move all that follows
  video.body.append(video.details);
  refresh(video);
}
