#!/usr/bin/env bash
# @huggingface/jinja 0.5.11 (npm) against Jinja2 3.1.6 (Python)
# Guess:  a port of Jinja that only meets JSON agrees on equality and arithmetic, or raises where it cannot.
# Seen:   none of these raises. Equal lists and dictionaries differ, "1" equals 1, strip("x") strips blanks instead of x, % has
#         JavaScript's sign while // beside it floors as Python does, and a list literal needs no commas, so that the number 1e20,
#         which the lexer does not know, becomes two elements.
# Matters: templates test `message.content == []`, strip("\n") replies and count turns with %.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet Jinja2==3.1.6
npm install --silent --prefix "$dir" @huggingface/jinja@0.5.11
cat >"$dir/cases.json" <<'J'
[["{{ 'same' if [1] == [1] else 'differ' }}", "same", "differ"],
 ["{{ 'same' if {'a': 1} == {'a': 1} else 'differ' }}", "same", "differ"],
 ["{{ 'same' if '1' == 1 else 'differ' }}", "differ", "same"],
 ["{{ 'xx hi xx'.strip('x') }}", " hi ", "xx hi xx"],
 ["{{ -7 // 2 }} {{ -7 % 2 }}", "-4 1", "-4 -1"],
 ["{{ [1e20, 2]|length }}", "2", "3"]]
J
cat >"$dir/run.mjs" <<'JS'
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";
const cases = JSON.parse(readFileSync(new URL("cases.json", import.meta.url)));
const changed = cases.filter(([text, , js]) => {
  const got = new Template(text).render({});
  console.log("npm   ", text, "->", JSON.stringify(got));
  return got !== js;
});
process.exit(changed.length ? 1 : 0);
JS
"$dir/venv/bin/python" - "$dir/cases.json" <<'PY' || { echo "CHANGED: Jinja2" >&2; exit 1; }
import json, sys, jinja2
changed = 0
for text, stated, _ in json.load(open(sys.argv[1])):
    got = jinja2.Template(text).render()
    print("Python", text, "->", repr(got))
    changed += got != stated
sys.exit(changed != 0)
PY
node "$dir/run.mjs" || { echo "CHANGED: @huggingface/jinja" >&2; exit 1; }
