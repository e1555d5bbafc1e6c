//! The limits that are counted: their names, what they count, and how that is told.

use std::{collections::BTreeMap, fmt};

/// A limit of ELBv2 on an account, a balancer, a target group or a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    Balancers,
    NetworkBalancers,
    TargetGroups,
    Rules,
    Listeners,
    /// Default certificates do not count.
    Certificates,
    /// Each that some action forwards to, once.
    BalancerTargetGroups,
    BalancerTargets,
    /// In how many of a balancer's target groups one and the same target is.
    Registrations,
    GroupTargets,
    NetworkListeners,
    ActionTargetGroups,
    Values,
    Wildcards,
}

/// Limit name → maximum, as DescribeAccountLimits tells them. What is not among them is not known: nothing is said of it.
pub type Limits = BTreeMap<String, u64>;

impl Limit {
    /// Of the account in its region.
    pub const OF_ACCOUNT: [Self; 3] = [Self::Balancers, Self::NetworkBalancers, Self::TargetGroups];
    /// Of one balancer, with its target groups and its frontend.
    pub const OF_BALANCER: [Self; 8] = [
        Self::Rules,
        Self::Listeners,
        Self::Certificates,
        Self::BalancerTargetGroups,
        Self::BalancerTargets,
        Self::Registrations,
        Self::GroupTargets,
        Self::NetworkListeners,
    ];

    /// Its name, as DescribeAccountLimits spells it, and what it counts.
    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Balancers => ("application-load-balancers", "application load balancers"),
            Self::NetworkBalancers => ("network-load-balancers", "network load balancers"),
            Self::TargetGroups => ("target-groups", "target groups"),
            Self::Rules => ("rules-per-application-load-balancer", "rules"),
            Self::Listeners => ("listeners-per-application-load-balancer", "listeners"),
            Self::Certificates => (
                "certificates-per-application-load-balancer",
                "certificates besides the default ones",
            ),
            Self::BalancerTargetGroups => (
                "target-groups-per-application-load-balancer",
                "target groups",
            ),
            Self::BalancerTargets => ("targets-per-application-load-balancer", "targets"),
            Self::Registrations => (
                "target-id-registrations-per-application-load-balancer",
                "registrations of one and the same target",
            ),
            Self::GroupTargets => ("targets-per-target-group", "targets"),
            Self::NetworkListeners => ("listeners-per-network-load-balancer", "listeners"),
            Self::ActionTargetGroups => (
                "target-groups-per-action-on-application-load-balancer",
                "target groups",
            ),
            Self::Values => ("condition-values-per-alb-rule", "values in its conditions"),
            Self::Wildcards => ("condition-wildcards-per-alb-rule", "wildcards"),
        }
    }

    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// What it counts, in the plural.
    pub const fn words(self) -> &'static str {
        self.row().1
    }

    /// How many are allowed, where that is known.
    pub fn most(self, limits: &Limits) -> Option<u64> {
        limits.get(self.name()).copied()
    }

    /// Whose limit it is, as people are told.
    pub fn owner(self, group: &str) -> String {
        match self {
            Self::Balancers | Self::NetworkBalancers | Self::TargetGroups => {
                "this repository".to_owned()
            }
            Self::GroupTargets => format!("a target group of group {group}"),
            Self::NetworkListeners => format!("the network load balancer of group {group}"),
            _ => format!("the balancer of group {group}"),
        }
    }

    /// The limit itself, and what its count leaves out.
    pub fn told(self, most: u64) -> String {
        let name = self.name();
        match Self::OF_ACCOUNT.contains(&self) {
            true => format!(
                "the account's limit {name} is {most}; what others have in the account is not counted"
            ),
            false => format!("the account's limit {name} is {most}"),
        }
    }
}

/// How many there are, by limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<Limit, u64>);

impl Counts {
    pub fn get(&self, limit: Limit) -> u64 {
        self.0.get(&limit).copied().unwrap_or_default()
    }

    /// Takes the count over where it is more than what was there.
    pub fn raise(&mut self, limit: Limit, count: u64) {
        let most = self.0.entry(limit).or_default();
        *most = count.max(*most);
    }
}

/// The most there is of everything at once while a plan is carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    /// By group id, of its fullest balancer.
    pub groups: BTreeMap<String, Counts>,
    pub account: Counts,
}

/// More than a limit allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    pub limit: Limit,
    /// Who has too much.
    pub owner: String,
    pub most: u64,
    pub highest: u64,
    /// When all is done.
    pub end: u64,
}

impl Excess {
    /// Whether only the way there is too narrow.
    pub fn is_passing(&self) -> bool {
        self.end <= self.most
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (owner, words, most) = (&self.owner, self.limit.words(), self.most);
        match self.is_passing() {
            true => write!(
                f,
                "{owner} would have up to {} {words} while this is carried out, and {most} are allowed; {} in the end",
                self.highest, self.end
            ),
            false => write!(
                f,
                "{owner} would have {} {words}, and {most} are allowed",
                self.end
            ),
        }
    }
}
