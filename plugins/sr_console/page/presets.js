/** What people want, in their words, as fields of a request. */

export const PRESETS = [
  { id: "plain", title: "Twice as sharp", about: "Twice as wide and high. Everything else in the file stays.", fields: {} },
  {
    id: "tape",
    title: "Clean up an old tape",
    about: "Noise goes, interlaced pictures become whole ones, and it is enlarged twice.",
    fields: { denoise: "medium", fields: "double", content: "live" },
  },
  {
    id: "screen",
    title: "Sharper for a 4K screen",
    about: "As large as a 4K screen shows, in HEVC.",
    fields: { size: "2160p", codec: "hevc" },
  },
  {
    id: "web",
    title: "Smaller file for the web",
    about: "Twice the size in AV1, which browsers play and which takes few bytes.",
    fields: { purpose: "web" },
  },
];
