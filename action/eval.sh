#!/usr/bin/env bash
# What action.yml runs: llq eval-ppl with the inputs, which are variables LLQ_*; an empty one is an option left out.
# Ends with llq's exit status, after the outputs are written.
set -euo pipefail

cli="$GITHUB_ACTION_PATH/dist/program/cli.js"
# A release holds the program; from the repository as it is it has to be built first.
if [ ! -f "$cli" ]; then (cd "$GITHUB_ACTION_PATH" && npm ci --ignore-scripts && npm run build) >&2; fi
llq() { node "$cli" "$@"; }

options=(--json)
for name in base-model baseline context chunks max-ppl max-ppl-ratio max-kld min-top1 junit markdown activations \
  threads max-memory; do
  variable="LLQ_$(tr 'a-z-' 'A-Z_' <<< "$name")"
  if [ -n "${!variable:-}" ]; then options+=("--$name=${!variable}"); fi
done
if [ "${LLQ_SEQUENTIAL:-}" = true ]; then options+=(--sequential); fi
if [ "${LLQ_STRICT:-}" = true ]; then options+=(--strict); fi

report="$RUNNER_TEMP/llq-eval-ppl.json"
status=0
# After -- a name that begins with a dash is still a name.
llq eval-ppl "${options[@]}" -- "$LLQ_MODEL" ${LLQ_TEXT:+"$LLQ_TEXT"} > "$report" || status=$?

if [ -s "$report" ]; then
  node -e '
    const [, report, model] = process.argv;
    const { perplexity, divergence, gate } = JSON.parse(fs.readFileSync(report));
    const stat = fs.statSync(model, { throwIfNoEntry: false });
    const outputs = {
      perplexity: perplexity ?? "", // an error is JSON, too
      kld: divergence?.kld.value ?? "",
      top1: divergence?.sameTop.value ?? "",
      size: stat?.isFile() ? stat.size : "",
      result: gate?.result ?? "",
    };
    for (const [name, value] of Object.entries(outputs)) console.log(`${name}=${value}`);
  ' "$report" "$LLQ_MODEL" >> "$GITHUB_OUTPUT"
  echo "report=$report" >> "$GITHUB_OUTPUT"
fi
exit "$status"
