"""What was in the cluster when the bed came up, and the way back to it without restarting a server."""

import copy
import time

from kube import KubeError, object_path
from process import BedError

# Kubernetes' own business, in which nothing of a test is ever found.
SYSTEM_NAMESPACES = {"kube-system", "kube-public", "kube-node-lease"}
# Written by controllers all the time, or derived from other objects.
VOLATILE = {"events", "leases", "endpoints", "endpointslices", "componentstatuses", "ipaddresses"}
RESTORE_SECONDS = 20


class Baseline:
    """The seeded objects by key: (api prefix, plural, namespace, name)."""

    def __init__(self, kube):
        self.kube = kube
        self.objects = self.read()

    def read(self, volatile=False):
        """All objects outside of the system's namespaces."""
        resources = [
            (prefix, plural, kind) for prefix, plural, kind, _ in self.kube.resources()
            if volatile or plural not in VOLATILE
        ]

        def listing(resource):
            prefix, plural, kind = resource
            api = prefix.removeprefix("/apis/").removeprefix("/api/")
            items = (self.kube.find(f"{prefix}/{plural}") or {"items": []})["items"]
            return [(prefix, plural, {"apiVersion": api, "kind": kind, **item}) for item in items]

        found = {}
        for items in self.kube.each(listing, resources):
            for prefix, plural, item in items:
                metadata = item["metadata"]
                if metadata.get("namespace") not in SYSTEM_NAMESPACES:
                    found[(prefix, plural, metadata.get("namespace", ""), metadata["name"])] = item
        return found

    def same(self, key, item):
        """Whether a seeded object is as it was, but for what heartbeats and controllers write into it."""
        before = self.objects[key]
        if before["metadata"]["resourceVersion"] == item["metadata"]["resourceVersion"]:
            return True
        return essence(before) == essence(item)

    def restore(self):
        deadline = time.monotonic() + RESTORE_SECONDS
        rounds = 0
        while True:
            found = self.read()
            strangers = {key: item for key, item in found.items() if key not in self.objects}
            changed = [key for key in self.objects if key not in found or not self.same(key, found[key])]
            if not strangers and not changed and not self.leftovers():
                break
            if time.monotonic() > deadline:
                names = sorted("/".join(key[1:]) for key in [*strangers, *changed, *self.leftovers()])
                raise BedError(f"the cluster does not get back to its seeded state: {', '.join(names[:10])}")
            self.kube.each(lambda pair: self.remove(*pair, force=rounds > 1), sorted(strangers.items(), key=owners_first))
            self.kube.each(lambda key: self.put_back(key, found.get(key)), changed)
            rounds += 1
            if rounds > 1:
                time.sleep(0.05)
        # Events of an object of the same name would be taken for the next run's.
        for namespace in {key[2] for key in self.objects if key[2]}:
            self.kube.delete(f"/api/v1/namespaces/{namespace}/events", grace=None)

    def leftovers(self):
        """EndpointSlices whose Service is gone; the controllers remove them by themselves a moment later."""
        slices = self.kube.get("/apis/discovery.k8s.io/v1/endpointslices")["items"]
        return [
            ("", "endpointslices", item["metadata"]["namespace"], item["metadata"]["name"]) for item in slices
            if item["metadata"]["namespace"] not in SYSTEM_NAMESPACES
            and item["metadata"].get("labels", {}).get("kubernetes.io/service-name") != "kubernetes"
        ]

    def remove(self, key, item, force):
        path = object_path(key[0], key[1], item["metadata"])
        if force and item["metadata"].get("finalizers"):
            try:
                self.kube.patch(path, {"metadata": {"finalizers": None}})
            except KubeError as error:
                if error.status not in (404, 409, 422):
                    raise
        if force or "deletionTimestamp" not in item["metadata"]:
            self.kube.delete(path)

    def put_back(self, key, now):
        wanted = copy.deepcopy(self.objects[key])
        metadata = wanted["metadata"]
        collection = object_path(key[0], key[1], {**metadata, "name": ""}).rstrip("/")
        for name in ["uid", "resourceVersion", "creationTimestamp", "generation"]:
            metadata.pop(name, None)
        if now is None:
            metadata.pop("managedFields", None)
            self.kube.create(collection, wanted)
            return
        try:
            self.kube.request("PUT", object_path(key[0], key[1], metadata), wanted)
        except KubeError as error:
            # Deleted or changed between reading and writing: the next round sees it.
            if error.status not in (404, 409):
                raise


def owners_first(pair):
    """Pods and ReplicaSets come back as long as their owners are there."""
    plural = pair[0][1]
    return {"namespaces": 3, "pods": 2, "replicasets": 1}.get(plural, 0), pair[0]


def essence(item):
    result = {name: value for name, value in item.items() if name != "status"}
    drop = {"resourceVersion", "uid", "generation", "creationTimestamp", "managedFields"}
    result["metadata"] = {name: value for name, value in item["metadata"].items() if name not in drop}
    return result
