// Icons: paths of 24 × 24 units, drawn with the colour of the text around them.

const PATHS = {
  moon: "M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.5 10.5Z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M4.9 4.9l1.8 1.8M17.3 17.3l1.8 1.8M4.9 19.1l1.8-1.8M17.3 6.7l1.8-1.8",
  pulse: "M2.5 12h4l2.5-7 5 14 2.5-7h5",
  chart: "M4 20V10M10 20V4M16 20v-8M21 20H3",
  bell: "M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 2h-15ZM10 21h4",
  talk: "M4 5h16v11H10l-4 4v-4H4Z",
  book: "M5 4h6a2 2 0 0 1 1 .5A2 2 0 0 1 13 4h6v14h-6a2 2 0 0 0-1 .7 2 2 0 0 0-1-.7H5ZM12 5v13",
  sliders: "M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4",
  lines: "M4 6h16M4 12h10M4 18h13",
  key: "M14.5 9.5a4.5 4.5 0 1 0-4 4.5L12 12.5h2.5V10.5h0M14.5 9.5 21 3M18 6l2.5 2.5M7.5 8.5h.01",
  mic: "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21",
  mic_off: "M9 9v2a3 3 0 0 0 5.1 2.1M15 11V6a3 3 0 0 0-5.8-1M5.5 11a6.5 6.5 0 0 0 11 4.6M18.5 11a6 6 0 0 1-.4 2.2M12 17.5V21M4 3.5l16 17",
  stop: "M7 7h10v10H7Z",
  volume: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5ZM15.5 9a4 4 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11",
  image: "M4 5h16v14H4ZM4 16l4.5-4.5L13 16l3-3 4 4M15.5 9.5h.01",
  send: "M4 12 20 4l-5 16-3.5-6.5Z",
  copy: "M9 9h10v11H9ZM15 9V4H5v11h4",
  check: "M4.5 12.5 10 18 20 6.5",
  cross: "M6 6l12 12M18 6 6 18",
  plus: "M12 5v14M5 12h14",
  later: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16ZM12 8v4.5l3 2",
  trash: "M4.5 7h15M9.5 7V4h5v3M6.5 7l1 13h9l1-13",
  download: "M12 4v11M7 10.5l5 5 5-5M4.5 20h15",
  upload: "M12 16V5M7 9.5l5-5 5 5M4.5 20h15",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM15.5 15.5 20 20",
  dots: "M5 12h.01M12 12h.01M19 12h.01",
  wave: "M4 10v4M8 7v10M12 4v16M16 8v8M20 10v4",
  spark: "M12 4v4M12 16v4M4 12h4M16 12h4M6.5 6.5 9 9M15 15l2.5 2.5M6.5 17.5 9 15M15 9l2.5-2.5",
  alert: "M12 4 2.5 20h19ZM12 10v4M12 17h.01",
  update: "M20 12a8 8 0 1 1-2.4-5.7M20 4v4.5h-4.5",
  back: "M11 5l-7 7 7 7M4 12h16",
  phone: "M7 3h10v18H7ZM11 18h2",
};
const SVG = "http://www.w3.org/2000/svg";

/** Return an icon for the eye alone; what it means is said by text or label beside it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
