import type { HostPaths } from "../types.js";

// Paths as POSIX has them: those of files in here begin with /.

export const { basename, dirname, extname, join, resolve, win32 }: HostPaths = {
  basename: (path, ending = "") => {
    const name = path.replace(/\/+$/, "").replace(/^.*\//, "");
    return name !== ending && name.endsWith(ending) ? name.slice(0, name.length - ending.length) : name;
  },
  dirname: (path) => {
    const [, folder] = /^(.*)\/[^/]+\/*$/s.exec(path) ?? [];
    if (folder === undefined) return path.startsWith("/") ? "/" : ".";
    return folder.replace(/\/+$/, "") || "/";
  },
  extname: (path) => /[^/](\.[^./]*)\/*$/.exec(path)?.[1] ?? "",
  join: (...parts) => normalized(parts.filter((part) => part !== "").join("/")),
  resolve: (...parts) => {
    const whole = parts.reduce((before, part) => (part.startsWith("/") ? part : `${before}/${part}`), "/");
    return normalized(whole).replace(/(?<=.)\/$/, "");
  },
  win32: {
    basename: (path) =>
      path
        .replace(/^[A-Za-z]:/, "")
        .replace(/[\\/]+$/, "")
        .replace(/^.*[\\/]/s, ""),
  },
};

/** Without `.`, `..` and empty parts, as far as what is before them is known. */
function normalized(path: string): string {
  const isAbsolute = path.startsWith("/");
  const kept: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
    else if (!isAbsolute) kept.push(part);
  }
  if (kept.length === 0) return isAbsolute ? "/" : path.endsWith("/") ? "./" : ".";
  return `${isAbsolute ? "/" : ""}${kept.join("/")}${path.endsWith("/") ? "/" : ""}`;
}
