"""A Hugging Face hub of a few routes, on this machine: what its library asks for when models are sent and fetched."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_rightTokenOfTheTest"  # noqa: S105 - of no service
OWNER = "me"
_LARGE = (".npy", ".npz", ".onnx", ".safetensors")


class SmallHub:
    """repositories: private or not, and by branch the files.  requests: method, path, and whether the token was shown.

    created: what was asked for when repositories were made.  messages: of commits.
    """

    def __init__(self):
        self.repositories = {}
        self.requests, self.created, self.messages = [], [], []
        self.uploaded = {}
        self.default_private = False

    def put(self, name, files, *, private=False):
        self.repositories[name] = {"private": private, "branches": {"main": {".gitattributes": b"", **files}}}

    def files(self, name, branch="main"):
        return self.repositories[name]["branches"][branch]

    def at(self, name, revision):
        """Return the files of a branch or a commit, None where there is none."""
        branches = self.repositories[name]["branches"]
        return branches.get(revision) or next((files for files in branches.values() if commit(files) == revision), None)

    @contextmanager
    def serving(self):
        """The address of the hub while it answers."""

        class Handler(_Handler):
            hub = self

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
                thread.join()


def commit(files):
    digests = sorted((name, hashlib.sha256(content).hexdigest()) for name, content in files.items())
    return hashlib.sha256(repr(digests).encode()).hexdigest()[:40]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def error(self, status, code, message):
        self.answer(status, {"error": message}, X_Error_Code=code, X_Error_Message=message)

    def handle_any(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        shown = self.headers.get("Authorization")
        self.hub.requests.append((self.command, "/".join(parts), shown))
        if parts[0] == "lfs":
            self.hub.uploaded[parts[1]] = self.body
            assert hashlib.sha256(self.body).hexdigest() == parts[1]
            self.answer(200)
            return
        if shown not in (None, f"Bearer {TOKEN}"):
            self.error(401, "InvalidToken", "Invalid credentials in Authorization header")
            return
        if parts[:2] == ["api", "repos"]:
            self.create(json.loads(self.body), shown)
        elif parts == ["api", "validate-yaml"]:
            self.validate(json.loads(self.body)["content"])
        else:
            name, rest = ("/".join(parts[2:4]), parts[4:]) if parts[0] == "api" else ("/".join(parts[:2]), parts[2:])
            name = name.removesuffix(".git")
            repository = self.hub.repositories.get(name)
            if repository is None or (repository["private"] and not shown):
                self.error(401 if shown is None else 404, "RepoNotFound", "Repository not found")
            elif self.command in ("POST", "PUT") and not shown:
                self.error(401, "Unauthorized", "Log in first")
            else:
                self.route(name, rest)

    def route(self, name, rest):
        if rest[:1] == ["info"]:  # of git-lfs
            self.on_info_lfs()
        else:
            getattr(self, f"on_{rest[0]}" if rest else "on_info")(name, *rest[1:])

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def create(self, asked, shown):
        if not shown:
            self.error(401, "Unauthorized", "Log in first")
            return
        self.hub.created.append(asked)
        name = f"{asked.get('organization') or OWNER}/{asked['name']}"
        there = name in self.hub.repositories
        if not there:
            default = "private" if self.hub.default_private else "public"
            self.hub.put(name, {}, private=asked.get("visibility", default) == "private")
        self.answer(409 if there else 200, {"url": f"http://{self.headers['Host']}/{name}"})

    def validate(self, content):
        """As the hub does: a front matter that is YAML, with the keys that a card has."""
        front = yaml.safe_load(content.split("---\n")[1]) if content.startswith("---\n") else {}
        faults = [key for key in front if key not in _CARD_KEYS] + ([] if front else ["empty"])
        self.answer(400 if faults else 200, {"errors": [{"message": fault} for fault in faults], "warnings": []})

    def on_info(self, name, *_):
        files = self.hub.files(name)
        siblings = [{"rfilename": path} for path in files]
        private = self.hub.repositories[name]["private"]
        self.answer(200, {"id": name, "private": private, "sha": commit(files), "siblings": siblings, "tags": []})

    def on_revision(self, name, revision):
        files = self.hub.at(name, revision)
        if files is None:
            self.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            self.answer(200, {"id": name, "private": False, "sha": commit(files), "siblings": [], "tags": []})

    def on_refs(self, name):
        branches = self.hub.repositories[name]["branches"]
        refs = [
            {"name": one, "ref": f"refs/heads/{one}", "targetCommit": commit(files)} for one, files in branches.items()
        ]
        self.answer(200, {"branches": refs, "tags": [], "converts": []})

    def on_branch(self, name, branch):
        branches = self.hub.repositories[name]["branches"]
        if branch in branches:
            self.error(409, "Conflict", "there already")
        else:
            branches[branch] = dict(branches["main"])
            self.answer(200, {})

    def on_tree(self, name, revision, *_):
        files = self.hub.at(name, revision)
        if files is None:
            self.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        oid = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
        self.answer(
            200,
            [{"type": "file", "path": path, "size": len(content), "oid": oid[path]} for path, content in files.items()],
        )

    def on_preupload(self, name, revision):
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(_LARGE) else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(self.body)["files"]
        ]
        self.answer(200, {"files": modes})

    def on_info_lfs(self):
        host = f"http://{self.headers['Host']}"
        objects = [
            {"oid": one["oid"], "size": one["size"], "actions": {"upload": {"href": f"{host}/lfs/{one['oid']}"}}}
            for one in json.loads(self.body)["objects"]
        ]
        self.answer(200, {"transfer": "basic", "objects": objects})

    def on_commit(self, name, revision):
        files = self.hub.files(name, revision)
        for line in map(json.loads, self.body.splitlines()):
            value = line["value"]
            match line["key"]:
                case "header":
                    self.hub.messages.append(value["summary"])
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.uploaded[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        oid = commit(files)
        url = f"http://{self.headers['Host']}/{name}/commit/{oid}"
        self.answer(200, {"success": True, "commitOid": oid, "commitUrl": url})

    def on_resolve(self, name, revision, *path):
        files = self.hub.at(name, revision)
        path = "/".join(path)
        if files is None:
            self.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif path not in files:
            self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit(files))
        else:
            content = files[path]
            headers = {"X_Repo_Commit": commit(files), "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
            self.answer(200, content, Content_Length=str(len(content)), **headers)


_CARD_KEYS = {"license", "base_model", "library_name", "pipeline_tag", "tags", "model-index"}
