"""What moto takes and drops, or does not take, of ELBv2: kept and shown as AWS's API reference has it.

Only what requests say comes back in answers, nothing is made up: transforms of rules, regular expressions in conditions,
JWT validation, mutual TLS, gRPC codes of an edited health check; certificates for SNI stay when a listener's default
changes; priorities may be swapped in one call. Written for the version that requirements.txt pins.
"""

import moto.elbv2.models as models
import moto.elbv2.responses as responses
from moto.elbv2.exceptions import DuplicatePriorityError, PriorityInUseError, RuleNotFoundError

Backend = models.ELBv2Backend
Response = responses.ELBV2Response


def without_regex(validate):
    """Validation that looks for Values where RegexValues stand instead."""
    def replaced(self, condition):
        configs = [value for name, value in condition.items() if name.endswith("Config")]
        if not condition.get("RegexValues") and not any(config.get("RegexValues") for config in configs):
            validate(self, condition)
    return replaced


for field in ["host_header", "http_header", "path_pattern"]:
    name = f"_validate_{field}_condition"
    setattr(Backend, name, without_regex(getattr(Backend, name)))


validate_actions = Backend._validate_actions


def validate_known_actions(self, actions):
    validate_actions(self, [action for action in actions if action.type != "jwt-validation"])


Backend._validate_actions = validate_known_actions


def set_rule_priorities(self, rule_priorities):
    """A priority is in use only if a rule that the call does not name has it."""
    wanted = {entry["RuleArn"]: entry["Priority"] for entry in rule_priorities}
    taken = list(wanted.values())
    for priority in set(taken):
        if taken.count(priority) > 1:
            raise DuplicatePriorityError(priority)
    rules = self.describe_rules(listener_arn=None, rule_arns=list(wanted))
    if len(rules) != len(wanted):
        raise RuleNotFoundError()
    for listener in self.describe_listeners(None, [rules[0].listener_arn]):
        for rule in listener.rules.values():
            if rule.arn not in wanted and rule.priority in taken:
                raise PriorityInUseError()
    for rule in rules:
        rule.priority = wanted[rule.arn]
    return rules


Backend.set_rule_priorities = set_rule_priorities


def created(result, key):
    """The one resource of an answer."""
    return result.result[key][0]


create_rule, modify_rule = Response.create_rule, Response.modify_rule
create_listener, modify_listener = Response.create_listener, Response.modify_listener
modify_target_group = Response.modify_target_group


def create_rule_with_transforms(self):
    result = create_rule(self)
    created(result, "Rules").transforms = self._get_params().get("Transforms", [])
    return result


def modify_rule_with_transforms(self):
    result = modify_rule(self)
    parameters = self._get_params()
    if parameters.get("ResetTransforms"):
        created(result, "Rules").transforms = []
    elif parameters.get("Transforms"):
        created(result, "Rules").transforms = parameters["Transforms"]
    return result


def create_listener_with_clients(self):
    result = create_listener(self)
    listener = created(result, "Listeners")
    if listener.protocol == "HTTPS":
        listener.mutual_authentication = self._get_params().get("MutualAuthentication", {"Mode": "off"})
    return result


def modify_listener_with_clients(self):
    parameters = self._get_params()
    listener = self.elbv2_backend.describe_listeners(None, [parameters["ListenerArn"]])[0]
    others = listener.certificates[1:]
    result = modify_listener(self)
    if parameters.get("Certificates"):
        listener.certificates += [arn for arn in others if arn not in listener.certificates]
    if parameters.get("MutualAuthentication"):
        listener.mutual_authentication = parameters["MutualAuthentication"]
    return result


def modify_target_group_with_grpc(self):
    result = modify_target_group(self)
    codes = (self._get_params().get("Matcher") or {}).get("GrpcCode")
    if codes:
        created(result, "TargetGroups").matcher = {"GrpcCode": codes}
    return result


Response.create_rule = create_rule_with_transforms
Response.modify_rule = modify_rule_with_transforms
Response.create_listener = create_listener_with_clients
Response.modify_listener = modify_listener_with_clients
Response.modify_target_group = modify_target_group_with_grpc
