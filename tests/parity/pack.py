#!/usr/bin/env python3
"""Packs recorded cases (cases/AREA/SLUG/{input.yaml,facts.json,lbc.json}) into one file for each area.

usage: pack.py CORPUS

README.md describes the packed form. Only what the test compares is kept.
"""
import json, pathlib, sys

here, corpus = pathlib.Path(__file__).resolve().parent, pathlib.Path(sys.argv[1])
compact = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def certificates(lbc):
    """group -> listener port -> [default, [the others]], of what was deployed."""
    groups = {}
    for group, deployed in (lbc.get("deployed") or {}).items():
        for balancer in deployed.get("loadBalancers", []):
            if balancer["type"] != "application":
                continue
            for listener in balancer["listeners"]:
                if listener["protocol"] == "HTTPS":
                    default = [c["CertificateArn"] for c in listener["certificates"]][:1]
                    others = sorted(set(listener["extraCertificates"]) - set(default))
                    groups.setdefault(group, {})[str(listener["port"])] = [default, others]
    return groups


def answer(lbc):
    kept = {"outcome": lbc["outcome"]}
    if any(event[1] == "FailedLoadGroupID" for event in lbc.get("events") or []):
        kept["leavesOut"] = True
    if lbc["outcome"] != "built" and lbc.get("errors"):
        kept["error"] = lbc["errors"][0][:200]
    if lbc.get("groups"):
        kept["groups"] = lbc["groups"]
    if certificates(lbc):
        kept["certificates"] = certificates(lbc)
    return kept


(here / "account.json").write_text((corpus / "account.json").read_text())
for area in sorted(path for path in (corpus / "cases").iterdir() if path.is_dir()):
    with (here / f"{area.name}.cases").open("w") as packed:
        for case in sorted(area.iterdir()):
            text = (case / "input.yaml").read_text()
            assert not any(line.startswith(("=== ", ">>> ")) for line in text.split("\n")), case
            assert text.endswith("\n"), case
            facts = json.loads((case / "facts.json").read_text())
            lbc = json.loads((case / "lbc.json").read_text())
            packed.write(f"=== {case.name}\n{text}>>> {compact(facts)}\n>>> {compact(answer(lbc))}\n")
