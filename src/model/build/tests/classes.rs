use super::*;

fn is_ours(change: impl FnOnce(&mut Manifests, &mut Facts, &mut Settings)) -> bool {
    let (mut manifests, mut facts, mut settings) = (tutorial(), facts(), settings());
    change(&mut manifests, &mut facts, &mut settings);
    let result = build(&manifests, &facts, &settings);
    assert_eq!(result.problems, []);
    assert_eq!(result.value.waiting, []);
    result.value.groups.contains_key(GROUP)
}

#[test]
fn the_controller_decides_and_the_name_does_not() {
    assert!(is_ours(|_, _, _| ()));
    assert!(!is_ours(|manifests, _, _| manifests.classes[0]
        .controller =
        "k8s.io/nginx".into()));
}

#[test]
fn a_class_of_the_cluster_counts_like_one_of_git_and_git_wins() {
    let in_cluster = |controller: &str| ("aws".to_owned(), class_fact(controller, false));
    assert!(is_ours(|manifests, facts, _| {
        manifests.classes.clear();
        facts.ingress_classes = Some([in_cluster("ingress.k8s.aws/alb")].into());
    }));
    assert!(!is_ours(|manifests, facts, _| {
        manifests.classes.clear();
        facts.ingress_classes = Some([in_cluster("k8s.io/nginx")].into());
    }));
    assert!(is_ours(|_, facts, _| {
        facts.ingress_classes = Some([in_cluster("k8s.io/nginx")].into());
    }));
}

#[test]
fn the_older_annotation_is_compared_with_the_configuration_and_no_class_is_read() {
    let annotated = |value: &'static str, configured: &'static str| {
        is_ours(|manifests, _, settings| {
            manifests.classes.clear();
            manifests.ingresses[0].class_annotation = Some(located(value.into()));
            settings.ingress_class = configured.into();
        })
    };
    assert!(annotated("alb", "alb"));
    assert!(!annotated("aws", "alb"));
    assert!(annotated("internal", "internal"));
    assert!(!annotated("", "alb"));
    assert!(annotated("", ""));
    assert!(annotated("alb", ""));
    assert!(!annotated("nginx", ""));
}

#[test]
fn without_a_class_the_default_one_counts() {
    let classless = |controller: &'static str, is_default: bool, configured: &'static str| {
        is_ours(|manifests, _, settings| {
            manifests.ingresses[0].class_name = None;
            manifests.classes = vec![class("some", controller, is_default)];
            settings.ingress_class = configured.into();
        })
    };
    assert!(classless("ingress.k8s.aws/alb", true, "alb"));
    assert!(!classless("k8s.io/nginx", true, ""));
    assert!(!classless("ingress.k8s.aws/alb", false, "alb"));
    assert!(classless("ingress.k8s.aws/alb", false, ""));
}

#[test]
fn a_class_that_exists_nowhere_is_a_problem_and_the_group_stays() {
    let (reason, problems) = wait_with(|manifests, _| {
        manifests.ingresses[0].class_name = Some(located("awss".into()));
    });
    assert_eq!(reason, "IngressClass `awss` does not exist");
    assert_eq!(
        problems,
        [
            "app.yaml:1:1: problem[unknown-ingress-class]: Ingress default/app-aws-ingress: IngressClass `awss` does not \
              exist; did you mean \"aws\"?"
        ]
    );
}

#[test]
fn a_class_that_could_be_in_the_cluster_is_waited_for_while_the_cluster_is_unknown() {
    let (reason, problems) = wait_with(|manifests, facts| {
        manifests.classes.clear();
        facts.ingress_classes = None;
    });
    assert!(reason.contains("were not looked up"), "{reason}");
    assert_eq!(problems, Vec::<String>::new());
    let (reason, problems) = wait_with(|manifests, facts| {
        manifests.ingresses[0].class_name = None;
        facts.ingress_classes = None;
    });
    assert_eq!(reason, "the cluster's IngressClasses were not read");
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn several_default_classes_are_a_problem() {
    let (_, problems) = wait_with(|manifests, facts| {
        manifests.ingresses[0].class_name = None;
        manifests.classes[0].is_default = true;
        facts.ingress_classes = Some([("nginx".into(), class_fact("k8s.io/nginx", true))].into());
    });
    assert!(
        problems[0].contains("several default ones: aws, nginx"),
        "{problems:?}"
    );
}

#[test]
fn problems_that_waited_for_the_class_count_once_it_is_ours() {
    let found = |controller: &str| {
        let mut manifests = tutorial();
        manifests.classes.clear();
        let problem = Problem::new("not-served", at(7), "groups are not served yet");
        manifests.ingresses[0].deferred = vec![problem];
        let mut facts = facts();
        facts.ingress_classes = Some([("aws".into(), class_fact(controller, false))].into());
        let result = built(&manifests, &facts);
        (
            result.is_rejected(),
            result.value.waiting.len(),
            result.value.groups.len(),
        )
    };
    assert_eq!(found("ingress.k8s.aws/alb"), (true, 2, 0));
    assert_eq!(found("k8s.io/nginx"), (false, 0, 0));
}

#[test]
fn parameters_that_do_not_exist_are_refused_and_unread_ones_are_waited_for() {
    let named = |manifests: &mut Manifests| {
        let parameters = (
            "elbv2.k8s.aws".into(),
            "IngressClassParams".into(),
            "x".into(),
        );
        manifests.classes[0].parameters = Some(located(parameters));
    };
    let (reason, problems) = wait_with(|manifests, facts| {
        named(manifests);
        facts.ingress_class_params = Some(BTreeMap::new());
    });
    assert!(
        reason.contains("IngressClassParams `x`") && reason.contains("does not exist"),
        "{reason}"
    );
    assert_eq!(problems.len(), 1);
    let (reason, problems) = wait_with(|manifests, _| named(manifests));
    assert!(reason.contains("was not looked up"), "{reason}");
    assert_eq!(problems, Vec::<String>::new());
}

/// The scheme of the group when the class and its parameters are the cluster's only.
fn scheme_with(spec: Option<Value>) -> Result<Scheme, String> {
    let mut manifests = tutorial();
    manifests.classes.clear();
    let mut class = class_fact("ingress.k8s.aws/alb", false);
    class.parameters = Some(ParametersFact {
        api_group: "elbv2.k8s.aws".to_owned(),
        kind: "IngressClassParams".to_owned(),
        name: "x".to_owned(),
    });
    let mut facts = facts();
    facts.ingress_classes = Some([("aws".to_owned(), class)].into());
    facts.ingress_class_params =
        spec.map(|spec| [("x".to_owned(), ParamsFact::new("x", spec))].into());
    let result = built(&manifests, &facts);
    match result.value.groups.get(GROUP) {
        Some(group) => Ok(group.load_balancer.scheme),
        None => {
            let waiting = result.value.waiting.iter();
            let reasons: Vec<&str> = waiting.map(|wait| wait.reason.as_str()).collect();
            Err(reasons.join("; "))
        }
    }
}

#[test]
fn parameters_that_only_the_cluster_holds_count() {
    let internal = json!({"scheme": "internal"});
    assert_eq!(scheme_with(Some(internal)), Ok(Scheme::Internal));
    assert_eq!(scheme_with(Some(json!({}))), Ok(Scheme::InternetFacing));
    let unread = scheme_with(None).unwrap_err();
    assert!(unread.contains("was not looked up"), "{unread}");
    // Of a field that is not known here nobody can tell what it asks for.
    let newer = scheme_with(Some(json!({"frobnicate": true}))).unwrap_err();
    assert!(newer.contains("cannot be read whole"), "{newer}");
}
