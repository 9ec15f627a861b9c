"""The layout that huggingface_hub gives a model in its cache, for test/hub/hub.test.ts.

usage: hub.py <output.json>

Serves one small repository on 127.0.0.1, lets snapshot_download fetch a part of it at two revisions, and lists
what is then in the cache: blobs, refs, and where the snapshots' links lead.
"""

import hashlib
import json
import os
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee".ljust(40, "0")
LARGE = 1000  # bytes from which on a file is in Git LFS
SIZES = {
    "README.md": 40,
    "config.json": 2,
    "tokenizer.json": 5000,
    "model.safetensors": 30000,
    "original/params.json": 17,
}
WANTED = ["config.json", "tokenizer.json", "model.safetensors"]


def content(size):
    return bytes((i * 31 + 7) & 255 for i in range(size))


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def entry(path):
    data = content(SIZES[path])
    found = {"type": "file", "path": path, "size": len(data), "oid": git_sha1(data)}
    if len(data) >= LARGE:
        found["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return found


class Hub(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/api/models/test/model/tree/"):
            return self.send([entry(p) for p in SIZES])
        if path.startswith("/api/models/test/model"):
            siblings = [{"rfilename": p} for p in SIZES]
            return self.send({"_id": "1", "id": "test/model", "sha": COMMIT, "siblings": siblings})
        name = path.split("/", 5)[5]
        found = entry(name)
        etag = found["lfs"]["oid"] if "lfs" in found else found["oid"]
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}
        if "lfs" in found:
            headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(found["size"])}
        self.send(content(SIZES[name]), headers)

    def send(self, value, headers={}):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(200)
        kind = "application/octet-stream" if isinstance(value, bytes) else "application/json"
        for key, text in ({"Content-Type": kind, "Content-Length": str(len(data))} | headers).items():
            self.send_header(key, text)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)


def layout(root):
    lines = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            link = f" -> {os.readlink(path)}" if os.path.islink(path) else ""
            lines.append(os.path.relpath(path, root) + link)
    kept = ("blobs/", "refs/", "snapshots/")
    return sorted(line for line in lines if line.startswith(kept))


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory() as cache:
        os.environ.update(HF_ENDPOINT=endpoint, HF_HOME=cache, HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_TELEMETRY="1")
        import huggingface_hub

        for revision in ("main", "refs/pr/1"):
            huggingface_hub.snapshot_download("test/model", revision=revision, allow_patterns=WANTED)
        golden = {
            "huggingface_hub": huggingface_hub.__version__,
            "commit": COMMIT,
            "sizes": SIZES,
            "layout": layout(os.path.join(cache, "hub", "models--test--model")),
        }
    with open(sys.argv[1], "w") as file:
        json.dump(golden, file, indent=2)
        file.write("\n")


main()
