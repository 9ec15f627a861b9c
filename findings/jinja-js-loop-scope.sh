#!/usr/bin/env bash
# @huggingface/jinja 0.5.11 (npm) against Jinja2 3.1.6 (Python)
# Guess:  {% set %} in a loop dies with its iteration, as Jinja documents: each pass starts from the outer value.
# Seen:   the JavaScript engine makes one scope for the whole loop. What a pass sets is there in the next pass, and gone only after
#         the loop, so "last value wins" templates print other prompts without an error.
# Matters: chat templates set a flag or a name for one message. In the browser it leaks into all messages behind it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet Jinja2==3.1.6
npm install --silent --prefix "$dir" @huggingface/jinja@0.5.11
cat >"$dir/template" <<'T'
{% for m in ms %}{% if m.role == "tool" %}{% set name = "[tool]" %}{% endif %}{{ name|default("[text]") }}{% endfor %}{{ name|default("-") }}
T
cat >"$dir/run.mjs" <<'JS'
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";
const text = readFileSync(new URL("template", import.meta.url), "utf8").trim();
console.log(new Template(text).render({ ms: [{ role: "user" }, { role: "tool" }, { role: "user" }] }));
JS
py=$("$dir/venv/bin/python" -c 'import sys, jinja2
print(jinja2.Template(open(sys.argv[1]).read().strip()).render(ms=[{"role": "user"}, {"role": "tool"}, {"role": "user"}]))' "$dir/template")
js=$(node "$dir/run.mjs")
echo "Jinja2              $py"
echo "@huggingface/jinja  $js"
[ "$py" = "[text][tool][text]-" ] && [ "$js" = "[text][tool][tool]-" ] || { echo "CHANGED: scope of a loop's body" >&2; exit 1; }
