"""A server on this machine that keeps what `huggingface_hub` uploads and gives it back, as the hub does."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from tempfile import TemporaryDirectory
from typing import Any

import pytest

COMMIT = "0" * 40


@contextmanager
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """Within the block the client's hub is a server of this process; yield the files that it has, by name."""
    from huggingface_hub import constants, file_download

    files: dict[str, bytes] = {}

    class Hub(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def answer(self, value: Any, code: int = 200, **headers: str) -> None:
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(code)
            for name, header in ({"Content-Length": str(len(content))} | headers).items():
                self.send_header(name.replace("_", "-"), header)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/api/repos/create":
                self.answer({"url": f"{address}/someone/flowers"})
            elif self.path == "/api/validate-yaml":
                self.answer({"errors": [], "warnings": []})
            elif "/preupload/" in self.path:
                wanted = json.loads(sent)["files"]
                modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in wanted]
                self.answer({"files": modes})
            elif "/commit/" in self.path:
                for line in map(json.loads, sent.splitlines()):
                    if line["key"] == "file":
                        files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                url = f"{address}/someone/flowers/commit/{COMMIT}"
                self.answer({"success": True, "commitOid": COMMIT, "commitUrl": url, "hookOutput": ""})
            else:
                self.answer({"error": f"unknown: {self.path}"}, 404)

        def do_GET(self) -> None:
            _, _, name = self.path.partition("/resolve/")
            content = files.get(name.partition("/")[2].partition("?")[0])
            if "/tree/" in self.path and files:
                kinds = {"type": "file", "oid": COMMIT}
                self.answer([kinds | {"path": path, "size": len(content)} for path, content in files.items()])
            elif self.path.startswith("/api/models/someone/flowers"):
                listed = [{"rfilename": path} for path in files]
                self.answer({"id": "someone/flowers", "sha": COMMIT, "siblings": listed})
            elif content is not None:
                self.answer(content, ETag=f'"{hashlib.sha256(content).hexdigest()}"', X_Repo_Commit=COMMIT)
            else:
                self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")

        do_HEAD = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with TemporaryDirectory() as cache:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        for module in (constants, file_download):  # the second has its own, until version 1
            template = address + "/{repo_id}/resolve/{revision}/{filename}"
            monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", cache)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        try:
            yield files
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
