"""A small client for the bed's API server: JSON over one kept connection per thread."""

import http.client
import json
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor


class KubeError(Exception):
    def __init__(self, method, path, status, body):
        super().__init__(f"{method} {path}: {status} {body[:300]}")
        self.status = status


class Kube:
    def __init__(self, port, ca, token):
        self.port = port
        self.token = token
        self.context = ssl.create_default_context(cafile=str(ca))
        self.local = threading.local()
        self.pool = ThreadPoolExecutor(8)

    def request(self, method, path, body=None, content_type="application/json"):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        if data is not None:
            headers["Content-Type"] = content_type
        for last in (False, True):
            connection = getattr(self.local, "connection", None)
            if connection is None:
                connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self.context)
                self.local.connection = connection
            try:
                connection.request(method, path, data, headers)
                answer = connection.getresponse()
                text = answer.read().decode()
                break
            except (OSError, http.client.HTTPException):
                connection.close()
                self.local.connection = None
                # A kept connection may have been closed by the server meanwhile: once more on a new one.
                if last:
                    raise
        if answer.status >= 400:
            raise KubeError(method, path, answer.status, text)
        return json.loads(text) if text.startswith(("{", "[")) else text

    def get(self, path):
        return self.request("GET", path)

    def find(self, path):
        """The object, or None if it is not there."""
        try:
            return self.get(path)
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    def create(self, path, body):
        """Creates; one that is there already is no error."""
        try:
            return self.request("POST", path, body)
        except KubeError as error:
            if error.status == 409:
                return None
            raise

    def patch(self, path, body, kind="merge-patch"):
        return self.request("PATCH", path, body, f"application/{kind}+json")

    def delete(self, path, grace=0):
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            return self.request("DELETE", path, options)
        except KubeError as error:
            if error.status in (404, 409):
                return None
            raise

    def each(self, function, items):
        """Calls `function` for all items, eight at a time."""
        return list(self.pool.map(function, items))

    def resources(self):
        """Everything that can be listed and deleted: (api prefix, plural, kind, namespaced)."""
        prefixes = ["/api/v1"] + [
            f"/apis/{group['preferredVersion']['groupVersion']}" for group in self.get("/apis")["groups"]
        ]
        found = []
        for prefix, listing in zip(prefixes, self.each(self.find, prefixes), strict=True):
            for resource in (listing or {"resources": []})["resources"]:
                if "/" not in resource["name"] and {"list", "delete"} <= set(resource["verbs"]):
                    found.append((prefix, resource["name"], resource["kind"], resource["namespaced"]))
        return sorted(found)


def object_path(prefix, plural, metadata):
    namespace = metadata.get("namespace")
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{prefix}{scope}/{plural}/{metadata['name']}"
