use futures::executor::block_on;
use proptest::prelude::*;

use super::*;
use crate::{
    aws::{
        Ec2Write, ElbWrite,
        fake::{FakeAccount, Fault, FaultKind, sample},
    },
    id::SubnetId,
    model::{
        desired::Ref,
        elb::{
            Condition, HealthCheck, ListenerSpec, LoadBalancerSpec, RuleSpec, Scheme,
            TargetGroupSpec, WeightedTargetGroup,
        },
        net::{Permission, PermissionSource, SecurityGroupSpec},
    },
};

const VPC: &str = "vpc-0a0a0a0a0a0a0a0a0";

/// An account, the same behind a memory, and what was created there.
struct Bench {
    account: Arc<FakeAccount>,
    cached: Cached,
    load_balancer: Arn,
    listener: Arn,
    security_group: SecurityGroupId,
    target_groups: Vec<Arn>,
    rules: Vec<Arn>,
}

impl Bench {
    fn new() -> Self {
        let account = Arc::new(FakeAccount::seeded("c"));
        let cached = Cached::new(account.clone());
        let security_group = block_on(cached.create_security_group(&SecurityGroupSpec {
            name: "sg".into(),
            description: "d".into(),
            vpc_id: VPC.into(),
            tags: tags("sg"),
            ingress: BTreeSet::new(),
        }))
        .unwrap();
        let load_balancer = block_on(cached.create_load_balancer(&LoadBalancerSpec {
            name: "lb".into(),
            scheme: Scheme::Internal,
            ip_address_type: "ipv4".into(),
            subnets: vec![SubnetId::from("subnet-int0"), SubnetId::from("subnet-int1")],
            security_groups: vec![Ref::Known(security_group.clone())],
            attributes: BTreeMap::new(),
            tags: tags("lb"),
        }))
        .unwrap()
        .arn;
        let listener = block_on(cached.create_listener(
            &load_balancer,
            &ListenerSpec {
                tls: None,
                port: 80,
                protocol: "HTTP".into(),
                default_actions: vec![fixed("404")],
                attributes: BTreeMap::new(),
                tags: tags("80"),
            },
        ))
        .unwrap();
        Self {
            account,
            cached,
            load_balancer,
            listener,
            security_group,
            target_groups: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// Everything that can be read of it.
    fn read(&self, aws: &dyn AwsWrite) -> impl PartialEq + std::fmt::Debug + use<> {
        block_on(async {
            let load_balancers = aws
                .load_balancers(&Query::Arns(vec![self.load_balancer.clone()]))
                .await
                .unwrap();
            let listeners = aws.listeners(&self.load_balancer).await.unwrap();
            let mut rules = aws.rules(&self.listener).await.unwrap();
            rules.sort_by_key(|rule| rule.priority);
            let mut target_groups = aws
                .target_groups(&Query::Arns(self.target_groups.clone()))
                .await
                .unwrap();
            target_groups.sort_by(|left, right| left.arn.cmp(&right.arn));
            let mut arns = vec![self.load_balancer.clone(), self.listener.clone()];
            arns.extend(self.target_groups.clone());
            arns.extend(self.rules.clone());
            let tags = aws.tags(&arns).await.unwrap();
            let mut targets = BTreeMap::new();
            let mut attributes = vec![
                aws.load_balancer_attributes(&self.load_balancer)
                    .await
                    .unwrap(),
            ];
            for arn in &self.target_groups {
                targets.insert(arn.clone(), aws.targets(arn).await.unwrap());
                attributes.push(aws.target_group_attributes(arn).await.unwrap());
            }
            let groups = aws
                .security_groups(&GroupQuery::Ids(vec![self.security_group.clone()]))
                .await
                .unwrap();
            (
                load_balancers,
                listeners,
                rules,
                target_groups,
                (tags, targets, attributes, groups),
            )
        })
    }

    /// Target groups that rules and listeners name, as the memory says; it may name some that were named before.
    fn hanging(&self, aws: &dyn AwsWrite) -> BTreeSet<Arn> {
        block_on(aws.target_groups(&Query::OfLoadBalancer(self.load_balancer.clone())))
            .unwrap()
            .into_iter()
            .map(|live| live.arn)
            .collect()
    }

    fn calls(&self) -> usize {
        self.account.calls().len()
    }

    /// One write, chosen by numbers; whether it succeeds is the account's affair.
    fn write(&mut self, op: u8, a: usize, b: usize) {
        let aws = &self.cached;
        let target_group = (!self.target_groups.is_empty())
            .then(|| self.target_groups[a % self.target_groups.len()].clone());
        let rule = (!self.rules.is_empty()).then(|| self.rules[a % self.rules.len()].clone());
        let permission = Permission {
            protocol: "tcp".into(),
            from_port: 80 + i32::try_from(a % 3).unwrap(),
            to_port: 90,
            source: PermissionSource::Cidr("10.0.0.0/8".into()),
            description: String::new(),
        };
        let some_tags = BTreeMap::from([(format!("k{}", a % 3), format!("{b}"))]);
        let keys = BTreeSet::from([format!("k{}", a % 3)]);
        let targets = BTreeSet::from([Target {
            all_zones: false,
            id: format!("i-{:017}", b % 3),
            port: 30080,
        }]);
        match (op, target_group, rule) {
            (0, ..) => {
                let spec = target_group_spec(&format!("tg{}-{b}", self.target_groups.len()));
                // The same again is the one that there is.
                let created = block_on(aws.create_target_group(&spec)).ok();
                self.target_groups
                    .extend(created.filter(|arn| !self.target_groups.contains(arn)));
            }
            (1, Some(arn), _) => {
                let spec = RuleSpec {
                    transforms: Vec::new(),
                    conditions: path(b),
                    actions: vec![forward(&arn)],
                    tags: tags("rule"),
                };
                let priority = u32::try_from(b % 20 + 1).unwrap();
                self.rules
                    .extend(block_on(aws.create_rule(&self.listener, priority, &spec)).ok());
            }
            (2, Some(to), Some(rule)) => {
                let spec = RuleSpec {
                    conditions: path(b),
                    actions: vec![forward(&to)],
                    transforms: Vec::new(),
                    tags: Tags::new(),
                };
                drop(block_on(aws.modify_rule(&rule, &spec)));
            }
            (3, _, Some(rule)) => {
                if block_on(aws.delete_rule(&rule)).is_ok() {
                    self.rules.retain(|live| *live != rule);
                }
            }
            (4, _, Some(rule)) => {
                let priority = u32::try_from(b % 20 + 1).unwrap();
                drop(block_on(
                    aws.set_rule_priorities(&[(rule, priority)].into()),
                ));
            }
            (5, Some(arn), _) => drop(block_on(aws.register_targets(&arn, &targets))),
            (6, Some(arn), _) => drop(block_on(aws.deregister_targets(&arn, &targets))),
            (7, Some(arn), _) => {
                if block_on(aws.delete_target_group(&arn)).is_ok() {
                    self.target_groups.retain(|live| *live != arn);
                }
            }
            (8, Some(arn), _) => {
                let health_check = HealthCheck {
                    path: format!("/{b}"),
                    ..target_group_spec("").health_check
                };
                drop(block_on(aws.modify_target_group(&arn, &health_check)));
                let attributes = [("slow_start.duration_seconds".to_owned(), b.to_string())];
                drop(block_on(
                    aws.modify_target_group_attributes(&arn, &attributes.into()),
                ));
            }
            (9, ..) => drop(block_on(aws.add_tags(&self.listener, &some_tags))),
            (10, ..) => drop(block_on(aws.remove_tags(&self.listener, &keys))),
            (11, ..) => drop(block_on(
                aws.authorize_ingress(&self.security_group, &[permission]),
            )),
            (12, ..) => drop(block_on(
                aws.revoke_ingress(&self.security_group, &[permission]),
            )),
            (13, ..) => drop(block_on(aws.create_tags(&self.security_group, &some_tags))),
            (14, ..) => drop(block_on(aws.delete_tags(&self.security_group, &keys))),
            (15, ..) => {
                let attributes = [("idle_timeout.timeout_seconds".to_owned(), b.to_string())];
                drop(block_on(aws.modify_load_balancer_attributes(
                    &self.load_balancer,
                    &attributes.into(),
                )));
            }
            (16, arn, _) => {
                let spec = ListenerSpec {
                    tls: None,
                    port: 80,
                    protocol: "HTTP".into(),
                    default_actions: vec![arn.map_or_else(|| fixed("503"), |arn| forward(&arn))],
                    attributes: BTreeMap::new(),
                    tags: BTreeMap::new(),
                };
                drop(block_on(aws.modify_listener(&self.listener, &spec)));
            }
            _ => {
                let subnets: Vec<SubnetId> = (0..2 + b % 2)
                    .map(|index| SubnetId(format!("subnet-int{index}")))
                    .collect();
                drop(block_on(aws.set_subnets(&self.load_balancer, &subnets)));
            }
        }
    }
}

fn tags(name: &str) -> Tags {
    Tags::from([("name".to_owned(), name.to_owned())])
}

fn fixed(status: &str) -> RuleAction {
    RuleAction::FixedResponse {
        status_code: status.into(),
        content_type: Some("text/plain".into()),
        message_body: None,
    }
}

fn forward(arn: &Arn) -> RuleAction {
    RuleAction::Forward {
        target_groups: vec![WeightedTargetGroup {
            arn: Ref::Known(arn.clone()),
            weight: 1,
        }],
        stickiness_seconds: None,
    }
}

fn path(n: usize) -> Vec<Condition> {
    vec![Condition::PathPattern {
        values: vec![format!("/{n}")].into(),
    }]
}

fn target_group_spec(name: &str) -> TargetGroupSpec {
    TargetGroupSpec {
        vpc_id: VPC.into(),
        tags: tags(name),
        ..sample::target_group(name)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_remembered_is_what_would_be_read(
        writes in proptest::collection::vec((0u8..18, 0usize..4, 0usize..40), 1..40),
        read_between in any::<bool>(),
    ) {
        let mut bench = Bench::new();
        for (op, a, b) in writes {
            bench.write(op, a, b);
            if read_between {
                drop(bench.read(&bench.cached));
                drop(bench.hanging(&bench.cached));
            }
        }
        prop_assert!(bench.read(&bench.cached) == bench.read(&*bench.account));
        prop_assert!(bench.hanging(&bench.cached).is_superset(&bench.hanging(&*bench.account)));
    }
}

#[test]
fn after_one_reading_writes_are_followed_without_another() {
    let mut bench = Bench::new();
    bench.write(0, 0, 0);
    bench.write(1, 0, 1);
    drop(bench.read(&bench.cached));
    drop(bench.hanging(&bench.cached));
    // A new target group with a target, a rule moved to it, the old one gone.
    bench.write(0, 0, 1);
    bench.write(5, 1, 1);
    bench.write(2, 1, 3);
    bench.write(11, 0, 0);
    drop(bench.read(&bench.cached));
    let before = bench.calls();
    drop(bench.read(&bench.cached));
    drop(bench.hanging(&bench.cached));
    assert_eq!(bench.calls(), before);
    assert!(bench.read(&bench.cached) == bench.read(&*bench.account));
}

#[test]
fn a_hands_change_shows_after_forgetting() {
    let bench = Bench::new();
    let tags = || block_on(bench.cached.tags(std::slice::from_ref(&bench.listener))).unwrap();
    let before = tags();
    bench.account.edit(|state| {
        state
            .listeners
            .get_mut(&bench.listener)
            .unwrap()
            .tags
            .clear();
    });
    assert_eq!(tags(), before, "remembered");
    bench.cached.forget();
    assert_ne!(tags(), before);
}

#[test]
fn a_failed_write_makes_everything_doubtful() {
    for kind in [
        FaultKind::Refuse("Throttling".into()),
        FaultKind::TimeoutAfter,
    ] {
        let mut bench = Bench::new();
        bench.write(0, 0, 0);
        drop(bench.read(&bench.cached));
        bench.account.fail(Fault {
            operation: "RegisterTargets".into(),
            nth: 1,
            times: 1,
            kind,
        });
        bench.write(5, 0, 1);
        assert!(bench.read(&bench.cached) == bench.read(&*bench.account));
    }
}

#[test]
fn a_failed_read_is_not_remembered() {
    let bench = Bench::new();
    bench.cached.forget();
    bench.account.refuse_next("DescribeRules", "Throttling");
    assert!(block_on(bench.cached.rules(&bench.listener)).is_err());
    assert!(block_on(bench.cached.rules(&bench.listener)).is_ok());
}

#[test]
fn two_ways_to_one_account_share_the_memory() {
    let bench = Bench::new();
    let other = bench.cached.through(bench.account.clone());
    drop(bench.read(&bench.cached));
    let before = bench.calls();
    drop(bench.read(&other));
    assert_eq!(bench.calls(), before);
}
