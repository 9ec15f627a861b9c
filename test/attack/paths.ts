import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hashes, llq, ROOT, TINY_LLAMA } from "./run.js";

const SECONDS = 20;
const STATUSES = [0, 2, 3, 4, 5, 71];

/** Every option and argument that takes a path, with everything a path can lead to. */
export async function attackPaths(): Promise<string[]> {
  const cwd = mkdtempSync(join(tmpdir(), "llq-paths-"));
  const inputs = join(cwd, "inputs");
  mkdirSync(inputs);
  cpSync(TINY_LLAMA, join(inputs, "model"), { recursive: true });
  cpSync(join(ROOT, "test/golden/quantize/tiny-llama.imatrix.gguf"), join(inputs, "imatrix.gguf"));
  writeFileSync(join(inputs, "text.txt"), "The cat sat on the mat. ".repeat(12));
  writeFileSync(join(cwd, "empty"), "");
  mkdirSync(join(cwd, "folder"));
  symlinkSync("loop", join(cwd, "loop"));
  symlinkSync("nothing", join(cwd, "dangling"));
  symlinkSync(join(inputs, "text.txt"), join(cwd, "link"));
  const places = [
    "",
    "no/such/file",
    "empty",
    "folder",
    "loop",
    "dangling",
    "link",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/",
    `${"x".repeat(300)}`,
    "a\u001b[2J\nb",
    "inputs/model/config.json",
    "inputs/model/tokenizer.json",
    "inputs/text.txt",
    "inputs/imatrix.gguf",
  ];
  if (spawnSync("mkfifo", [join(cwd, "fifo")]).status === 0) places.push("fifo");
  const [model, text] = ["inputs/model", "inputs/text.txt"];
  const short = ["-c", "16", "--chunks", "2"];
  const commands: ((path: string) => string[])[] = [
    (path) => ["inspect", path],
    (path) => ["fit", path, "-m", "8GB"],
    (path) => ["convert", path, "-o", "out.gguf"],
    (path) => ["convert", model, "-o", path, "--force"],
    (path) => ["convert", model, "-o", "out.gguf", "--lora", path],
    (path) => ["quantize", model, "-o", path, "--bits", "4"],
    (path) => ["quantize", model, "-o", "out.gguf", "--bits", "4", "--force", "--imatrix", path],
    (path) => ["quantize", model, "-o", "out.gguf", "--target-bpw", "5", "--force", "--sensitivity", path],
    (path) => ["imatrix", model, path, "-o", "out.gguf", "--force", ...short],
    (path) => ["imatrix", model, text, "-o", path, "--force", ...short],
    (path) => ["imatrix", "--in", path, "-o", "out.gguf", "--force"],
    (path) => ["sensitivity", model, text, "-o", path, "--force", "-c", "16", "--chunks", "1"],
    (path) => [
      "sensitivity",
      model,
      text,
      "-o",
      "out.json",
      "--force",
      "-c",
      "16",
      "--chunks",
      "1",
      "--imatrix",
      path,
    ],
    (path) => ["eval-ppl", model, path, ...short],
    (path) => ["eval-ppl", model, text, ...short, "--save", path, "--force"],
    (path) => ["eval-ppl", model, "--baseline", path],
    (path) => ["eval-ppl", model, text, ...short, "--base-model", path],
    (path) => ["eval-ppl", model, text, ...short, "--junit", path],
    (path) => ["eval-ppl", model, text, ...short, "--markdown", path],
    (path) => ["eval-choice", model, path],
    (path) => ["compare", model, model, "-t", text, ...short, "--html", path],
    (path) => ["compare", model, model, "-t", text, ...short, "--markdown", path],
    (path) => ["compare", model, path, "-t", text, ...short],
    (path) => ["verify", path, "-s", model],
    (path) => ["verify", model, "-s", path],
  ];
  const failures: string[] = [];
  const kept = join(cwd, "kept");
  cpSync(inputs, kept, { recursive: true });
  const before = hashes(inputs);
  let slowest = 0;
  try {
    for (const command of commands) {
      for (const path of places) {
        const args = command(path);
        const run = () => llq(args, { cwd, timeout: SECONDS * 1000 });
        let ended = await run();
        if (ended.signal !== null) ended = await run(); // a busy machine stands still at times: what hangs does so again
        const { status, signal, output, ms } = ended;
        slowest = Math.max(slowest, ms);
        const fail = (how: string) =>
          failures.push(`llq ${JSON.stringify(args)}: ${how}: ${output.slice(0, 200)}`);
        if (signal !== null) fail(`ended by ${signal}`);
        else if (!STATUSES.includes(status!)) fail(`status ${status}`);
        if (/\n {4}at /.test(output)) fail("a stack trace");
        if (/[^\n\P{Cc}]/u.test(output)) fail("a control character");
        if (args.includes("") && status === 0) fail("an empty path is none");
        // A file is free to be replaced by a command that does not read it.
        const isRead = path.startsWith(model) || args.filter((arg) => arg === path).length > 1;
        const now = hashes(inputs);
        for (const [file, hash] of Object.entries(before)) {
          if (now[file] === hash) continue;
          if (isRead || file !== join(cwd, path)) fail(`${file} has changed`);
          cpSync(kept, inputs, { recursive: true });
        }
      }
    }
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
  console.log(
    `${commands.length * places.length} command lines, the slowest took ${(slowest / 1000).toFixed(1)} s`,
  );
  return failures;
}
