"""A Hub on this machine, for the unmodified clients: they find it by the environment variable HF_ENDPOINT.

It speaks what huggingface_hub 2.4 asks for when it creates, uploads, commits, lists, downloads and deletes, with large
files by git LFS and by Xet. It is a stand-in: size limits, gated repositories and card validation are not here.
"""

import hashlib
import json
import re
import socket
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from huggingface_hub import constants

from tests.hub import xet
from tests.hub.repository import Blob, Commit, Repository, make_commit

TOKEN, USER = "hf_test", "tester"
LARGE = (".safetensors", ".bin", ".onnx", ".parquet", ".arrow", ".pt", ".npz", ".model")
REPO = r"(?:(?P<type>model|dataset|space)s/)?(?P<id>[\w.-]+/[\w.-]+)"


class Hub(ThreadingHTTPServer):
    """The server and everything it stores; use it as a context, then talk to `url`."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.large: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.broken = {
            "PUT /lfs/": 0,
            "/commit/": 0,
        }  # how many of the next such requests break halfway
        self.cut_short = 0  # how many of the next downloads end after half of their bytes
        self.lock = threading.RLock()

    def __enter__(self) -> "Hub":
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def environment(self, home: Path, *, use_xet: bool = True) -> dict[str, str]:
        """Return what a client process needs in order to find this Hub."""
        return {
            "HF_ENDPOINT": self.url, "HF_TOKEN": TOKEN, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "0" if use_xet else "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }  # fmt: skip

    def redirect(
        self, monkeypatch, folder: Path, *, use_xet: bool = True, url: str | None = None, token: str = TOKEN
    ) -> None:
        """Point the client of this process here, with a cache of its own in `folder`."""
        url = url or self.url
        for name, value in {
            "ENDPOINT": url,
            "HUGGINGFACE_CO_URL_TEMPLATE": url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_DISABLE_XET": not use_xet,
            "HF_HUB_CACHE": str(folder / "cache"),
            "HF_TOKEN_PATH": str(folder / "no-token"),
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("HF_TOKEN", token)

    def repository(self, name: str, type: str = "model") -> Repository:
        """Return a repository that is there."""
        return self.repositories[type, name]

    def has_large(self, sha256: str) -> bool:
        """Tell whether a large file has arrived by either way."""
        return sha256 in self.large or xet.xet_hash(self.folder, sha256) is not None

    def content(self, blob: Blob) -> bytes:
        """Return the bytes of a file, wherever they are kept."""
        if blob.content is not None:
            return blob.content
        with self.lock:
            if blob.sha256 not in self.large:
                self.large[blob.sha256] = xet.read(self.folder, xet.xet_hash(self.folder, blob.sha256), blob.size)
            return self.large[blob.sha256]


class Refusal(Exception):
    """An answer that is an error of the Hub: status, code and words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Handler(BaseHTTPRequestHandler):
    """One request: find its route in ROUTES, check who asks, answer."""

    protocol_version = "HTTP/1.1"
    server: Hub

    def route(self) -> None:
        """Answer a request of any method."""
        parts = urlsplit(self.path)
        self.query = parse_qs(parts.query)
        request = f"{self.command} {self.path}"
        self.server.requests.append(request)
        path = unquote(parts.path)
        if part := next((part for part, count in self.server.broken.items() if count and part in request), None):
            return self.hang_up(part)
        method = "GET" if self.command == "HEAD" else self.command
        try:
            for wanted, pattern, answer in ROUTES:
                if wanted == method and (found := re.fullmatch(pattern, path)):
                    return answer(self, **found.groupdict())
            raise Refusal(404, "EntryNotFound", f"no route for {self.command} {path}")
        except Refusal as refusal:
            headers = {"X-Error-Code": refusal.code, "X-Error-Message": str(refusal)}
            self.reply({"error": str(refusal)}, status=refusal.status, headers=headers)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = route  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        """Stay quiet."""

    def hang_up(self, part: str) -> None:
        """Close the connection in the middle of the request."""
        self.server.broken[part] -= 1
        self.rfile.read(int(self.headers.get("Content-Length", 200)) // 2)
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def body(self) -> bytes:
        """Read the body of the request, chunked or not."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def reply(self, answer: object, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Answer with bytes or JSON, and with a part of the bytes where the client asks for a range."""
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        headers = dict(headers or {})
        if wanted and isinstance(answer, bytes):
            first, last = int(wanted[1]), int(wanted[2] or len(data) - 1)
            status, headers["Content-Range"] = 206, f"bytes {first}-{min(last, len(data) - 1)}/{len(data)}"
            data = data[first : last + 1]
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(data), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.cut_short and "/resolve/" in self.path:
            self.server.cut_short -= 1
            data, self.close_connection = data[: len(data) // 2], True
        self.wfile.write(data)

    @property
    def signed_in(self) -> bool:
        """Whether the client sent the token."""
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def find_repository(self, type: str | None, id: str) -> Repository:
        """Return a repository that the client may see; a private one looks missing to others, as on the Hub."""
        repository = self.server.repositories.get((type or "model", id))
        if repository is None or (repository.private and not self.signed_in):
            raise Refusal(404 if self.signed_in else 401, "RepoNotFound", "Repository not found")
        return repository

    def find_commit(self, type: str | None, id: str, revision: str) -> Commit:
        """Return a commit, or the error of a missing revision."""
        commit = self.find_repository(type, id).find(revision)
        if commit is None:
            raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def require_token(self) -> None:
        """Refuse writing to strangers."""
        if not self.signed_in:
            self.body()
            raise Refusal(401, "Unauthorized", "Invalid username or password.")

    # Accounts and repositories

    def whoami(self) -> None:
        """GET /api/whoami-v2."""
        self.require_token()
        access = {"accessToken": {"role": "write", "displayName": "test"}}
        self.reply({"type": "user", "name": USER, "fullname": USER, "orgs": [], "auth": access})

    def validate_card(self) -> None:
        """POST /api/validate-yaml."""
        self.body()
        self.reply({"errors": [], "warnings": []})

    def create(self) -> None:
        """POST /api/repos/create."""
        self.require_token()
        wanted = json.loads(self.body())
        type = wanted.get("type") or "model"
        id = f"{wanted.get('organization') or USER}/{wanted['name']}"
        url = {"url": f"{self.server.url}/{'' if type == 'model' else type + 's/'}{id}", "name": id}
        if (type, id) in self.server.repositories:
            return self.reply({"error": "You already created this repo", **url}, status=409)
        private = wanted.get("private") or wanted.get("visibility") == "private"
        self.server.repositories[type, id] = Repository(id, type, bool(private))
        self.reply(url)

    def delete(self) -> None:
        """DELETE /api/repos/delete."""
        self.require_token()
        wanted = json.loads(self.body())
        del self.server.repositories[wanted.get("type") or "model", f"{wanted.get('organization')}/{wanted['name']}"]
        self.reply({})

    def info(self, type: str | None, id: str, revision: str = "main") -> None:
        """GET /api/models/ID[/revision/REV]."""
        repository, commit = self.find_repository(type, id), self.find_commit(type, id, revision)
        self.reply(
            {
                "_id": id, "id": id, "modelId": id, "sha": commit.oid, "private": repository.private, "gated": False,
                "disabled": False, "downloads": 0, "likes": 0, "tags": [], "lastModified": _date(commit),
                "createdAt": _date(commit), "author": id.split("/")[0],
                "siblings": [{"rfilename": path} for path in sorted(commit.files)],
            }
        )  # fmt: skip

    def refs(self, type: str | None, id: str) -> None:
        """GET /api/models/ID/refs."""
        refs = self.find_repository(type, id).refs.items()
        rows = [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit.oid} for name, commit in refs]
        self.reply({"branches": rows, "converts": [], "tags": [], "pullRequests": []})

    def commits(self, type: str | None, id: str, revision: str) -> None:
        """GET /api/models/ID/commits/REV."""
        history = self.find_commit(type, id, revision).history
        rows = [{"id": c.oid, "title": c.title, "message": "", "date": _date(c), "authors": []} for c in history]
        self.reply(rows)

    def branch(self, type: str | None, id: str, name: str) -> None:
        """POST /api/models/ID/branch/NAME."""
        self.require_token()
        start = json.loads(self.body() or b"{}").get("startingPoint", "main")
        refs = self.find_repository(type, id).refs
        if name in refs:
            raise Refusal(409, "Conflict", "Reference already exists")
        refs[name] = self.find_commit(type, id, start)
        self.reply({})

    # Uploading

    def preupload(self, type: str | None, id: str, revision: str) -> None:
        """POST /api/models/ID/preupload/REV: which files are large, and what is there already."""
        self.require_token()
        present = self.find_commit(type, id, revision).files
        files = [
            {
                "path": file["path"], "shouldIgnore": False, "oid": getattr(present.get(file["path"]), "oid", None),
                "uploadMode": "lfs" if file["path"].endswith(LARGE) or file["size"] > 10_000_000 else "regular",
            }
            for file in json.loads(self.body())["files"]
        ]  # fmt: skip
        self.reply({"files": files})

    def lfs_batch(self, type: str | None, id: str) -> None:
        """POST /ID.git/info/lfs/objects/batch."""
        self.require_token()
        objects = []
        for wanted in json.loads(self.body())["objects"]:
            upload = {"href": f"{self.server.url}/lfs/{wanted['oid']}"}
            known = wanted["oid"] in self.server.large
            objects.append(wanted if known else {**wanted, "actions": {"upload": upload}})
        self.reply({"transfer": "basic", "objects": objects})

    def lfs_upload(self, oid: str) -> None:
        """PUT /lfs/OID."""
        data = self.body()
        if hashlib.sha256(data).hexdigest() != oid:
            raise Refusal(422, "BadRequest", "content does not match its hash")
        self.server.large[oid] = data
        self.reply({})

    def xet_token(self, type: str | None, id: str, revision: str) -> None:
        """GET /api/models/ID/xet-{read,write}-token/REV: the store is a local directory."""
        self.find_repository(type, id)
        url, expiry = f"local://{self.server.folder}", int(time.time()) + 3600
        headers = {"X-Xet-Cas-Url": url, "X-Xet-Access-Token": "token", "X-Xet-Token-Expiration": str(expiry)}
        self.reply({"casUrl": url, "exp": expiry, "accessToken": "token"}, headers=headers)

    def commit(self, type: str | None, id: str, revision: str) -> None:
        """POST /api/models/ID/commit/REV, with the operations one in a line."""
        self.require_token()
        repository = self.find_repository(type, id)
        lines, pull_request = self.body().splitlines(), "create_pr" in self.query
        with self.server.lock:
            if pull_request:
                base = self.find_commit(type, id, revision)
                revision = f"refs/pr/{sum(name.startswith('refs/pr/') for name in repository.refs) + 1}"
                repository.refs[revision] = make_commit("", base.files, base)
            if revision not in repository.refs:
                raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            try:
                commit = repository.commit(revision, lines, self.server.has_large)
            except KeyError as missing:
                raise Refusal(400, "BadRequest", f"LFS object {missing} was never uploaded") from None
            except ValueError as stale:
                raise Refusal(412, "PreconditionFailed", str(stale)) from None
        url = f"{self.server.url}/{id}/discussions/{revision.split('/')[-1]}" if pull_request else None
        self.reply({"commitOid": commit.oid, "commitUrl": f"{self.server.url}/{id}/commit/{commit.oid}",
                    "pullRequestUrl": url, "hookOutput": ""})  # fmt: skip

    # Downloading

    def resolve(self, type: str | None, id: str, revision: str, path: str) -> None:
        """GET /ID/resolve/REV/PATH: the bytes of a file."""
        commit = self.find_commit(type, id, revision)
        if path not in commit.files:
            raise Refusal(404, "EntryNotFound", f"Entry not found: {path}")
        blob = commit.files[path]
        headers = {"ETag": f'"{blob.oid}"', "X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes",
                   "Content-Type": "application/octet-stream"}  # fmt: skip
        if blob.sha256:
            headers |= {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(blob.size)}
            if file_hash := xet.xet_hash(self.server.folder, blob.sha256):
                token = f"{self.server.url}/api/{type or 'model'}s/{id}/xet-read-token/{commit.oid}"
                headers |= {"X-Xet-Hash": file_hash, "Link": f'<{token}>; rel="xet-auth"'}
        self.reply(self.server.content(blob), headers=headers)

    def tree(self, type: str | None, id: str, revision: str, path: str | None = None) -> None:
        """GET /api/models/ID/tree/REV[/PATH]."""
        files = self.find_commit(type, id, revision).files
        prefix, rows, folders = f"{path}/" if path else "", [], set()
        for name, blob in sorted(files.items()):
            if not name.startswith(prefix):
                continue
            head, *deeper = name[len(prefix) :].split("/")
            if deeper and self.query.get("recursive", ["false"])[0].lower() not in ("true", "1"):
                folders.add(prefix + head)
            else:
                rows.append(_entry(name, blob))
        if prefix and not rows and not folders:
            raise Refusal(404, "EntryNotFound", f"{path} does not exist on {revision}")
        self.reply([{"type": "directory", "path": name, "oid": "0" * 40, "size": 0} for name in sorted(folders)] + rows)

    def paths_info(self, type: str | None, id: str, revision: str) -> None:
        """POST /api/models/ID/paths-info/REV."""
        files, body = self.find_commit(type, id, revision).files, self.body()
        form = body.decode()
        paths = json.loads(body)["paths"] if form.startswith("{") else parse_qs(form).get("paths", [])
        rows = [_entry(path, files[path]) for path in paths if path in files]
        folders = [p for p in paths if p not in files and any(name.startswith(f"{p}/") for name in files)]
        self.reply(rows + [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders])


def _entry(path: str, blob: Blob) -> dict[str, object]:
    row: dict[str, object] = {"type": "file", "path": path, "oid": blob.git_oid, "size": blob.size}
    return row | ({"lfs": {"oid": blob.sha256, "size": blob.size, "pointerSize": 134}} if blob.sha256 else {})


def _date(commit: Commit) -> str:
    return datetime.fromtimestamp(commit.date, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


REVISION = r"(?P<revision>refs/\w+/[\w-]+|[^/]+)"
ROUTES = [
    ("GET", "/api/whoami-v2", Handler.whoami),
    ("POST", "/api/validate-yaml", Handler.validate_card),
    ("POST", "/api/repos/create", Handler.create),
    ("DELETE", "/api/repos/delete", Handler.delete),
    ("GET", f"/api/{REPO}", Handler.info),
    ("GET", f"/api/{REPO}/revision/{REVISION}", Handler.info),
    ("GET", f"/api/{REPO}/refs", Handler.refs),
    ("GET", f"/api/{REPO}/commits/{REVISION}", Handler.commits),
    ("POST", f"/api/{REPO}/branch/(?P<name>.+)", Handler.branch),
    ("POST", f"/api/{REPO}/preupload/{REVISION}", Handler.preupload),
    ("POST", rf"/{REPO}\.git/info/lfs/objects/batch", Handler.lfs_batch),
    ("PUT", r"/lfs/(?P<oid>\w{64})", Handler.lfs_upload),
    ("GET", f"/api/{REPO}/xet-(?:read|write)-token/{REVISION}", Handler.xet_token),
    ("POST", f"/api/{REPO}/commit/{REVISION}", Handler.commit),
    ("GET", f"/{REPO}/resolve/{REVISION}/(?P<path>.+)", Handler.resolve),
    ("GET", f"/api/{REPO}/tree/{REVISION}(?:/(?P<path>.+))?", Handler.tree),
    ("POST", f"/api/{REPO}/paths-info/{REVISION}", Handler.paths_info),
]
