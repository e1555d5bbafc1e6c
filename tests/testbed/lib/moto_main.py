"""Starts moto's server with an OIDC issuer that follows from the bed's seed.

moto draws the issuer's id at random when its EKS part is first used. The API server needs the issuer when it starts, and
both start at the same time, so the id is settled beforehand; it has the length and alphabet of a real one.
Usage: moto_main.py PORT ISSUER_ID DIR (DIR only marks the process as that bed's)
"""

import json
import sys

import moto.eks.models

moto.eks.models.ISSUER_TEMPLATE = "https://oidc.eks.{region}.amazonaws.com/id/" + sys.argv[2]

# Imported now, else the first call to each service pays for it.
import moto.ec2.models  # noqa: E402,F401
import moto.elbv2.models  # noqa: E402,F401
import moto.iam.models  # noqa: E402,F401
import moto.sts.models  # noqa: E402,F401
import moto_more  # noqa: E402,F401
from moto.server import main  # noqa: E402

# Of AWS's 1,400 managed policies those that a role for an application may want; making them all takes two seconds at
# each reset.
MANAGED = (
    "AdministratorAccess", "AmazonDynamoDB", "AmazonEBSCSI", "AmazonEC2ContainerRegistry", "AmazonEKS", "AmazonS3",
    "AmazonSNS", "AmazonSQS", "AmazonSSM", "CloudWatch", "ElasticLoadBalancing", "PowerUserAccess", "ReadOnlyAccess",
    "SecretsManager", "ViewOnlyAccess",
)
policies = json.loads(moto.iam.models.aws_managed_policies_data)
kept = {name: policy for name, policy in policies.items() if name.startswith(MANAGED)}
moto.iam.models.aws_managed_policies_data = json.dumps(kept)

main(["-H", "127.0.0.1", "-p", sys.argv[1]])
