#!/usr/bin/env bash
# tokenizers 0.23.3 (Python), @huggingface/tokenizers 0.2.0 (npm), sentencepiece 0.2.3 (Python)
# Guess:  byte tokens C3 A9 FF decode to "é" and one U+FFFD, in every library that claims the same tokenizer.
# Seen:   tokenizers gives three U+FFFD: one bad byte spoils the whole run of byte tokens, ASCII included. sentencepiece and the
#         npm package keep the é. An unfinished E2 82 is two U+FFFD in the first two, one in npm. And DecodeStream has by then
#         printed letters that decode() of the same ids does not contain.
# Matters: a Llama-like model that is quantized hard emits such bytes. Comparing texts of two runtimes then measures the decoder.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet tokenizers==0.23.3 sentencepiece==0.2.3
npm install --silent --prefix "$dir" @huggingface/tokenizers@0.2.0
cat >"$dir/decode.py" <<'PY'
import io, json, sys
import sentencepiece
from tokenizers import Tokenizer, decoders, models
from tokenizers.decoders import DecodeStream

runs = [b"\xc3\xa9\xff", b"\xe2\x82", b"ok\xff"]
vocab = {"<unk>": 0} | {f"<0x{i:02X}>": i + 1 for i in range(256)}
t = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>", byte_fallback=True))
t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
t.save(sys.argv[1] + "/tokenizer.json")
rust = [t.decode([b + 1 for b in run]) for run in runs]
stream = DecodeStream()
streamed = [stream.step(t, b + 1) for b in runs[2]]

model = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(["some text to train on", "and a bit more of it"] * 20), model_writer=model,
    vocab_size=290, hard_vocab_limit=False, byte_fallback=True, model_type="bpe", minloglevel=2)
sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
cpp = [sp.decode([sp.piece_to_id(f"<0x{b:02X}>") for b in run]) for run in runs]
json.dump({"tokenizers": rust, "sentencepiece": cpp, "streamed": streamed}, sys.stdout)
PY
cat >"$dir/decode.mjs" <<'JS'
import { readFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";
const t = new Tokenizer(JSON.parse(readFileSync(new URL("tokenizer.json", import.meta.url))), {});
const seen = JSON.parse(readFileSync(new URL("seen.json", import.meta.url)));
seen.npm = [[0xc3, 0xa9, 0xff], [0xe2, 0x82], [0x6f, 0x6b, 0xff]].map((run) => t.decode(run.map((b) => b + 1), {}));
console.log(seen);
const bad = "\ufffd";
const stated = {
  tokenizers: [bad.repeat(3), bad.repeat(2), bad.repeat(3)],
  sentencepiece: [`é${bad}`, bad.repeat(2), `ok${bad}`],
  streamed: ["o", "k", null],
  npm: [`é${bad}`, bad, `ok${bad}`],
};
if (JSON.stringify(seen) !== JSON.stringify(stated)) {
  console.error("CHANGED: decoding of broken byte runs");
  process.exit(1);
}
JS
"$dir/venv/bin/python" "$dir/decode.py" "$dir" >"$dir/seen.json"
node "$dir/decode.mjs"
