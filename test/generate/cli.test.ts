import { spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { scratchFolder, TINY_LLAMA } from "../support/scratch.js";

const PROGRAM = new URL("../../dist/program/cli.js", import.meta.url).pathname;
const folder = scratchFolder();
const template = join(folder, "template.jinja");
writeFileSync(template, "{% for m in messages %}{{ m.content }}{% endfor %}");

function run(args: string[], input = "") {
  const options = { encoding: "utf8", cwd: folder, input } as const;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [PROGRAM, "generate", TINY_LLAMA, ...args],
    options,
  );
  return { status, stdout, stderr };
}

describe("llq generate", { timeout: 30_000 }, () => {
  it("writes the text to stdout, and how fast it was to stderr", () => {
    const { status, stdout, stderr } = run(["The little dog", "-n", "12"]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: " is a good movie, but it's a lot of\n" });
    expect(stderr).toMatch(/^prompt 5 tokens, [\d.]+ tokens\/s; 12 tokens, [\d.]+ tokens\/s\n$/);
  });

  it("prints one document with --json", () => {
    const file = join(folder, "prompt.txt");
    writeFileSync(file, "The little dog\n");
    const { status, stdout, stderr } = run(["-f", file, "--stop", "movie", "--json", "--logprobs", "1"]);
    const { tokens, timings, ...rest } = JSON.parse(stdout);
    expect({ status, stderr, ...rest }).toEqual({
      status: 0,
      stderr: "",
      schema: 1,
      model: TINY_LLAMA,
      template: false,
      prompt: { tokens: [1, 363, 935, 431, 1982] },
      text: " is a good ",
      finish: "stop",
    });
    expect(tokens.map(({ token }: { token: number }) => token)).toEqual([313, 261, 702, 649]);
    expect(tokens[0]).toEqual({
      token: 313,
      text: " is",
      logprob: expect.closeTo(-2.21116, 3),
      top: [{ token: 313, text: " is", logprob: tokens[0].logprob }],
    });
    expect(timings).toMatchObject({ promptTokens: 5, reusedTokens: 0, decodeTokens: 3 });
  });

  it("draws the same text for the same seed, which it names", () => {
    const once = run(["-n", "5", "--temp", "1.5", "--top-k", "40"]);
    const seed = /seed (\d+)\n/.exec(once.stderr)![1]!;
    const again = run(["-n", "5", "--temp", "1.5", "--top-k", "40", "--seed", seed, "-j", "1"]);
    expect(again.stdout).toBe(once.stdout);
  });

  it("answers with a template, and says when the context is full", () => {
    const { stdout, stderr } = run(["The little dog", "--template", template, "-c", "7"]);
    expect(stdout).toBe("is a good\n"); // an answer begins a text
    expect(stderr).toContain("the context of 7 tokens is full: --context gives more");
    const shifted = run(["The little dog", "-c", "7", "-n", "5", "--context-shift"]);
    expect(shifted.stderr).toContain("the context of 7 tokens is full: the oldest 3 are forgotten");
  });

  it("holds a conversation, line by line", () => {
    const args = ["The", "--chat", "--template", template, "-n", "2"];
    const { status, stdout, stderr } = run(args, "\n a \n/clear\nThe\n/exit\nnot read\n");
    const lines = stdout.split("\n");
    expect(status).toBe(0);
    expect(lines).toHaveLength(4);
    expect(lines[2]).toBe(lines[0]);
    expect(stderr).toMatch(/^prompt \d+ tokens and \d+ held already, [\d.]+ tokens\/s; 6 tokens, /);
  });

  it("keeps what was printed when it is interrupted", async () => {
    const child = spawn(process.execPath, [PROGRAM, "generate", TINY_LLAMA, "The"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [stdout, stderr] = ["", ""];
    child.stderr.on("data", (data) => (stderr += data));
    child.stdout.on("data", (data) => {
      if (stdout === "") child.kill("SIGINT");
      stdout += data;
    });
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect(status).toBe(130);
    expect(stdout).toMatch(/^ .+\n$/s);
    expect(stderr).toMatch(/^prompt 2 tokens.*\nerror: stopped by SIGINT\n$/);
  });

  it("ends an answer at the first Ctrl-C, and itself at the second", async () => {
    const args = [PROGRAM, "generate", TINY_LLAMA, "The", "--chat", "--template", template];
    const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"] });
    let [stdout, stderr, kills] = ["", "", 0];
    child.stderr.on("data", (data) => (stderr += data));
    child.stdout.on("data", (data) => {
      stdout += data;
      if (kills === 0 || (kills === 1 && stdout.endsWith("\n"))) {
        kills++;
        child.kill("SIGINT");
      }
    });
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect({ status, kills }).toEqual({ status: 130, kills: 2 });
    expect(stdout.length).toBeLessThan(200);
    expect(stderr).toContain("error: stopped by SIGINT");
  });

  it("is quiet when nobody reads any more", async () => {
    const child = spawn(process.execPath, [PROGRAM, "generate", TINY_LLAMA, "The"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stderr = "";
    child.stderr.on("data", (data) => (stderr += data));
    child.stdout.once("data", () => child.stdout.destroy());
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });

  it.each<[string[], number, RegExp]>([
    [["--chat"], 2, /has no chat template, so it may know nothing of turns\n hint: --template <file>/],
    [["a", "--system", "b"], 2, /has no chat template/],
    [["a", "-f", "b"], 2, /a prompt and --file exclude each other/],
    [["a", "--raw", "--chat"], 2, /--raw takes no chat template/],
    [["--chat", "--json"], 2, /--json prints one answer, --chat has many/],
    [["a", "--logprobs", "1"], 2, /--logprobs are printed with --json only/],
    [["a", "--top-p", "0.9"], 2, /with --temp 0 nothing is\n hint: --temp 0\.8/],
    [["a", "--type", "Q4_X"], 2, /unknown type Q4_X/],
    [["--template", template], 2, /there is nothing to answer\n hint: give a prompt/],
    [["a b c d e f", "-c", "3"], 2, /the prompt has \d+ tokens, the context 3\n hint: .*--context/],
    [
      ["a", "-c", "1000000000"],
      5,
      /generating takes 1\d+\.\d\d GB .*this machine has .*\n hint: --kv-type q8_0 or/,
    ],
    [["a", "--template", "nowhere"], 3, /nowhere: no such file/],
    [["-f", "nowhere"], 3, /nowhere: no such file/],
  ])("%j ends with status %i", (args, status, message) => {
    const result = run(args);
    expect(result.stderr).toMatch(message);
    expect(result.status).toBe(status);
    if (args.includes("--json"))
      expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: "usage" } });
    else expect(result.stdout).toBe("");
  });

  it("names the line of a template that fails", () => {
    const broken = join(folder, "broken.jinja");
    writeFileSync(broken, "{{ bos_token }}\n{% if true %}\n{{ messages | shout }}{% endif %}");
    const { status, stderr } = run(["a", "--template", broken]);
    expect({ status, stderr }).toEqual({
      status: 3,
      stderr: expect.stringMatching(/broken\.jinja, line 3: .*shout/),
    });
  });
});
