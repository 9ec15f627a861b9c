import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { escapeMarkdown, escapeXml, visible } from "../../src/escape.js";
import { Kernels } from "../../src/kernels/kernels.js";
import { toAnnotations } from "../../src/report/github.js";
import { runJob } from "../../src/run/threads/messages.js";
import { encodeJob } from "../../src/run/write/encode.js";
import { buildGguf, T } from "../support/build/build.js";
import { copyTinyLlama, scratchFolder, TINY_LLAMA } from "../support/scratch.js";

// What is no file, what a system refuses, and names that a terminal would obey.

const CLI = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const folder = scratchFolder();
const text = join(folder, "text.txt");
writeFileSync(text, "The cat sat on the mat. ".repeat(12));
const NOBODY = process.getuid?.() === 0 ? 65534 : undefined;

function llq(args: string[], options: object = {}) {
  const limits = { cwd: folder, encoding: "utf8", timeout: 30_000 } as const;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    ...limits,
    ...options,
  });
  return { status, signal, stdout: String(stdout), stderr: String(stderr) };
}

/** The same under limits of the shell. */
function limited(limits: string, args: string[]) {
  const script = `${limits}; exec "$@"`;
  const { status, stderr } = spawnSync("sh", ["-c", script, "sh", process.execPath, CLI, ...args], {
    cwd: folder,
    encoding: "utf8",
  });
  return { status, stderr };
}

const fifo = join(folder, "fifo");
const hasFifos = spawnSync("mkfifo", [fifo]).status === 0;

describe.skipIf(!hasFifos)("nothing waits for a FIFO", () => {
  const model = (file: string) => {
    const copy = copyTinyLlama(folder, `with-${file}`);
    spawnSync("rm", [join(copy, file)]);
    symlinkSync(fifo, join(copy, file));
    return copy;
  };
  test.each<[string, () => string[]]>([
    ["as a model", () => ["inspect", fifo]],
    ["as config.json", () => ["inspect", model("config.json")]],
    ["as weights", () => ["inspect", model("model.safetensors")]],
    ["as a tokenizer", () => ["inspect", model("tokenizer.model")]],
    ["as a text", () => ["eval-ppl", TINY_LLAMA, fifo]],
    ["as a baseline", () => ["eval-ppl", TINY_LLAMA, "--baseline", fifo]],
    ["as questions", () => ["eval-choice", TINY_LLAMA, fifo]],
    [
      "as an importance matrix",
      () => ["quantize", TINY_LLAMA, "-o", "x.gguf", "--bits", "4", "--imatrix", fifo],
    ],
    ["as a matrix to add", () => ["imatrix", "--in", fifo, "-o", "x.gguf"]],
    [
      "as sensitivities",
      () => ["quantize", TINY_LLAMA, "-o", "x.gguf", "--target-bpw", "5", "--sensitivity", fifo],
    ],
    ["as an adapter", () => ["convert", TINY_LLAMA, "-o", "x.gguf", "--lora", fifo]],
  ])("%s", (_, args) => {
    const { status, stderr } = llq(args());
    expect(stderr).toMatch(/not a regular file|no such file/);
    expect(status).toBe(3);
  });

  test.each([
    ["--save", ["eval-ppl", TINY_LLAMA, text, "--force"]],
    ["--junit", ["eval-ppl", TINY_LLAMA, text]],
    ["--markdown", ["eval-ppl", TINY_LLAMA, text]],
    ["--html", ["compare", TINY_LLAMA, TINY_LLAMA, "-t", text]],
    ["-o", ["sensitivity", TINY_LLAMA, text, "--force"]],
  ])("in the place of %s", (option, args) => {
    expect(llq([...args, option, fifo])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("is not a regular file"),
    });
  });

  test("for a summary of GitHub's", () => {
    const env = { ...process.env, GITHUB_ACTIONS: "true", GITHUB_STEP_SUMMARY: fifo };
    expect(llq(["eval-ppl", TINY_LLAMA, text, "-c", "16", "--chunks", "2"], { env }).status).toBe(2 + 3);
  });
});

test("nor for a socket", async () => {
  const path = join(folder, "socket");
  const server = createServer().listen(path);
  await once(server, "listening");
  expect(llq(["inspect", path])).toMatchObject({
    status: 3,
    stderr: expect.stringContaining("not a regular file"),
  });
  server.close();
});

describe("what a system refuses", () => {
  test.skipIf(!readdirSync("/dev").includes("full"))("a full stdout is no success", () => {
    const stdio = ["ignore", openSync("/dev/full", "w"), "pipe"];
    for (const args of [
      ["inspect", TINY_LLAMA],
      ["inspect", TINY_LLAMA, "--json"],
      ["fit", "--params", "7B", "-m", "8GB"],
      ["--help"],
    ]) {
      expect(llq(args, { stdio })).toMatchObject({
        status: 5,
        stderr:
          "error: the result: the disk is full\n hint: free some space or choose another output folder\n",
      });
    }
  });

  test("too many open files: a status of its own and no stack", () => {
    const parts = join(folder, "parts.gguf");
    expect(llq(["convert", TINY_LLAMA, "-o", parts, "--split-max-size", "20K"]).status).toBe(0);
    const first = readdirSync(folder).find((name) => name.startsWith("parts-00001-of"))!;
    const { status, stderr } = limited("ulimit -n 44", [
      "quantize",
      first,
      "-o",
      "q.gguf",
      "--bits",
      "8",
      "-j",
      "1",
      "--allow-requantize",
    ]);
    expect(stderr).toMatch(/^error: .*too many/);
    expect(stderr).not.toContain("    at ");
    expect(status).toBe(71);
    expect(readdirSync(folder).filter((name) => name.startsWith("q.gguf"))).toEqual([]);
  });

  describe("files that may not grow", () => {
    let before: string;
    beforeAll(() => {
      for (const name of ["old.html", "old.md"]) writeFileSync(join(folder, name), "the older report");
      before = readFileSync(text, "utf8");
    });
    const short = ["-c", "16", "--chunks", "2"];
    test.each<[string, string[], string]>([
      ["convert", ["convert", TINY_LLAMA, "-o", "grow.gguf"], "grow.gguf"],
      ["imatrix", ["imatrix", TINY_LLAMA, text, "-o", "grow-i.gguf", ...short], "grow-i.gguf"],
      ["sensitivity", ["sensitivity", TINY_LLAMA, text, "-o", "grow.json", ...short], "grow.json"],
      ["--save", ["eval-ppl", TINY_LLAMA, text, "--save", "grow.llq", ...short], "grow.llq"],
      ["--html", ["compare", TINY_LLAMA, TINY_LLAMA, "-t", text, "--html", "old.html", ...short], "old.html"],
    ])("%s: status 5, nothing under the final name, older reports stand", (_, args, output) => {
      const { status, stderr } = limited("trap '' XFSZ; ulimit -f 4", args);
      expect(stderr).toMatch(/error: .*(cannot be written|the disk is full)/);
      expect(status).toBe(5);
      const left = readdirSync(folder).filter((name) => name.startsWith(output));
      if (output === "old.html") expect(readFileSync(join(folder, output), "utf8")).toBe("the older report");
      else expect(left).not.toContain(output);
      expect(left.filter((name) => name.endsWith(".lock"))).toEqual([]);
      expect(readFileSync(text, "utf8")).toBe(before);
    });
  });

  test.skipIf(process.platform === "win32")(
    "a folder that may only be read is refused before the work",
    () => {
      const locked = join(folder, "locked");
      mkdirSync(locked);
      chmodSync(locked, 0o555);
      chmodSync(folder, 0o755);
      for (const args of [
        ["convert", TINY_LLAMA, "-o"],
        ["eval-ppl", TINY_LLAMA, text, "--junit"],
        ["compare", TINY_LLAMA, TINY_LLAMA, "-t", text, "--html"],
        ["sensitivity", TINY_LLAMA, text, "-o"],
      ]) {
        const run = llq([...args, join(locked, "x")], { ...(NOBODY !== undefined && { uid: NOBODY }) });
        expect(run).toMatchObject({
          status: 5,
          stdout: "",
          stderr: expect.stringContaining("cannot be written (EACCES)"),
        });
      }
      expect(readdirSync(locked)).toEqual([]);
    },
  );
});

describe("a signal ends it at any time", () => {
  test.each(["SIGINT", "SIGTERM"] as const)("%s", async (signal) => {
    const long = join(folder, "long.txt"); // much more work than the longest delay
    writeFileSync(long, "The cat sat on the mat. ".repeat(4000));
    for (const delay of [30, 300, 700, 1500]) {
      const child = spawn(
        process.execPath,
        [CLI, "sensitivity", TINY_LLAMA, long, "-o", `s-${signal}-${delay}`, "-c", "16", "--chunks", "1000"],
        { cwd: folder, stdio: "ignore" },
      );
      setTimeout(() => child.kill(signal), delay);
      const [status, by] = await once(child, "exit");
      expect(status === (signal === "SIGTERM" ? 143 : 130) || by === signal).toBe(true);
    }
  });
});

describe("text from files is shown, not obeyed", () => {
  const evil = "\u001b[31mred\u001b]0;title\u0007\r\n::error::x\u202e\u009b2J\ud800";

  test("visible escapes what terminals obey, and cuts", () => {
    const shown = visible(evil);
    expect(shown).toBe(
      "\\u{1b}[31mred\\u{1b}]0;title\\u{7}\\u{d}\\u{a}::error::x\\u{202e}\\u{9b}2J\\u{d800}",
    );
    expect(visible("ok: ä 漢 🦙 · –")).toBe("ok: ä 漢 🦙 · –");
    const long = visible(`begin${"x".repeat(10_000)}end`);
    expect(long.length).toBeLessThan(4100);
    expect(long).toMatch(/^begin.*…x*end$/);
    for (const form of [escapeXml, escapeMarkdown]) expect(form(evil)).not.toMatch(/[\p{Cc}\u202e]/u);
  });

  test("in tables, JSON and errors of a file's names", () => {
    const file = join(folder, "names.gguf");
    const fields: [string, number, unknown][] = [
      ["general.architecture", T.string, "llama"],
      ["tokenizer.chat_template", T.string, evil.replace("\ud800", "")],
    ];
    writeFileSync(
      file,
      buildGguf({ fields, tensors: [{ name: "::error::\u202e", dims: [2] }], data: 64 } as never).bytes,
    );
    for (const args of [
      ["inspect", file],
      ["inspect", `${file}\u001b[2J\n::error::x`],
    ]) {
      const { stdout, stderr, status } = llq(args);
      expect(status).toBe(3);
      expect(stdout + stderr).not.toMatch(/[^\n\P{Cc}]|\u202e|^::/mu);
    }
  });

  test("in a model that is shown: its folder's name and template", () => {
    const copy = copyTinyLlama(folder, "x\u001b[2J\n::error::y");
    const config = join(copy, "tokenizer_config.json");
    writeFileSync(
      config,
      JSON.stringify({
        ...JSON.parse(readFileSync(config, "utf8")),
        chat_template: evil.replace("\ud800", ""),
      }),
    );
    for (const json of [[], ["--json"]]) {
      const { status, stdout } = llq(["inspect", copy, ...json]);
      expect(status).toBe(0);
      expect(stdout).not.toMatch(/[^\n\P{Cc}]|\u202e|^::/mu);
      if (json.length > 0) expect(JSON.parse(stdout).path).toBe(copy);
    }
    const ppl = llq([
      "eval-ppl",
      copy,
      text,
      "-c",
      "16",
      "--chunks",
      "2",
      "--max-ppl",
      "1",
      "--junit",
      "j.xml",
      "--markdown",
      "m.md",
    ]);
    expect(ppl.status).toBe(1);
    expect(ppl.stdout + ppl.stderr).not.toMatch(/[^\n\P{Cc}]|^::/mu);
    expect(readFileSync(join(folder, "j.xml"), "utf8")).not.toMatch(/[^\n\P{Cc}]|^::/mu);
    expect(readFileSync(join(folder, "m.md"), "utf8")).not.toMatch(/[^\n\P{Cc}]|^::/mu);
  });

  test("in GitHub's annotations", () => {
    const verdict = { bound: "max-ppl", limit: 1, value: 2, error: 0.1, outcome: "broken", isWithin: false };
    const [line] = toAnnotations({ model: evil, gate: { verdicts: [verdict] } } as never);
    expect(line).not.toMatch(/[\p{Cc}\u202e]/u);
    expect(line!.match(/::/g)).toHaveLength(2);
  });
});

test("a kernel that traps names the tensor, the rows, and what to report", () => {
  const trap = {
    ...encodeJob,
    run: () => {
      throw new WebAssembly.RuntimeError("memory access out of bounds");
    },
  };
  const targets = [{ dtype: "Q4_K" }];
  const job = { tensor: { name: "blk.0.ffn_up.weight" }, targets, firstRow: 64, rows: 32 };
  expect(() => runJob(trap, job as never, new Kernels())).toThrow(
    /^llq .*, Node v.* a kernel trapped \(memory access out of bounds\) in the job encode, tensor blk.0.ffn_up.weight, rows 64 to 95 to Q4_K/,
  );
});
