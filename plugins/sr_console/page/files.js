/** Files that people drop or choose, folders gone through. */

const KINDS = /^(video|image)\//;
const ENDINGS = /\.(mkv|mp4|m4v|mov|avi|webm|ts|m2ts|mts|mpg|mpeg|vob|mxf|wmv|flv|ogv|3gp|y4m|h264|265|hevc|heic|heif|jxl|tiff?|exr|dpx)$/i;

/** Whether a file may be a video or a picture, by its name and kind. */
export function isMedia(file) {
  return !file.name.startsWith(".") && (KINDS.test(file.type) || ENDINGS.test(file.name));
}

async function ofEntry(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return (await Promise.all(found.map(ofEntry))).flat();
    found.push(...some);
  }
}

/** All files of a drop: those of folders are kept if they may be media, those dropped themselves in any case. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const found = await Promise.all(entries.map(async (entry) => {
    const files = await ofEntry(entry);
    return entry.isDirectory ? files.filter(isMedia) : files;
  }));
  return found.flat();
}
