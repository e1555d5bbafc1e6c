"""The AWS account that every bed starts from, and the way back to it.

The emulator's ids are drawn from a random source that `POST /moto-api/seed` sets, so the same calls in the same order
give the same ids: a reset leaves the Nodes of the cluster behind the instances they were made for.
"""

import hashlib
import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore import xform_name
from botocore.config import Config

REGION = "us-east-1"
ACCOUNT = "123456789012"
CLUSTER = "mz-k8s"
KUBERNETES = "1.36"
# The only one in config/images.json; what runs on the instances is of no interest.
IMAGE = "ami-0b0e0d0a0b0e0d0a0"
BOUNDARY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "ApplicationsOnly",
            "Effect": "Allow",
            "Action": ["s3:*", "sqs:*", "sns:*", "dynamodb:*", "kms:Decrypt", "kms:GenerateDataKey*", "logs:*"],
            "Resource": "*",
        }
    ],
}


class Account:
    """boto3 clients for one emulator, made once."""

    def __init__(self, endpoint, region=REGION):
        self.endpoint = endpoint
        self.region = region
        self.session = boto3.session.Session(
            aws_access_key_id="testing", aws_secret_access_key="testing", region_name=region
        )
        self.clients = {}

    def client(self, service):
        if service not in self.clients:
            config = Config(retries={"total_max_attempts": 1}, read_timeout=30, connect_timeout=5)
            self.clients[service] = self.session.client(service, endpoint_url=self.endpoint, config=config)
        return self.clients[service]

    def call(self, service, operation, parameters):
        """One call by its API name: call("elbv2", "DescribeLoadBalancers", {})."""
        return getattr(self.client(service), xform_name(operation))(**parameters)

    def pages(self, service, operation, key, **parameters):
        paginator = self.client(service).get_paginator(operation)
        return [item for page in paginator.paginate(**parameters) for item in page[key]]

    def moto(self, path):
        request = urllib.request.Request(f"{self.endpoint}/moto-api/{path}", data=b"", method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()


def issuer_id(seed):
    """32 upper-case hexadecimal digits, as AWS's."""
    return hashlib.sha256(f"albsync test bed {seed}".encode()).hexdigest()[:32].upper()


def issuer(seed):
    return f"https://oidc.eks.{REGION}.amazonaws.com/id/{issuer_id(seed)}"


def seed(account, number):
    """Empties the emulator and fills it; returns what tests need to know of it."""
    account.moto("reset")
    account.moto(f"seed?a={number}")
    ec2 = account.client("ec2")

    def tags(kind, **values):
        pairs = [{"Key": key, "Value": value} for key, value in values.items()]
        return [{"ResourceType": kind, "Tags": pairs}]

    cluster_tag = f"kubernetes.io/cluster/{CLUSTER}"
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tags("vpc", Name=CLUSTER))["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    public_table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=public_table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    private_table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]

    public, private = {}, {}
    for index, letter in enumerate("abc"):
        zone = REGION + letter
        for subnets, table, third, role in [
            (public, public_table, index, "elb"),
            (private, private_table, 100 + index, "internal-elb"),
        ]:
            named = {
                "Name": f"{CLUSTER}-{'public' if role == 'elb' else 'private'}-{letter}",
                f"kubernetes.io/role/{role}": "1",
                cluster_tag: "shared",
            }
            subnet = ec2.create_subnet(
                VpcId=vpc, CidrBlock=f"10.0.{third}.0/24", AvailabilityZone=zone, TagSpecifications=tags("subnet", **named)
            )["Subnet"]["SubnetId"]
            ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
            subnets[zone] = subnet

    group = ec2.create_security_group(
        GroupName=f"{CLUSTER}-nodes", Description="nodes of the cluster", VpcId=vpc,
        TagSpecifications=tags("security-group", **{"Name": f"{CLUSTER}-nodes", cluster_tag: "owned"}),
    )["GroupId"]

    instances = []
    for index, (zone, subnet) in enumerate(private.items()):
        address = f"10.0.{100 + index}.10"
        instance = ec2.run_instances(
            ImageId=IMAGE, InstanceType="t3.medium", MinCount=1, MaxCount=1, SubnetId=subnet, SecurityGroupIds=[group],
            PrivateIpAddress=address,
            TagSpecifications=tags("instance", **{"Name": f"{CLUSTER}-{index}", cluster_tag: "owned"}),
        )["Instances"][0]
        instances.append(
            {"id": instance["InstanceId"], "zone": zone, "subnet": subnet, "address": instance["PrivateIpAddress"],
             "name": instance["PrivateDnsName"]}
        )

    iam = account.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    role = iam.create_role(RoleName=f"{CLUSTER}-cluster", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    boundary = iam.create_policy(
        PolicyName="albsync-boundary", Path="/boundary/", PolicyDocument=json.dumps(BOUNDARY),
        Description="the most that roles made from git may do",
    )["Policy"]["Arn"]
    created = create_cluster(account, role, [*public.values(), *private.values()], group, vpc)
    return {
        "account": ACCOUNT,
        "region": REGION,
        "cluster_name": CLUSTER,
        "cluster_arn": created["arn"],
        "issuer": created["identity"]["oidc"]["issuer"],
        "vpc": vpc,
        "internet_gateway": gateway,
        "public_subnets": public,
        "private_subnets": private,
        "node_group": group,
        "instances": instances,
        "boundary": boundary,
    }


def create_cluster(account, role, subnets, group, vpc):
    """By hand rather than by boto3: AWS derives the VPC from the subnets, moto only repeats what the request says."""
    body = {
        "name": CLUSTER, "version": KUBERNETES, "roleArn": role,
        "resourcesVpcConfig": {
            "subnetIds": subnets, "securityGroupIds": [group], "vpcId": vpc, "clusterSecurityGroupId": group,
            "endpointPublicAccess": True, "endpointPrivateAccess": False,
        },
    }
    scope = f"testing/20260101/{account.region}/eks/aws4_request"
    request = urllib.request.Request(
        f"{account.endpoint}/clusters", data=json.dumps(body).encode(), method="POST",
        headers={
            "Content-Type": "application/json",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["cluster"]


def warm(account):
    """Makes the clients that dumps and tests will use; their models take a second to load."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(account.client, ["elbv2", "sts", "ec2", "iam", "eks"]))


def wake(account):
    """The first call to each service: what the emulator sets up then draws ids too, which is not to happen after the
    seed at the start and before it at each reset."""
    for service, operation in [("ec2", "DescribeVpcs"), ("iam", "ListRoles"), ("elbv2", "DescribeLoadBalancers")]:
        account.call(service, operation, {})
