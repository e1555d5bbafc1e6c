"""The whole state of AWS and the cluster as one sorted JSON value, made for comparing.

README.md ("What a dump leaves out") lists what the normaliser does; here it is written down as code. With `keep_ids`
everything that names a particular incarnation (ARNs, ids, uids, node ports, priorities) stays in.
"""

import json
import re

from restore import SYSTEM_NAMESPACES

NODE_PORTS = range(30000, 32768)
OUR_ANNOTATIONS = {"albsync.dev/revision", "albsync.dev/source"}
TIMES = {"lastTransitionTime", "lastUpdateTime", "lastHeartbeatTime", "lastProbeTime", "observedGeneration", "startTime"}
# AWS lists every attribute; the emulator only those that were set and a few more.
LOAD_BALANCER_DEFAULTS = {
    "access_logs.s3.bucket": "", "access_logs.s3.enabled": "false", "access_logs.s3.prefix": "",
    "client_keep_alive.seconds": "3600",
    "connection_logs.s3.bucket": "", "connection_logs.s3.enabled": "false", "connection_logs.s3.prefix": "",
    "deletion_protection.enabled": "false",
    "health_check_logs.s3.bucket": "", "health_check_logs.s3.enabled": "false", "health_check_logs.s3.prefix": "",
    "idle_timeout.timeout_seconds": "60",
    "ipv6.deny_all_igw_traffic": "false",
    "load_balancing.cross_zone.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
    "zonal_shift.config.enabled": "false",
}
TARGET_GROUP_DEFAULTS = {
    "deregistration_delay.timeout_seconds": "300",
    "load_balancing.algorithm.anomaly_mitigation": "off",
    "load_balancing.algorithm.type": "round_robin",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "slow_start.duration_seconds": "0",
    "stickiness.app_cookie.cookie_name": "", "stickiness.app_cookie.duration_seconds": "86400",
    "stickiness.enabled": "false", "stickiness.lb_cookie.duration_seconds": "86400", "stickiness.type": "lb_cookie",
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
}
LISTENER_DEFAULTS = {"routing.http.response.server.enabled": "true"}


def dump(account, kube, baseline, facts, keep_ids):
    cluster, ports = {}, {}
    if kube is not None:
        cluster, ports = dump_cluster(baseline, keep_ids)
    return {"aws": dump_aws(account, facts, ports, keep_ids), "cluster": cluster}


# The cluster


def dump_cluster(baseline, keep_ids):
    """The objects that are not as seeded, by `plural.group namespace/name`; and the node ports by number."""
    found = baseline.read(volatile=True)
    objects, pods, endpoints, ports = {}, {}, {}, {}
    for key, item in found.items():
        prefix, plural, namespace, name = key
        if plural in {"events", "leases", "endpoints", "componentstatuses", "controllerrevisions", "ipaddresses"}:
            continue
        if plural == "pods":
            count(pods, f"{namespace}/{owner(item)}", item.get("status", {}).get("phase", "Unknown"))
        elif plural == "endpointslices":
            service = item["metadata"].get("labels", {}).get("kubernetes.io/service-name", name)
            if service != "kubernetes":
                addresses = endpoints.setdefault(f"{namespace}/{service}", {"ready": 0, "not_ready": 0})
                for endpoint in item.get("endpoints") or []:
                    ready = endpoint.get("conditions", {}).get("ready", False)
                    addresses["ready" if ready else "not_ready"] += len(endpoint["addresses"])
        elif plural == "replicasets" and item["spec"].get("replicas") == 0:
            # A Deployment's past.
            continue
        elif key not in baseline.objects or not baseline.same(key, item):
            if plural == "services":
                for port in item["spec"].get("ports", []):
                    if "nodePort" in port:
                        ports[port["nodePort"]] = f"{namespace}/{name}:{port.get('name', port['port'])}"
            group = "" if prefix == "/api/v1" else "." + prefix.split("/")[2]
            label = f"{plural}{group} {namespace + '/' if namespace else ''}{name}"
            objects[label] = normal_object(plural, item, keep_ids)
    missing = sorted(
        "/".join(filter(None, key[1:])) for key in baseline.objects
        if key not in found and key[2] not in SYSTEM_NAMESPACES
    )
    return {"objects": objects, "pods": pods, "endpoints": endpoints, "seeded_objects_missing": missing}, ports


def count(counts, name, phase):
    phases = counts.setdefault(name, {})
    phases[phase] = phases.get(phase, 0) + 1


def owner(pod):
    owners = pod["metadata"].get("ownerReferences", [])
    return f"{owners[0]['kind']}/{owners[0]['name']}" if owners else pod["metadata"]["name"]


def normal_object(plural, item, keep_ids):
    result = without(item, TIMES)
    metadata = result["metadata"]
    for name in ["resourceVersion", "generation", "creationTimestamp", "managedFields", "deletionTimestamp"]:
        if name == "deletionTimestamp" and name in metadata:
            # That an object is on its way out is a difference; when it was told so is not.
            metadata[name] = "set"
            continue
        metadata.pop(name, None)
    annotations = {
        name: value for name, value in metadata.get("annotations", {}).items()
        if name not in OUR_ANNOTATIONS and not name.startswith("deployment.kubernetes.io/")
    }
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    conditions = result.get("status", {}).get("conditions")
    if conditions and plural in {"deployments", "replicasets", "statefulsets", "daemonsets"}:
        result["status"]["conditions"] = sorted(({"type": c["type"], "status": c["status"]} for c in conditions), key=text)
    if plural in {"deployments", "replicasets"}:
        result["status"].pop("collisionCount", None)
    if not keep_ids:
        metadata.pop("uid", None)
        for reference in metadata.get("ownerReferences", []):
            reference.pop("uid", None)
        if plural == "services":
            spec = result["spec"]
            for name in ["clusterIP", "clusterIPs"]:
                if spec.get(name) not in (None, "None", ["None"]):
                    spec[name] = "assigned"
            for port in spec.get("ports", []):
                if "nodePort" in port:
                    port["nodePort"] = "assigned"
    return result


def without(value, names):
    if isinstance(value, dict):
        return {key: without(item, names) for key, item in value.items() if key not in names}
    if isinstance(value, list):
        return [without(item, names) for item in value]
    return value


# AWS


def dump_aws(account, facts, ports, keep_ids):
    state = {
        "iam": dump_iam(account),
        "ec2": dump_ec2(account, facts),
        "elbv2": dump_elbv2(account),
        "eks": [account.call("eks", "DescribeCluster", {"name": name})["cluster"]
                for name in account.call("eks", "ListClusters", {})["clusters"]],
    }
    # Dates become strings here, and tuples lists.
    state = json.loads(json.dumps(state, default=str))
    state = without(state, {"CreatedTime", "CreateDate", "UpdateDate", "LaunchTime", "createdAt", "AttachTime"})
    if not keep_ids:
        state = hide_ids(state, ports)
    return order(state)


def dump_iam(account):
    iam = account.client("iam")
    roles = []
    for role in account.pages("iam", "list_roles", "Roles"):
        name = role["RoleName"]
        full = iam.get_role(RoleName=name)["Role"]
        full.pop("RoleLastUsed", None)
        full["Tags"] = tag_map(full.get("Tags", []))
        full["AttachedPolicies"] = sorted(
            policy["PolicyArn"] for policy in account.pages("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=name)
        )
        full["InlinePolicies"] = {
            policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for policy in account.pages("iam", "list_role_policies", "PolicyNames", RoleName=name)
        }
        roles.append(full)
    policies = []
    for policy in account.pages("iam", "list_policies", "Policies", Scope="Local"):
        arn = policy["Arn"]
        full = iam.get_policy(PolicyArn=arn)["Policy"]
        full["Tags"] = tag_map(full.get("Tags", []))
        versions = account.pages("iam", "list_policy_versions", "Versions", PolicyArn=arn)
        current = iam.get_policy_version(PolicyArn=arn, VersionId=full["DefaultVersionId"])["PolicyVersion"]
        full["Document"] = current["Document"]
        full["Versions"] = sorted(version["VersionId"] for version in versions)
        policies.append(full)
    providers = []
    for provider in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        full = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider["Arn"])
        full.pop("ResponseMetadata", None)
        full["Tags"] = tag_map(full.get("Tags", []))
        full["ClientIDList"] = sorted(full.get("ClientIDList", []))
        providers.append({"Arn": provider["Arn"], **full})
    return {"roles": roles, "policies": policies, "oidc_providers": providers}


def dump_ec2(account, facts):
    vpc = [{"Name": "vpc-id", "Values": [facts["vpc"]]}]

    def tagged(items):
        return [{**item, "Tags": tag_map(item.get("Tags", []))} for item in items]

    groups = tagged(account.call("ec2", "DescribeSecurityGroups", {"Filters": vpc})["SecurityGroups"])
    for group in groups:
        for direction in ["IpPermissions", "IpPermissionsEgress"]:
            group[direction] = single_permissions(group.get(direction, []))
    subnets = tagged(account.call("ec2", "DescribeSubnets", {"Filters": vpc})["Subnets"])
    instances = [
        {
            "InstanceId": instance["InstanceId"], "State": instance["State"]["Name"], "SubnetId": instance.get("SubnetId"),
            "SecurityGroups": sorted(group["GroupId"] for group in instance["SecurityGroups"]),
            "Tags": tag_map(instance.get("Tags", [])),
        }
        for reservation in account.call("ec2", "DescribeInstances", {"Filters": vpc})["Reservations"]
        for instance in reservation["Instances"]
    ]
    keep = {"SubnetId", "AvailabilityZone", "CidrBlock", "Tags"}
    return {
        "security_groups": groups,
        "subnets": [{name: value for name, value in subnet.items() if name in keep} for subnet in subnets],
        "instances": instances,
    }


def single_permissions(permissions):
    """One entry for each source, since how they are grouped is nobody's choice."""
    result = []
    for permission in permissions:
        base = {name: permission.get(name) for name in ["IpProtocol", "FromPort", "ToPort"]}
        for kind in ["IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs"]:
            for source in permission.get(kind, []):
                result.append({**base, **{n: v for n, v in source.items() if n not in {"UserId", "GroupName"}}})
    return result


def dump_elbv2(account):
    elb = account.client("elbv2")
    used = {}

    def attributes(call, name, arn, defaults):
        pairs = getattr(elb, call)(**{name: arn})["Attributes"]
        return {**defaults, **{pair["Key"]: pair["Value"] for pair in pairs}}

    def tags(arn):
        return tag_map(elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"])

    balancers = []
    for balancer in account.pages("elbv2", "describe_load_balancers", "LoadBalancers"):
        arn = balancer["LoadBalancerArn"]
        balancer["SecurityGroups"] = sorted(balancer.get("SecurityGroups", []))
        balancer["State"] = balancer["State"]["Code"]
        balancer["Attributes"] = attributes(
            "describe_load_balancer_attributes", "LoadBalancerArn", arn, LOAD_BALANCER_DEFAULTS)
        balancer["Tags"] = tags(arn)
        balancer["Listeners"] = []
        for listener in account.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn):
            listener_arn = listener["ListenerArn"]
            listener["DefaultActions"] = actions(listener["DefaultActions"], arn, used)
            listener["Tags"] = tags(listener_arn)
            listener["Attributes"] = attributes(
                "describe_listener_attributes", "ListenerArn", listener_arn, LISTENER_DEFAULTS)
            rules = []
            for rule in account.pages("elbv2", "describe_rules", "Rules", ListenerArn=listener_arn):
                rule["Actions"] = actions(rule["Actions"], arn, used)
                rule["Conditions"] = sorted((condition(entry) for entry in rule["Conditions"]), key=text)
                rule["Tags"] = tags(rule["RuleArn"])
                rules.append(rule)
            # In the order in which AWS tries them, the default last: a list whose order means something.
            rules.sort(key=lambda rule: (rule["IsDefault"], int(rule["Priority"]) if rule["Priority"].isdigit() else 0))
            listener["Rules in order"] = rules
            balancer["Listeners"].append(listener)
        balancers.append(balancer)

    groups = []
    for group in account.pages("elbv2", "describe_target_groups", "TargetGroups"):
        arn = group["TargetGroupArn"]
        # The emulator never takes a balancer off this list again: computed from listeners and rules instead.
        group["LoadBalancerArns"] = sorted(used.get(arn, set()))
        group["Attributes"] = attributes("describe_target_group_attributes", "TargetGroupArn", arn, TARGET_GROUP_DEFAULTS)
        group["Tags"] = tags(arn)
        health = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        group["Targets"] = [
            {**entry["Target"], "State": entry["TargetHealth"]["State"]} for entry in health
        ]
        groups.append(group)
    return {"load_balancers": balancers, "target_groups": groups}


def actions(given, balancer, used):
    """Actions in their long form, which AWS always answers with and the emulator only repeats."""
    result = []
    for action in given:
        action = dict(action)
        short = action.pop("TargetGroupArn", None)
        forward = action.get("ForwardConfig")
        if action["Type"] == "forward":
            groups = (forward or {}).get("TargetGroups") or [{"TargetGroupArn": short}]
            groups = [{"TargetGroupArn": g["TargetGroupArn"], "Weight": g.get("Weight", 1)} for g in groups]
            stickiness = (forward or {}).get("TargetGroupStickinessConfig") or {}
            if not stickiness.get("Enabled"):
                stickiness = {"Enabled": False}
            action["ForwardConfig"] = {"TargetGroups": groups, "TargetGroupStickinessConfig": stickiness}
            for group in groups:
                used.setdefault(group["TargetGroupArn"], set()).add(balancer)
        action.pop("Order", None)
        result.append(action)
    return result


def condition(given):
    """One form for `Values` and `…Config.Values`."""
    values = given.get("Values") or []
    for name, config in given.items():
        if name.endswith("Config"):
            values = values or config.get("Values", [])
            extra = {key: value for key, value in config.items() if key != "Values"}
            if extra:
                return {"Field": given["Field"], "Values": sorted(values, key=text), **extra}
    return {"Field": given["Field"], "Values": sorted(values, key=text)}


def tag_map(pairs):
    """Tags by key. Doubled keys (which the emulator allows) stay visible."""
    result = {}
    for pair in pairs:
        key = pair["Key"]
        while key in result:
            key += " (again)"
        result[key] = pair["Value"]
    return result


def hide_ids(state, ports):
    """Names in place of whatever AWS draws anew for an object that is made again."""
    names = {}
    for group in state["ec2"]["security_groups"]:
        names[group["GroupId"]] = f"<security group {group['GroupName']}>"
        group.pop("SecurityGroupArn", None)
    for group in state["elbv2"]["target_groups"]:
        # The end of the name is a digest that contains the Service's uid and node port.
        name = re.sub(r"[0-9a-f]{10}$", "*", group["TargetGroupName"])
        resource = group["Tags"].get("ingress.k8s.aws/resource", "untagged")
        group["TargetGroupName"] = name
        names[group["TargetGroupArn"]] = f"<target group {name} {resource}>"
    for balancer in state["elbv2"]["load_balancers"]:
        names[balancer["LoadBalancerArn"]] = f"<load balancer {balancer['LoadBalancerName']}>"
        for listener in balancer["Listeners"]:
            names[listener["ListenerArn"]] = f"<listener {balancer['LoadBalancerName']}:{listener['Port']}>"
            for rule in listener["Rules in order"]:
                for drawn in ["RuleArn", "Priority"]:
                    rule.pop(drawn)
                # PORT:PRIORITY as of the rule's creation: the number says nothing about the order of today.
                if tag := rule["Tags"].get("ingress.k8s.aws/resource"):
                    rule["Tags"]["ingress.k8s.aws/resource"] = re.sub(r":\d+$", ":*", tag)
    for role in state["iam"]["roles"]:
        role.pop("RoleId", None)
    for policy in state["iam"]["policies"]:
        for drawn in ["PolicyId", "DefaultVersionId"]:
            policy.pop(drawn, None)
        # How many there are is a matter of history.
        policy.pop("Versions", None)

    for group in state["elbv2"]["target_groups"]:
        for place in [group, *group["Targets"]]:
            if place.get("Port") in ports:
                place["Port"] = f"<node port of {ports[place['Port']]}>"
    for group in state["ec2"]["security_groups"]:
        for permission in [*group["IpPermissions"], *group["IpPermissionsEgress"]]:
            for end in ["FromPort", "ToPort"]:
                if permission[end] in NODE_PORTS and (permission["FromPort"], permission["ToPort"]) != (30000, 32767):
                    permission[end] = "<node port>"
            permission.pop("SecurityGroupRuleId", None)
    return renamed(state, names)


def renamed(value, names):
    if isinstance(value, dict):
        return {names.get(key, key): renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item, names) for item in value]
    if isinstance(value, str):
        return names.get(value, value)
    return value


def order(value, name=None):
    """Lists sorted, since AWS promises no order; but for rules, whose order is what matters."""
    if isinstance(value, dict):
        return {key: order(item, key) for key, item in value.items()}
    if isinstance(value, list):
        items = [order(item) for item in value]
        return items if name in {"Rules in order", "Actions", "DefaultActions"} else sorted(items, key=text)
    return value


def text(value):
    return json.dumps(value, sort_keys=True, default=str)
