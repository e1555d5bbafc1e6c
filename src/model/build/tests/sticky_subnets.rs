use super::*;

fn chosen(scheme: Option<Scheme>) -> Vec<SubnetId> {
    let group = group_with(|_, facts, _| {
        let live = LoadBalancerFact {
            scheme,
            subnets: ["subnet-8", "subnet-9"].map(SubnetId::from).into(),
        };
        facts.load_balancers = Some([(GROUP.into(), live)].into());
    });
    group.load_balancer.subnets
}

#[test]
fn a_live_balancer_keeps_its_subnets_while_its_scheme_stays() {
    let kept = ["subnet-8", "subnet-9"].map(SubnetId::from);
    assert_eq!(chosen(Some(Scheme::InternetFacing)), kept);
    assert_eq!(chosen(None), kept);
    assert_eq!(
        chosen(Some(Scheme::Internal)),
        ["subnet-1", "subnet-2", "subnet-3"].map(SubnetId::from)
    );
}

#[test]
fn discovery_never_runs_before_existing_balancers_were_read() {
    let (reason, _) = wait_with(|_, facts| facts.load_balancers = None);
    assert!(reason.contains("was not looked up"), "{reason}");
}
