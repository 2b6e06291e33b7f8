// Scores, events and sums over all videos at one threshold; nothing here draws.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const STEPS = 1000; // of the slider
const MAX_COLUMNS = 1200; // a curve of more snippets than that is drawn as its highest and lowest per column

function floats(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new Float64Array(bytes.buffer); // little-endian, as every machine with a browser is
}

function edgesOf(entry, count) {
  if (entry.edges) return entry.edges;
  return Array.from({ length: count + 1 }, (_, i) => (i < count ? i * entry.step : entry.end));
}

const videos = data.videos.map((entry, number) => {
  const scores = entry.scores === undefined ? null : floats(entry.scores);
  const video = { ...entry, number, scores, edges: scores ? edgesOf(entry, scores.length) : [0] };
  video.highest = scores ? scores.reduce((a, b) => Math.max(a, b), -Infinity) : -Infinity;
  video.frames = video.edges[video.edges.length - 1];
  return video;
});
const scored = videos.filter((video) => video.scores);
const judged = scored.filter((video) => video.spans); // of which it is known what is normal
const { axis, rule } = data;

// axis value of a score: log odds, or the score itself
function onAxis(score) {
  const value = axis.kind === "odds" ? Math.log(score) - Math.log1p(-score) : score;
  return Math.min(Math.max(value, axis.low), axis.high);
}
const fromAxis = (value) => (axis.kind === "odds" ? 1 / (1 + Math.exp(-value)) : value);
const share = (score) => (onAxis(score) - axis.low) / (axis.high - axis.low);

// the distance of the rule's own release from its threshold is kept while the threshold moves
function releaseFor(threshold) {
  if (threshold === rule.threshold) return rule.release; // to the last bit
  if (rule.release === rule.threshold) return threshold;
  const odds = (p) => Math.log(p) - Math.log1p(-p);
  if (axis.kind !== "odds") return threshold - (rule.threshold - rule.release);
  if (!(rule.release > 0) || !(threshold > 0 && threshold < 1)) return Math.min(rule.release, threshold);
  return Math.min(threshold, fromAxis(odds(threshold) - (odds(rule.threshold) - odds(rule.release))));
}

// the snippet that holds a frame; of one on an edge the later one, or the one before
function snippetOf(video, frame, before) {
  let [low, high] = [0, video.edges.length - 2];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (before ? video.edges[middle] < frame : video.edges[middle] <= frame) low = middle;
    else high = middle - 1;
  }
  return low;
}

// seconds by the frames' own times, where the frame rate does not say them: exact at edges of snippets
function between(video, frame, i, from, to) {
  const [start, end] = [video.edges[i], video.edges[i + 1]];
  return from + ((to - from) * (frame - start)) / (end - start);
}
function beginOf(video, frame) {
  if (!video.begins) return frame / video.fps;
  const i = snippetOf(video, frame, false);
  return between(video, frame, i, video.begins[i], video.ends[i]);
}
function endOf(video, frame) {
  if (!video.begins) return frame / video.fps;
  const i = snippetOf(video, frame, true);
  return between(video, frame, i, video.begins[i], video.ends[i]);
}
// seconds of footage before a frame: gaps in the recording do not count
function seenBefore(video, frame) {
  if (!video.seen) return frame / video.fps;
  const i = snippetOf(video, frame, false);
  return between(video, frame, i, video.seen[i], video.seen[i + 1]);
}
const seenIn = (video, start, end) => seenBefore(video, end) - seenBefore(video, start);
const SLACK_SECONDS = 0.005; // of downstream/events/rule.py: times in files are rounded

// the rule of downstream/events/finder.py, snippet by snippet
function findEvents(video, limits) {
  const { scores, edges } = video;
  const least = limits.min_seconds - SLACK_SECONDS;
  const gap = limits.merge_seconds + SLACK_SECONDS;
  const found = [];
  let open = null;
  let isOver = false;
  const close = () => {
    if (open && seenIn(video, open.start, open.end) >= least) found.push(open);
    open = null;
    isOver = false;
  };
  for (let i = 0; i < scores.length; i++) {
    const start = edges[i];
    const end = edges[i + 1];
    const score = scores[i];
    if (open && beginOf(video, start) - endOf(video, open.end) > gap) close();
    const goesOn = open && !isOver && score >= limits.release;
    if (!goesOn && score < limits.threshold) {
      isOver = true;
      continue;
    }
    if (!open) open = { start, end, peak: score, peakStart: start, peakEnd: end };
    else {
      open.end = end;
      if (score > open.peak) Object.assign(open, { peak: score, peakStart: start, peakEnd: end });
    }
    isOver = false;
  }
  close();
  return found;
}

const touches = (event, spans) => spans.some(([start, end]) => start < event.end && event.start < end);
const normalSeconds = (video) =>
  video.spans.reduce((left, [s, e]) => left - Math.max(0, seenIn(video, s, Math.max(s, Math.min(e, video.frames)))), seenBefore(video, video.frames));
const hoursOf = (list, seconds) => list.reduce((sum, video) => sum + seconds(video), 0) / 3600;
const normalHours = hoursOf(judged, normalSeconds);
const allHours = hoursOf(scored, (video) => seenBefore(video, video.frames));
const spanCount = judged.reduce((sum, video) => sum + video.spans.length, 0);

let limits = null;
let totals = null;

function setThreshold(threshold) {
  limits = { ...rule, threshold, release: releaseFor(threshold) };
  totals = { events: 0, videos: 0, judged: 0, false: 0, spans: 0 };
  for (const video of scored) {
    video.events = findEvents(video, limits);
    totals.events += video.events.length;
    totals.videos += video.events.length > 0;
    video.false = 0;
    if (!video.spans) continue;
    for (const event of video.events) {
      event.isFalse = !touches(event, video.spans);
      video.false += event.isFalse;
    }
    totals.judged += video.events.length;
    totals.false += video.false;
    totals.spans += video.spans.filter(([start, end]) => video.events.some((event) => touches(event, [[start, end]]))).length;
  }
}

function alarmWords() {
  if (!judged.length) return `${rateWords(totals.events, allHours)} alarms per hour`;
  return `${rateWords(totals.false, normalHours)} false alarms per hour`;
}

function measuredWords() {
  const lost = videos.length - scored.length;
  return (lost ? `${plural(lost, "video")} could not be scored and ${lost === 1 ? "stands" : "stand"} last. ` : "") + rateBasis();
}

function rateBasis() {
  if (!scored.length) return "";
  if (!judged.length) {
    return (
      `Alarms per hour: ${plural(totals.events, "event")} in ${hoursWords(allHours)} of footage. ` +
      "What is an anomaly in it is not known, so right and false alarms are not told apart."
    );
  }
  const rest = scored.length - judged.length;
  return (
    `False alarms per hour: ${plural(totals.false, "event")} that ${totals.false === 1 ? "touches" : "touch"} no ` +
    `annotated anomaly, in ${hoursWords(normalHours)} of footage without one` +
    ` (${plural(judged.length, "video")} of which it is known${rest ? `; ${plural(rest, "other")} left out` : ""}).` +
    (normalHours < 1 && normalHours > 0 ? " Less than an hour: the rate is rough." : "")
  );
}
