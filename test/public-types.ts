// Which types the library's declarations speak of: those of src/index.ts, and those that these name in turn.
import { readFileSync } from "node:fs";
import { posix } from "node:path";

/**
 * Of these only what src/index.ts names itself is the library's: they are how families, layers and stored rows are described,
 * and change with every family that is added. Values of these types are handed on, not made.
 */
const INTERNAL = /^(src\/arch\/|src\/net\/|src\/role\.|src\/tensor\.|formats\/container\.)/;

interface Declarations {
  /** Text of each declaration, without comments. */
  readonly own: ReadonlyMap<string, string>;
  /** Names from other files: the file, and its name there. */
  readonly others: ReadonlyMap<string, readonly [file: string, name: string]>;
}

/** Reads one file of declarations, as tsc writes them: a declaration begins a line. */
function readDeclarations(root: string, file: string): Declarations {
  const text = readFileSync(posix.join(root, file), "utf8").replace(/\/\*.*?\*\/|\/\/.*$/gms, "");
  const others = new Map<string, readonly [string, string]>();
  for (const [, list, path] of text.matchAll(
    /^(?:import|export)(?: type)? \{([^}]*)\} from "(\.[^"]+)\.js";/gm,
  )) {
    const target = posix.join(posix.dirname(file), `${path}.d.ts`);
    for (const entry of list!.split(",").map((each) => each.trim().replace(/^type /, ""))) {
      const [name, alias = name] = entry.split(" as ");
      if (name) others.set(alias!, [target, name]);
    }
  }
  const own = new Map<string, string>();
  for (const part of text.split(
    /^(?=(?:export |declare )?(?:declare |abstract )*(?:interface|type|class|function|const) \w)/m,
  )) {
    const [, name] =
      /^(?:export )?(?:declare |abstract )*(?:interface|type|class|function|const) (\w+)/.exec(part) ?? [];
    if (name !== undefined) own.set(name, (own.get(name) ?? "") + part);
  }
  return { own, others };
}

/** Types, by file and name, that the library's declarations name and do not export; each with one that names it. */
export function unexportedTypes(root: string, entry = "src/index.d.ts"): Map<string, string> {
  const files = new Map<string, Declarations>();
  const read = (file: string) => {
    const known = files.get(file) ?? readDeclarations(root, file);
    files.set(file, known);
    return known;
  };
  const find = (file: string, name: string): string | undefined => {
    const { own, others } = read(file);
    if (own.has(name)) return `${file} ${name}`;
    const other = others.get(name);
    return other && find(...other);
  };
  const exported = new Set([...read(entry).others].flatMap(([, [file, name]]) => find(file, name) ?? []));
  const missing = new Map<string, string>();
  for (const key of exported) {
    const [file, name] = key.split(" ") as [string, string];
    const text = read(file)
      .own.get(name)!
      .replace(/"[^"]*"/g, "")
      .replace(/^ +private .*$/gm, "");
    for (const [word] of text.matchAll(/\b[A-Z]\w*[a-z]\w*\b/g)) {
      const found = find(file, word);
      if (found !== undefined && !exported.has(found) && !INTERNAL.test(found)) missing.set(found, name);
    }
  }
  return missing;
}
