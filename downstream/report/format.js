// Numbers in words, and elements out of text: names from files never become HTML.

const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

function scoreWords(score) {
  if (axis.kind !== "odds" || score === 0 || score === 1) return String(Number(score.toPrecision(4)));
  // sure scores differ in what they lack to 1
  const least = Math.min(score, 1 - score);
  return score.toFixed(Math.min(17, Math.max(3, 1 - Math.floor(Math.log10(least)))));
}

// ---- alarm levels: downstream/events/alarm_level.py
function levelOf(video, score) {
  const scale = data.levels || (video.level && { low: video.level[0], rise: video.level[1] });
  if (!scale) return null;
  const held = Math.min(Math.max(score, 5e-9), 1 - 5e-9);
  const place = (5 * (Math.log(held) - Math.log1p(-held) - scale.low)) / scale.rise;
  const known = Boolean(data.levels);
  const below = known && data.levels.threshold !== null && score < data.levels.threshold;
  const highest = below ? (score <= data.levels.ordinary ? 0 : 4) : 10;
  const value = Math.min(Math.max(Math.floor(place + 1e-5), 0), highest);
  const word = value >= 5 ? (known ? "alarm" : "very unusual") : value >= 4 && known ? "very unusual" : value >= 2 ? "unusual" : "ordinary";
  return { value, word };
}
function levelWords(video, score) {
  const level = levelOf(video, score);
  if (!level) return `score ${scoreWords(score)}`;
  return `level ${level.value} of 10${data.levels ? "" : " for this video"}, ${level.word}`;
}
// how often normal footage is as high, where a calibration knows
function oftenWords(score) {
  const known = data.levels;
  if (!known || known.threshold === null || score < known.threshold) return "";
  const high = known.peaks.filter((peak) => peak >= score).length;
  const count = high === known.peaks.length ? Math.max(high, known.events) : high;
  const hours = known.hours / Math.max(1, count);
  return count ? `once in ${shortHours(hours)} of normal footage` : `not once in ${shortHours(hours)} of normal footage`;
}
function shortHours(hours) {
  const two = (value) => String(value >= 10 ? Math.round(value / 10 ** (Math.floor(Math.log10(value)) - 1)) * 10 ** (Math.floor(Math.log10(value)) - 1) : Number(value.toPrecision(2)));
  if (hours >= 240) return `${two(hours / 24)} days`;
  if (hours >= 1) return `${two(hours)} h`;
  return hours >= 1 / 60 ? `${two(hours * 60)} min` : `${two(hours * 3600)} s`;
}
const levelsMeaning = () =>
  data.levels
    ? "Alarm levels go from 0, ordinary in the normal footage of the calibration, over 5, its threshold, to 10."
    : axis.kind === "odds"
      ? "Nothing is calibrated, so alarm levels compare each video with itself alone: 0 is its usual score, 5 and more lie far above that. The most unusual moment of a calm video need not be unusual."
      : "";

function clock(seconds, tenths = true) {
  const whole = Math.max(0, tenths ? Math.round(seconds * 10) / 10 : Math.round(seconds));
  const pad = (value, digits) => value.toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return `${Math.floor(whole / 3600)}:${pad(Math.floor(whole / 60) % 60, 0)}:${pad(whole % 60, tenths ? 1 : 0)}`;
}

function hoursWords(hours) {
  if (hours >= 2) return `${hours.toFixed(1)} hours`;
  if (hours >= 1 / 30) return `${(hours * 60).toFixed(1)} minutes`;
  return `${(hours * 3600).toFixed(0)} seconds`;
}

const rateWords = (count, hours) => {
  if (!hours) return "–";
  const rate = count / hours;
  return rate.toFixed(rate >= 100 || !count ? 0 : rate >= 10 ? 1 : 2);
};

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (name === "text") made.textContent = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function svg(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

const linkAt = (video, seconds) => (video.link ? `${video.link}#t=${Math.max(0, seconds).toFixed(1)}` : null);
const maybeLink = (href, ...children) => (href ? element("a", { href }, ...children) : children[0]);

function showSummary() {
  const tiles = [
    ["Videos", String(scored.length) + (scored.length < videos.length ? ` of ${videos.length}` : "")],
    ["Footage", hoursWords(allHours)],
    ["Events", String(totals.events)],
    ["Videos with events", `${totals.videos} of ${scored.length}`],
  ];
  if (!judged.length) tiles.push(["Alarms per hour", rateWords(totals.events, allHours)]);
  else tiles.push(["False alarms per hour", rateWords(totals.false, normalHours)]);
  if (spanCount) tiles.push(["Annotated anomalies found", `${totals.spans} of ${spanCount}`]);
  byId("tiles").replaceChildren(
    ...tiles.map(([name, value]) => element("div", {}, element("dt", { text: name }), element("dd", { text: value })))
  );
  byId("measured").textContent = measuredWords();
  const found = spanCount ? `; ${totals.spans} of ${spanCount} annotated anomalies found` : "";
  byId("effect").textContent = `${plural(totals.events, "event")} in ${plural(totals.videos, "video")}; ${alarmWords()}${found}`;
  byId("slider").setAttribute("aria-valuetext", `${scoreWords(limits.threshold)}, ${plural(totals.events, "event")}, ${alarmWords()}`);
}
