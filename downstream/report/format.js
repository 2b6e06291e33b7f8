// Numbers in words, and elements out of text: names from files never become HTML.

const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

function scoreWords(score) {
  if (axis.kind !== "odds" || score === 0 || score === 1) return String(Number(score.toPrecision(4)));
  // sure scores differ in what they lack to 1
  const least = Math.min(score, 1 - score);
  return score.toFixed(Math.min(17, Math.max(3, 1 - Math.floor(Math.log10(least)))));
}

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
